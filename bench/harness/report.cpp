// A run as a table for a terminal, and as one HTML file with pictures.
#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "bench/harness/results.hpp"
#include "proxy/cli/report_document.hpp"

namespace pgsteer::harness {
namespace {

using proxy::cli::Document;
using Align = Document::Column::Align;

std::string shown_ms(double ms) {
  if (ms <= 0) return "-";
  if (ms < 1) return fmt::format("{:.0f} us", ms * 1000);
  return ms < 1000 ? fmt::format("{:.3g} ms", ms) : fmt::format("{:.3g} s", ms / 1000);
}
std::string shown_us(double us) { return us <= 0 ? "-" : fmt::format("{:.1f}", us); }

/// "1.93x (1.80-2.10)": how many times as fast as the first system, and within what range.
std::string shown_gain(const workload::Measured& m) {
  const double half = m.log_ratio_spread / 2;
  return fmt::format("{:.2f}x ({:.2f}-{:.2f})", std::exp(-m.log_ratio), std::exp(-m.log_ratio - half), std::exp(-m.log_ratio + half));
}

std::string action_of(const workload::Decided& decided) {
  const auto most = std::max_element(decided.actions.begin(), decided.actions.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == decided.actions.end() ? "" : most->first;
}

// --- pictures: plain SVG, colours from the page's own, so that they follow light and dark -----------------------------------------------
constexpr std::array<const char*, 6> colours = {"#6e7781", "#0969da", "#bc4c00", "#1a7f37", "#8250df", "#bf3989"};

std::string text_at(double x, double y, const std::string& text, const char* anchor = "start") {
  std::string safe;
  for (const char c : text) safe += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
  return fmt::format("<text x='{:.0f}' y='{:.0f}' text-anchor='{}' font-size='12' fill='currentColor'>{}</text>", x, y, anchor, safe);
}
std::string line_at(double x1, double y1, double x2, double y2, const char* colour, double width = 1) {
  return fmt::format("<line x1='{:.1f}' y1='{:.1f}' x2='{:.1f}' y2='{:.1f}' stroke='{}' stroke-width='{}'/>", x1, y1, x2, y2, colour, width);
}
std::string svg(double width, double height, const std::string& label, const std::string& body) {
  return fmt::format("<svg role='img' aria-label='{}' viewBox='0 0 {:.0f} {:.0f}' style='max-width:100%;height:auto' xmlns='http://www.w3.org/2000/svg'>{}</svg>", label, width,
                     height, body);
}

/// Bars from zero, one a system.
std::string throughput_picture(const WorkloadResult& w) {
  double most = 1;
  for (const auto& l : w.load) most = std::max(most, l.tps);
  std::string body;
  for (std::size_t i = 0; i < w.load.size(); ++i) {
    const double y = 8 + 24 * static_cast<double>(i), width = 480 * w.load[i].tps / most;
    body += text_at(150, y + 14, w.load[i].system, "end");
    body += fmt::format("<rect x='158' y='{:.0f}' width='{:.1f}' height='18' fill='{}'/>", y, width, colours[i % colours.size()]);
    body += text_at(166 + width, y + 14, fmt::format("{:.0f} a second", w.load[i].tps));
  }
  return svg(760, 16 + 24 * static_cast<double>(w.load.size()), "statements a second by system", body);
}

/// Latency over the share of statements that are quicker, both axes logarithmic.
std::string latency_picture(const WorkloadResult& w) {
  const auto& shares = curve_shares();
  double low = 1e300, high = 0;
  for (const auto& l : w.load)
    for (const double ms : l.curve)
      if (ms > 0) low = std::min(low, ms), high = std::max(high, ms);
  if (high <= 0) return {};
  const double from = std::floor(std::log10(low)), to = std::max(from + 1, std::ceil(std::log10(high)));
  const auto x_of = [&](double share) { return 70 + 560 * (-std::log10(1 - share) + std::log10(0.5)) / (4 + std::log10(0.5)); };
  const auto y_of = [&](double ms) { return 250 - 230 * (std::log10(ms) - from) / (to - from); };
  std::string body;
  for (double decade = from; decade <= to; ++decade) {
    const double y = y_of(std::pow(10, decade));
    body += "<g opacity='.25'>" + line_at(70, y, 630, y, "currentColor") + "</g>" + text_at(64, y + 4, shown_ms(std::pow(10, decade)), "end");
  }
  for (const double share : {0.5, 0.9, 0.99, 0.999, 0.9999}) body += text_at(x_of(share), 268, fmt::format("{:g} %", 100 * share), "middle");
  for (std::size_t i = 0; i < w.load.size(); ++i) {
    std::string points;
    for (std::size_t k = 0; k < w.load[i].curve.size(); ++k)
      if (w.load[i].curve[k] > 0) points += fmt::format("{:.1f},{:.1f} ", x_of(shares[k]), y_of(w.load[i].curve[k]));
    body += fmt::format("<polyline points='{}' fill='none' stroke='{}' stroke-width='2'/>", points, colours[i % colours.size()]);
    body += fmt::format("<rect x='644' y='{}' width='10' height='10' fill='{}'/>", 12 + 18 * i, colours[i % colours.size()]) + text_at(660, 21 + 18 * static_cast<double>(i), w.load[i].system);
  }
  return svg(800, 276, "latency by percentile and system", body);
}

/// One line a class: how many times as fast as the first system, with its range; 1 is marked.
std::string gain_picture(const WorkloadResult& w) {
  double reach = std::log(1.25);
  for (const auto& c : w.comparison.classes)
    for (const auto& m : c.measured) reach = std::max(reach, std::abs(m.log_ratio) + m.log_ratio_spread / 2);
  const auto x_of = [&](double log_gain) { return 430 + 260 * log_gain / reach; };
  std::string body;
  double y = 20;
  for (const double gain : {std::exp(-reach), 1.0, std::exp(reach)}) body += text_at(x_of(std::log(gain)), 12, fmt::format("{:.2g}x", gain), "middle");
  for (const auto& c : w.comparison.classes) {
    body += text_at(150, y + 8 + 5 * static_cast<double>(c.measured.size() - 1), c.name.substr(0, 20), "end");
    for (std::size_t k = 1; k < c.measured.size(); ++k, y += 10) {
      const auto& m = c.measured[k];
      const char* colour = colours[k % colours.size()];
      body += line_at(x_of(-m.log_ratio - m.log_ratio_spread / 2), y + 4, x_of(-m.log_ratio + m.log_ratio_spread / 2), y + 4, colour, 2);
      body += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='4' fill='{}'/>", x_of(-m.log_ratio), y + 4, colour);
    }
    y += 6;
  }
  body = "<g opacity='.4'>" + line_at(x_of(0), 16, x_of(0), y, "currentColor") + "</g>" + body;
  for (std::size_t k = 1; !w.comparison.classes.empty() && k < w.comparison.classes.front().measured.size(); ++k)
    body += fmt::format("<rect x='704' y='{}' width='10' height='10' fill='{}'/>", 12 + 18 * k, colours[k % colours.size()]) +
            text_at(720, 21 + 18 * static_cast<double>(k), w.comparison.classes.front().measured[k].label);
  return svg(860, std::max(y, 40.0 + 18 * 6), "gain by class and system", body);
}

// --- tables -----------------------------------------------------------------------------------------------------------------------------
std::vector<Document::Column> class_columns(const WorkloadResult& w) {
  std::vector<Document::Column> columns = {{"class", Align::code}, {"rows", Align::right}, {w.comparison.classes.front().measured.front().label + " p50", Align::right}, {"p95", Align::right}};
  for (std::size_t k = 1; k < w.comparison.classes.front().measured.size(); ++k)
    columns.push_back({w.comparison.classes.front().measured[k].label, Align::right});
  columns.push_back({"what was done", Align::left});
  columns.push_back({"statement", Align::left});
  return columns;
}

std::vector<std::vector<std::string>> class_rows(const WorkloadResult& w) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& c : w.comparison.classes) {
    const auto& first = c.measured.front();
    std::vector<std::string> row = {c.name, std::to_string(first.rows), shown_ms(first.p50), shown_ms(first.p95)};
    for (std::size_t k = 1; k < c.measured.size(); ++k) row.push_back(shown_gain(c.measured[k]));
    row.push_back(action_of(c.decided));
    row.push_back(c.what.substr(0, 300));
    rows.push_back(std::move(row));
  }
  return rows;
}

const std::vector<Document::Column>& load_columns() {
  static const std::vector<Document::Column> columns = {{"system", Align::left}, {"a second", Align::right}, {"p50", Align::right}, {"p95", Align::right}, {"p99", Align::right},
                                                        {"p99.9", Align::right}, {"longest", Align::right}, {"proxy CPU us", Align::right}, {"server CPU us", Align::right},
                                                        {"server CPU saved", Align::right}, {"proxy MB", Align::right}, {"errors", Align::right}};
  return columns;
}
std::vector<std::vector<std::string>> load_rows(const WorkloadResult& w) {
  std::vector<std::vector<std::string>> rows;
  const double server = w.load.front().server_cpu_us;
  for (const auto& l : w.load)
    rows.push_back({l.system, fmt::format("{:.0f} ±{:.0f}", l.tps, l.tps_spread / 2), shown_ms(l.p50), shown_ms(l.p95), shown_ms(l.p99), shown_ms(l.p999), shown_ms(l.max), shown_us(l.proxy_cpu_us),
                    shown_us(l.server_cpu_us), server > 0 && &l != &w.load.front() ? fmt::format("{:.0f} %", 100 * (1 - l.server_cpu_us / server)) : "-",
                    l.resident_mb > 0 ? fmt::format("{:.0f}", l.resident_mb) : "-", std::to_string(l.errors)});
  return rows;
}

std::string plain_table(const std::vector<Document::Column>& columns, const std::vector<std::vector<std::string>>& rows, std::size_t without_last) {
  const std::size_t count = columns.size() - without_last;
  std::vector<std::size_t> widths(count);
  for (std::size_t c = 0; c < count; ++c) {
    widths[c] = columns[c].name.size();
    for (const auto& row : rows) widths[c] = std::max(widths[c], row[c].size());
  }
  std::string text;
  const auto add = [&](std::size_t c, const std::string& cell) {
    text += columns[c].align == Align::right ? fmt::format("  {:>{}}", cell, widths[c]) : fmt::format("  {:<{}}", cell, widths[c]);
  };
  for (std::size_t c = 0; c < count; ++c) add(c, columns[c].name);
  text += '\n';
  for (const auto& row : rows) {
    for (std::size_t c = 0; c < count; ++c) add(c, row[c]);
    text += '\n';
  }
  return text;
}

std::string about_load(const Results& results) {
  return fmt::format("{} clients, {} rounds of {:g} s for each system in turn, {}.", results.clients, results.rounds, results.seconds,
                     results.rate > 0 ? fmt::format("open loop at {:g} a second: latency counts from the moment a statement was due", results.rate)
                                      : "closed loop: each client sends when it was answered");
}

}  // namespace

std::string to_table(const Results& results) {
  std::string text;
  for (const WorkloadResult& w : results.workloads) {
    text += fmt::format("\n== {}: {}\n", w.name, w.what);
    for (const auto& note : w.notes) text += "  " + note + "\n";
    if (!w.comparison.classes.empty())
      text += fmt::format("\n  times as fast as {}, each statement asked of all in turn (95 % of the rounds)\n", w.comparison.classes.front().measured.front().label) +
              plain_table(class_columns(w), class_rows(w), 1);
    if (!w.load.empty()) text += "\n  under load: " + about_load(results) + "\n" + plain_table(load_columns(), load_rows(w), 0);
  }
  for (const auto& line : results.left_out) text += "left out: " + line + "\n";
  return text;
}

std::string to_html(const Results& results) {
  Document page("pgsteer bench");
  page.paragraph(fmt::format("{}. {}; {}; scale {:g}; pgsteer {} ({}).", results.when, results.machine, results.server, results.scale, results.version, results.commit));
  page.paragraph("Systems: " + fmt::format("{}", fmt::join(results.systems, ", ")) + ". Command: " + results.command);
  for (const auto& line : results.left_out) page.paragraph("Left out: " + line);
  const auto wrong = faults(results);
  page.paragraph(wrong.empty() ? "Every answer was equal to that of the first system." : "NOT TO BE BELIEVED:");
  for (const auto& line : wrong) page.paragraph(line);
  for (const WorkloadResult& w : results.workloads) {
    page.heading(w.name + ": " + w.what);
    for (const auto& note : w.notes) page.paragraph(note);
    if (!w.load.empty()) {
      page.paragraph("Under load. " + about_load(results) + " Processor time is for a statement.");
      page.picture(throughput_picture(w));
      page.picture(latency_picture(w));
      page.table(load_columns(), load_rows(w));
    }
    if (!w.comparison.classes.empty()) {
      page.paragraph("Each statement asked of all systems in turn, one at a time, the order turning. Right of the line is faster than " + w.comparison.classes.front().measured.front().label +
                     "; the bar holds 95 % of the rounds.");
      page.picture(gain_picture(w));
      page.table(class_columns(w), class_rows(w));
    }
  }
  return page.html();
}

}  // namespace pgsteer::harness
