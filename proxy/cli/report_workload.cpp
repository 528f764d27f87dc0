// pgsteer report workload: one file about a time window, from the feedback store and the audit log. Needs no running daemon.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <set>

#include "policies/policy.hpp"
#include "predictor/feedback.hpp"
#include "proxy/cli/cli.hpp"
#include "proxy/cli/report_window.hpp"
#include "proxy/config.hpp"
#include "proxy/console/result.hpp"
#include "proxy/learner/fleet_store.hpp"
#include "proxy/reload.hpp"

namespace pgsteer::proxy::cli {
namespace {

using console::human_ms;
using Align = Document::Column::Align;

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

bool collect(const predictor::FeedbackStore& store, const Window& window, Rows& rows, std::string* error) {
  return store.read_window(window.from_us, window.to_us, "", [&](const predictor::Observation& o) {
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

int report(const ReportOptions& options) {
  const auto fail = [](int code, const std::string& message) {
    std::cerr << "pgsteer report workload: " << message << "\n";
    return code;
  };
  std::vector<std::string> errors;
  const auto config = Config::load(options.settings.config_file, options.settings.overrides(), &errors);
  for (const auto& error : errors) std::cerr << error << "\n";
  if (!config) return exit_config;
  const auto now = unix_us();
  Window window;
  std::string error;
  if (!read_times(options, now, &window, &error)) return fail(exit_usage, error);
  const auto state = state_directory(*config);
  Rows rows, before;
  const auto store = learning::open_feedback_store(*config, true, &error);
  if (!store || !collect(*store, window, rows, &error)) return fail(exit_failure, error);
  collect(*store, {2 * window.from_us - window.to_us, window.from_us}, before, &error);
  const auto texts = store->read_statements(&error);
  const auto audit = audit_lines(state, window);

  Document document("pgsteer: workload report");
  document.paragraph(fmt::format("From {} to {}. Source: {}; made by pgsteer {} on {}.", time_text(window.from_us), time_text(window.to_us),
                                 config->learning.store_url.empty() ? state : store->place(),
                                 PGSTEER_VERSION, time_text(now)));
  if (rows.empty()) document.paragraph("Nothing was recorded in this window.");
  add_summary(document, rows, before);
  add_top(document, rows, texts, options.top);
  add_changes(document, rows, before, texts, options.top);
  add_gains(document, rows, texts, options.top);
  add_audit(document, audit);
  add_advice(document, rows, audit);
  if (!write_report(document, options, &error)) return fail(exit_failure, error);
  if (options.output.empty() || options.output == "-") return exit_ok;
  std::cerr << fmt::format("{}: {} executions of {} statements\n", options.output,
                           [&] { std::uint64_t n = 0; for (const auto& [key, row] : rows) n += row.calls; return n; }(), rows.size());
  return exit_ok;
}

}  // namespace

std::function<int()> add_report_workload(CLI::App& app, const std::string&) {
  auto options = std::make_shared<ReportOptions>();
  add_report_options(app, *options);
  return [options] { return report(*options); };
}

}  // namespace pgsteer::proxy::cli
