// pgsteer report workload: one file about a time window, from the feedback store and the audit log. Needs no running daemon.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <memory>
#include <set>

#include "policies/policy.hpp"
#include "predictor/window.hpp"
#include "proxy/cli/cli.hpp"
#include "proxy/cli/report_document.hpp"
#include "proxy/cli/settings.hpp"
#include "proxy/config.hpp"
#include "proxy/console/result.hpp"
#include "proxy/reload.hpp"

namespace pgsteer::proxy::cli {
namespace {

using console::human_ms;
using Align = Document::Column::Align;

struct Options {
  Settings settings;
  std::string since = "24h", until = "now", format, output;
  std::size_t top = 20;
};

struct Window {
  std::int64_t from_us = 0, to_us = 0;
};

/// What one statement did in one database; times in milliseconds.
struct Row {
  std::string database, fingerprint;
  std::uint64_t calls = 0, errors = 0, cached = 0, changed = 0;
  double total_ms = 0, error_sum = 0;
  std::uint64_t predicted = 0, within = 0;  ///< executions with a prediction; those inside its interval
  std::vector<float> all_ms, plain_ms;      ///< plain: answered by the server to the statement as it came
  std::vector<float> acted_ms;              ///< the others
  double mean_ms() const { return calls ? total_ms / static_cast<double>(calls) : 0; }
};
using Rows = std::map<std::pair<std::string, std::string>, Row>;

double quantile(std::vector<float> values, double q) {
  if (values.empty()) return 0;
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(q * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

bool collect(const std::string& state, const Window& window, Rows& rows, std::string* error) {
  return predictor::read_window(state, window.from_us, window.to_us, "", [&](const predictor::Observation& o) {
    Row& row = rows[{std::string(o.database), std::string(o.fingerprint)}];
    row.database = o.database;
    row.fingerprint = o.fingerprint;
    ++row.calls;
    row.total_ms += o.ms;
    row.all_ms.push_back(static_cast<float>(o.ms));
    if (!o.sqlstate.empty()) {
      ++row.errors;
      return;
    }
    const bool cached = o.source == "cache", changed = !cached && o.candidate != "as-is";
    row.cached += cached ? 1 : 0;
    row.changed += changed ? 1 : 0;
    (cached || changed ? row.acted_ms : row.plain_ms).push_back(static_cast<float>(o.ms));
    if (cached || o.estimate_ms <= 0) return;
    ++row.predicted;
    row.within += o.ms >= o.estimate_low_ms && o.ms <= o.estimate_high_ms ? 1 : 0;
  }, error);
}

/// Against the median of what went to the server unchanged in the same window: the control group, where there is one.
double saved_ms(const Row& row) {
  if (row.plain_ms.size() < 3) return 0;
  const double median = quantile(row.plain_ms, 0.5);
  double saved = 0;
  for (const float ms : row.acted_ms) saved += median - ms;
  return saved;
}

std::vector<const Row*> sorted(const Rows& rows, const std::function<double(const Row&)>& weight) {
  std::vector<const Row*> order;
  for (const auto& [key, row] : rows) order.push_back(&row);
  std::stable_sort(order.begin(), order.end(), [&](const Row* a, const Row* b) { return weight(*a) > weight(*b); });
  return order;
}

std::string time_text(std::int64_t unix_us) { return fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(static_cast<std::time_t>(unix_us / 1000000))); }

std::string percent(double part, double whole) { return whole > 0 ? fmt::format("{:.1f} %", 100 * part / whole) : "none"; }

using Texts = std::map<std::string, predictor::StatementText>;
std::string statement_text(const Texts& texts, const std::string& fingerprint) {
  const auto found = texts.find(fingerprint);
  if (found == texts.end()) return "(text no longer stored)";
  const auto& text = found->second.normalized;
  if (text.size() <= 160) return text;
  std::size_t end = 157;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // not inside a UTF-8 character
  return text.substr(0, end) + "...";
}

void add_summary(Document& document, const Rows& rows, const Rows& before) {
  std::uint64_t calls = 0, errors = 0, cached = 0, changed = 0, predicted = 0, within = 0;
  double total = 0, saved = 0, lost = 0, total_before = 0;
  std::set<std::string> databases;
  for (const auto& [key, row] : rows) {
    calls += row.calls, errors += row.errors, cached += row.cached, changed += row.changed;
    predicted += row.predicted, within += row.within, total += row.total_ms;
    databases.insert(row.database);
    (saved_ms(row) >= 0 ? saved : lost) += saved_ms(row);
  }
  for (const auto& [key, row] : before) total_before += row.total_ms;
  document.heading("In short");
  std::vector<std::vector<std::string>> cells{
      {"executions recorded", fmt::format("{}", calls)},
      {"statements", fmt::format("{} in {} database{}", rows.size(), databases.size(), databases.size() == 1 ? "" : "s")},
      {"time clients waited", human_ms(total)},
      {"the window before", before.empty() ? std::string("nothing recorded") : human_ms(total_before)},
      {"errors", fmt::format("{} ({})", errors, percent(static_cast<double>(errors), static_cast<double>(calls)))},
      {"answered from the cache", fmt::format("{} ({})", cached, percent(static_cast<double>(cached), static_cast<double>(calls)))},
      {"sent changed", fmt::format("{} ({})", changed, percent(static_cast<double>(changed), static_cast<double>(calls)))},
      {"time saved", human_ms(saved)},
      {"time lost", human_ms(-lost)},
      {"inside the predicted interval", percent(static_cast<double>(within), static_cast<double>(predicted))}};
  document.table({{"what"}, {"value", Align::right}}, std::move(cells));
  document.paragraph("Saved and lost compare each changed or cached execution with the median of those that went to the server as "
                     "they came, in the same window; a statement with fewer than three of those counts as nothing. Of very frequent "
                     "statements at most 20 executions a second are recorded.");
}

void add_top(Document& document, const Rows& rows, const Texts& texts, std::size_t top) {
  double total = 0;
  for (const auto& [key, row] : rows) total += row.total_ms;
  std::vector<std::vector<std::string>> cells;
  for (const Row* row : sorted(rows, [](const Row& r) { return r.total_ms; })) {
    if (cells.size() == top) break;
    cells.push_back({percent(row->total_ms, total), std::to_string(row->calls), human_ms(row->mean_ms()), human_ms(quantile(row->all_ms, 0.95)),
                     std::to_string(row->errors), row->database, row->fingerprint, statement_text(texts, row->fingerprint)});
  }
  document.heading("Where the time went");
  document.table({{"share", Align::right}, {"calls", Align::right}, {"mean", Align::right}, {"p95", Align::right}, {"errors", Align::right},
                  {"database"}, {"fingerprint", Align::code}, {"statement", Align::code}}, std::move(cells));
}

void add_gains(Document& document, const Rows& rows, const Texts& texts, std::size_t top) {
  std::vector<std::vector<std::string>> gains, losses;
  for (const Row* row : sorted(rows, [](const Row& r) { return std::abs(saved_ms(r)); })) {
    const double saved = saved_ms(*row);
    auto& cells = saved >= 0 ? gains : losses;
    if (row->acted_ms.empty() || row->plain_ms.size() < 3 || cells.size() == top) continue;
    cells.push_back({human_ms(std::abs(saved)), std::to_string(row->cached), std::to_string(row->changed), human_ms(quantile(row->plain_ms, 0.5)),
                     human_ms(quantile(row->acted_ms, 0.5)), row->fingerprint, statement_text(texts, row->fingerprint)});
  }
  const auto columns = [](const char* first) {
    return std::vector<Document::Column>{{first, Align::right}, {"from cache", Align::right}, {"changed", Align::right}, {"median as it came", Align::right},
                                         {"median with pgsteer", Align::right}, {"fingerprint", Align::code}, {"statement", Align::code}};
  };
  document.heading("Gains");
  if (gains.empty()) document.paragraph("None in this window: nothing was changed or cached that has a control group to compare with.");
  else document.table(columns("saved"), std::move(gains));
  if (losses.empty()) return;
  document.heading("Slower than as it came");
  document.table(columns("lost"), std::move(losses));
}

/// One line of audit.log: "2026-11-21T08:14:43Z event=disabled fingerprint=... label=... why="..."".
struct AuditLine {
  std::string time, event, fingerprint, label, why;
};

std::string field(const std::string& line, const std::string& key) {
  const auto at = line.find(" " + key + "=");
  if (at == std::string::npos) return {};
  const auto begin = at + key.size() + 2;
  if (begin < line.size() && line[begin] == '"') return line.substr(begin + 1, std::min(line.find('"', begin + 1), line.size()) - begin - 1);
  return line.substr(begin, std::min(line.find(' ', begin), line.size()) - begin);
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

void add_audit(Document& document, const std::vector<AuditLine>& lines) {
  std::vector<std::vector<std::string>> taken_back, others;
  for (const auto& line : lines) {
    const bool back = line.event == "disabled" || line.event == "mismatch" || line.event == "rule_banned" || line.event == "evidence_void";
    if (line.event != "rejected") (back ? taken_back : others).push_back({line.time, line.event, line.fingerprint, line.label, line.why});
  }
  const std::vector<Document::Column> columns{{"when"}, {"event"}, {"fingerprint", Align::code}, {"what"}, {"why"}};
  document.heading("Taken back");
  if (taken_back.empty()) document.paragraph("Nothing had to be.");
  else document.table(columns, std::move(taken_back));
  if (others.empty()) return;
  document.heading("What else changed");
  if (others.size() > 100) others.erase(others.begin(), others.end() - 100);
  document.table(columns, std::move(others));
}

void add_changes(Document& document, const Rows& rows, const Rows& before, const Texts& texts, std::size_t top) {
  std::vector<std::vector<std::string>> cells;
  for (const Row* row : sorted(rows, [&](const Row& r) {
         const auto old = before.find({r.database, r.fingerprint});
         return old == before.end() ? -1.0 : (r.mean_ms() - old->second.mean_ms()) * static_cast<double>(r.calls);
       })) {
    const auto old = before.find({row->database, row->fingerprint});
    if (cells.size() == top || old == before.end()) break;
    if (row->calls < 5 || old->second.calls < 5 || row->mean_ms() < 1.5 * old->second.mean_ms()) continue;
    cells.push_back({fmt::format("{:.1f} times", row->mean_ms() / old->second.mean_ms()), human_ms(old->second.mean_ms()), human_ms(row->mean_ms()),
                     std::to_string(row->calls), row->fingerprint, statement_text(texts, row->fingerprint)});
  }
  if (cells.empty()) return;
  document.heading("Slower than in the window before");
  document.table({{"slower", Align::right}, {"mean before", Align::right}, {"mean now", Align::right}, {"calls", Align::right},
                  {"fingerprint", Align::code}, {"statement", Align::code}}, std::move(cells));
}

void add_advice(Document& document, const Rows& rows, const std::vector<AuditLine>& audit) {
  std::vector<std::vector<std::string>> cells;
  double total = 0;
  for (const auto& [key, row] : rows) total += row.total_ms;
  std::set<std::pair<std::string, std::string>> told;
  for (const auto& line : audit) {
    if (line.event != "approved" || !told.insert({line.fingerprint, line.label}).second) continue;
    for (const auto& [key, row] : rows)
      if (row.fingerprint == line.fingerprint && row.changed == 0)
        cells.push_back({row.fingerprint, fmt::format("{} was measured and approved, and never used here", line.label),
                         "a rule with mode = \"auto\" for this fingerprint uses it"});
  }
  for (const Row* row : sorted(rows, [](const Row& r) { return r.total_ms; })) {
    if (cells.size() >= 20) break;
    if (row->total_ms > 0.2 * total && row->cached + row->changed == 0)
      cells.push_back({row->fingerprint, fmt::format("takes {} of all time, nothing is done about it", percent(row->total_ms, total)),
                       "see EXPLAIN (PGSTEER) of it; mode = \"suggest\" records what could be done"});
    if (row->errors >= 5 && row->errors * 10 > row->calls)
      cells.push_back({row->fingerprint, fmt::format("fails in {} of its calls", percent(static_cast<double>(row->errors), static_cast<double>(row->calls))),
                       "look at the application's log"});
    if (row->calls >= 20 && quantile(row->all_ms, 0.99) > 20 * quantile(row->all_ms, 0.5) && quantile(row->all_ms, 0.99) > 50)
      cells.push_back({row->fingerprint, fmt::format("median {}, but one call in a hundred takes {} or more", human_ms(quantile(row->all_ms, 0.5)),
                                                     human_ms(quantile(row->all_ms, 0.99))),
                       "locks, or values for which the plan does not fit"});
  }
  document.heading("Advice");
  if (cells.empty()) document.paragraph("None.");
  else document.table({{"fingerprint", Align::code}, {"what was seen"}, {"what to do"}}, std::move(cells));
}

/// "24h", "30min", "7d" before now; "now"; or a time: 2026-11-21, 2026-11-21T14:05, always UTC. -1: none of these.
std::int64_t parse_time(const std::string& text, std::int64_t now_us) {
  if (text == "now") return now_us;
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

int report(const Options& options) {
  const auto fail = [](int code, const std::string& message) {
    std::cerr << "pgsteer report workload: " << message << "\n";
    return code;
  };
  std::vector<std::string> errors;
  const auto config = Config::load(options.settings.config_file, options.settings.overrides(), &errors);
  for (const auto& error : errors) std::cerr << error << "\n";
  if (!config) return exit_config;
  const auto now = unix_us();
  const Window window{parse_time(options.since, now), parse_time(options.until, now)};
  for (const auto& [given, time] : {std::pair{options.since, window.from_us}, std::pair{options.until, window.to_us}})
    if (time < 0) return fail(exit_usage, fmt::format("'{}' is no time: expected 24h, 30min, 7d, now, 2026-11-21 or 2026-11-21T14:05 (UTC)", given));
  if (window.from_us >= window.to_us) return fail(exit_usage, fmt::format("--since {} is not before --until {}", options.since, options.until));
  const auto state = state_directory(*config);
  std::string error;
  Rows rows, before;
  if (!collect(state, window, rows, &error)) return fail(exit_failure, error);
  collect(state, {2 * window.from_us - window.to_us, window.from_us}, before, &error);
  const auto texts = predictor::read_statements(state, &error);
  const auto audit = audit_lines(state, window);

  Document document("pgsteer: workload report");
  document.paragraph(fmt::format("From {} to {}. Source: {}; made by pgsteer {} on {}.", time_text(window.from_us), time_text(window.to_us), state,
                                 PGSTEER_VERSION, time_text(now)));
  if (rows.empty()) document.paragraph("Nothing was recorded in this window.");
  add_summary(document, rows, before);
  add_top(document, rows, texts, options.top);
  add_changes(document, rows, before, texts, options.top);
  add_gains(document, rows, texts, options.top);
  add_audit(document, audit);
  add_advice(document, rows, audit);
  const bool html = options.format == "html" || (options.format.empty() && (options.output.ends_with(".html") || options.output.ends_with(".htm")));
  const auto text = html ? document.html() : document.markdown();
  if (options.output.empty() || options.output == "-") {
    std::cout << text;
    return exit_ok;
  }
  std::ofstream out(options.output, std::ios::binary);
  out << text;
  out.close();
  if (!out) return fail(exit_failure, "cannot write " + options.output);
  std::cerr << fmt::format("{}: {} executions of {} statements\n", options.output,
                           [&] { std::uint64_t n = 0; for (const auto& [key, row] : rows) n += row.calls; return n; }(), rows.size());
  return exit_ok;
}

}  // namespace

std::function<int()> add_report_workload(CLI::App& app, const std::string&) {
  auto options = std::make_shared<Options>();
  add_settings(app, options->settings, false);
  app.add_option("--since", options->since, "begin: an age (30min, 24h, 7d) or a time in UTC (2026-11-21T14:05)")->capture_default_str();
  app.add_option("--until", options->until, "end: the same, or now")->capture_default_str();
  app.add_option("--top", options->top, "rows of a table at most")->capture_default_str()->check(CLI::Range(1, 1000));
  app.add_option("--format", options->format, "html or markdown; default by the name of --output, else markdown")->check(CLI::IsMember({"html", "markdown"}));
  app.add_option("-o,--output", options->output, "the file to write; default standard output")->type_name("FILE");
  return [options] { return report(*options); };
}

}  // namespace pgsteer::proxy::cli
