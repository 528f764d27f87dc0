// What the reports have in common: their options, the time they are about, what audit.log says of it, where they go.
#include "proxy/cli/report_window.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iostream>

namespace pgsteer::proxy::cli {
namespace {

/// "24h", "30min", "7d" before now; "now"; "all": the beginning; or a time: 2026-11-21, 2026-11-21T14:05, always UTC. -1: none of these.
std::int64_t parse_time(const std::string& text, std::int64_t now_us) {
  if (text == "now") return now_us;
  if (text == "all") return 0;
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, used = 0;
  if (std::sscanf(text.c_str(), "%4d-%2d-%2d%n", &year, &month, &day, &used) == 3 && used == 10) {
    if (text.size() > 10 && (std::sscanf(text.c_str() + 10, "%*1[T ]%2d:%2d", &hour, &minute) != 2 || text.size() != 16)) return -1;
    const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    if (!date.ok() || hour > 23 || minute > 59 || hour < 0 || minute < 0) return -1;
    return (std::chrono::sys_days(date).time_since_epoch().count() * 86400LL + hour * 3600 + minute * 60) * 1000000LL;
  }
  double amount = 0;
  char unit[8] = "";
  if (std::sscanf(text.c_str(), "%lf%7s", &amount, unit) != 2 || !(amount > 0 && amount < 1e6)) return -1;
  const std::string name = unit;
  const double seconds = name == "min" || name == "m" ? 60 : name == "h" ? 3600 : name == "d" ? 86400 : name == "s" ? 1 : 0;
  return seconds > 0 ? now_us - static_cast<std::int64_t>(amount * seconds * 1e6) : -1;
}

std::string field(const std::string& line, const std::string& key) {
  const auto at = line.find(" " + key + "=");
  if (at == std::string::npos) return {};
  const auto begin = at + key.size() + 2;
  if (begin < line.size() && line[begin] == '"') return line.substr(begin + 1, std::min(line.find('"', begin + 1), line.size()) - begin - 1);
  return line.substr(begin, std::min(line.find(' ', begin), line.size()) - begin);
}

}  // namespace

void add_report_options(CLI::App& app, ReportOptions& options) {
  add_settings(app, options.settings, false);
  app.add_option("--since", options.since, "begin: an age (30min, 24h, 7d), a time in UTC (2026-11-21T14:05), or all")->capture_default_str();
  app.add_option("--until", options.until, "end: the same, or now")->capture_default_str();
  app.add_option("--top", options.top, "rows of a table at most")->capture_default_str()->check(CLI::Range(1, 1000));
  app.add_option("--format", options.format,
                 fmt::format("html or markdown; default by the name of --output, else {}", options.html_unless_said ? "html" : "markdown"))
      ->check(CLI::IsMember({"html", "markdown"}));
  app.add_option("-o,--output", options.output, "the file to write; default standard output")->type_name("FILE");
}

bool read_times(const ReportOptions& options, std::int64_t now_us, Window* window, std::string* error) {
  *window = {parse_time(options.since, now_us), parse_time(options.until, now_us)};
  for (const auto& [given, time] : {std::pair{options.since, window->from_us}, std::pair{options.until, window->to_us}})
    if (time < 0) {
      *error = fmt::format("'{}' is no time: expected 24h, 30min, 7d, all, now, 2026-11-21 or 2026-11-21T14:05 (UTC)", given);
      return false;
    }
  if (window->from_us < window->to_us) return true;
  *error = fmt::format("--since {} is not before --until {}", options.since, options.until);
  return false;
}

std::string time_text(std::int64_t unix_us) {
  if (unix_us == 0) return "the beginning";
  return fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(static_cast<std::time_t>(unix_us / 1000000)));
}

std::vector<AuditLine> audit_lines(const std::string& state, const Window& window) {
  const auto stamp = [](std::int64_t us) { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(us / 1000000))); };
  const auto from = stamp(window.from_us), to = stamp(window.to_us);
  std::vector<AuditLine> lines;
  std::ifstream in(state + "/audit.log");
  for (std::string line; std::getline(in, line);) {
    const auto time = line.substr(0, line.find(' '));
    if (time < from || time > to) continue;
    lines.push_back({time, field(line, "event"), field(line, "fingerprint"), field(line, "label"), field(line, "why")});
  }
  return lines;
}

std::string statement_text(const Texts& texts, const std::string& fingerprint) {
  const auto found = texts.find(fingerprint);
  if (found == texts.end()) return "(text no longer stored)";
  const auto& text = found->second.normalized;
  if (text.size() <= 160) return text;
  std::size_t end = 157;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // not inside a UTF-8 character
  return text.substr(0, end) + "...";
}

std::string percent(double part, double whole) { return whole > 0 ? fmt::format("{:.1f} %", 100 * part / whole) : "none"; }

bool write_report(const Document& document, const ReportOptions& options, std::string* error) {
  const std::string& output = options.output;
  const bool named_html = output.ends_with(".html") || output.ends_with(".htm"), named_markdown = output.ends_with(".md");
  const bool html = options.format.empty() ? named_html || (options.html_unless_said && !named_markdown) : options.format == "html";
  const auto text = html ? document.html() : document.markdown();
  if (output.empty() || output == "-") {
    std::cout << text << std::flush;
    if (!std::cout) *error = "cannot write to standard output";
    return static_cast<bool>(std::cout);
  }
  errno = 0;
  std::ofstream out(output, std::ios::binary);
  out << text;
  out.close();
  if (!out) *error = fmt::format("cannot write {}{}{}", output, errno ? ": " : "", errno ? std::strerror(errno) : "");
  return static_cast<bool>(out);
}

}  // namespace pgsteer::proxy::cli
