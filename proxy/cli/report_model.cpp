// pgsteer report model: one page about the predictor's model, from the registry and the feedback store. Needs no running daemon, and
// reads only: it may be made beside one.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>

#include "predictor/feedback.hpp"
#include "predictor/predictor.hpp"
#include "predictor/quality.hpp"
#include "proxy/cli/cli.hpp"
#include "proxy/cli/report_charts.hpp"
#include "proxy/cli/report_versions.hpp"
#include "proxy/cli/report_window.hpp"
#include "proxy/config.hpp"
#include "proxy/console/result.hpp"
#include "proxy/learner/fleet_store.hpp"
#include "proxy/reload.hpp"

namespace pgsteer::proxy::cli {
namespace {

using console::human_ms;
using predictor::Accuracy;
using predictor::Judged;
using predictor::Quality;
using Align = Document::Column::Align;

constexpr std::size_t sampled_rows = 300;  // a millisecond each
constexpr std::size_t least_of_template = 5, least_of_bucket = 5;

void add(Accuracy& accuracy, const Judged& row) { accuracy.add(row.actual_ms, row.estimate_ms, row.low_ms, row.high_ms); }

std::string share(double value) { return fmt::format("{:.1f} %", 100 * value); }
std::string factor(double value) { return value < 100 ? fmt::format("{:.2f}", value) : fmt::format("{:.3g}", value); }

std::string origin_text(const Quality::Origin& origin) {
  if (origin.model()) return "model " + (origin.version.empty() ? std::string("(unnamed)") : origin.version);
  return origin.source == "history" ? "no model: the statement's past runs" : "no model: cold start";
}

/// Which of the rows the tables and pictures are about: the model's, or, without any, those that were estimated without one.
struct Subject {
  bool model = false;
  std::vector<const Judged*> rows;
  const char* words() const { return model ? "estimates of a model" : "estimates made without a model"; }
};

Subject subject_of(const Quality& quality) {
  Subject out;
  out.model = std::any_of(quality.rows.begin(), quality.rows.end(), [&](const Judged& row) { return quality.origins[row.origin].model(); });
  for (const Judged& row : quality.rows)
    if (quality.origins[row.origin].model() == out.model) out.rows.push_back(&row);
  return out;
}

/// The registry is in the state directory; the rows may be elsewhere.
std::string source_text(const std::string& state, const predictor::FeedbackStore& store) {
  return store.place().starts_with(state) ? state : fmt::format("{} and {}", state, store.place());
}

std::vector<std::string> figures_row(const std::string& name, const Accuracy::Figures& f) {
  const auto p99 = f.rows < 100 ? std::string("too few") : factor(f.p99_q);
  const auto r2 = std::isnan(f.r2_log) ? std::string("none") : fmt::format("{:.3f}", f.r2_log);
  return {name, std::to_string(f.rows), factor(f.median_q), factor(f.p90_q), p99, share(f.within_2x), r2, human_ms(f.mean_error_ms),
          human_ms(f.mean_ms), factor(f.bias)};
}

void add_counts(Document& document, const Quality& quality) {
  std::vector<std::vector<std::string>> cells{{"executions recorded", std::to_string(quality.recorded)},
                                              {"judged", std::to_string(quality.rows.size())}};
  const std::pair<const char*, std::size_t> left_out[] = {{"cancelled or timed out (the time is only a lower bound)", quality.censored},
                                                          {"failed", quality.failed},
                                                          {"not answered by the server (cache)", quality.cached},
                                                          {"without an estimate", quality.unpredicted},
                                                          {"without a time", quality.unmeasured}};
  for (const auto& [words, count] : left_out)
    if (count > 0) cells.push_back({fmt::format("left out: {}", words), std::to_string(count)});
  document.table({{"what"}, {"number", Align::right}}, std::move(cells));
}

void add_accuracy(Document& document, const Quality& quality, const std::string& current) {
  document.heading("How right it was");
  add_counts(document, quality);
  if (quality.rows.empty()) return;
  std::map<std::uint32_t, Accuracy> by_origin;
  Accuracy all_models, others;
  std::size_t versions = 0;
  for (const Judged& row : quality.rows) {
    add(by_origin[row.origin], row);
    add(quality.origins[row.origin].model() ? all_models : others, row);
  }
  std::vector<std::pair<std::string, std::vector<std::string>>> order;  // the version in use, other versions, no model
  for (const auto& [origin, accuracy] : by_origin) {
    const auto& o = quality.origins[origin];
    versions += o.model();
    const bool in_use = o.model() && o.version == current;
    order.emplace_back(in_use ? "0" : o.model() ? "1" + o.version : "3" + o.source,
                       figures_row(origin_text(o) + (in_use ? ", in use" : ""), accuracy.figures()));
  }
  if (versions > 1) order.emplace_back("2", figures_row("all versions together", all_models.figures()));
  std::sort(order.begin(), order.end());
  std::vector<std::vector<std::string>> cells;
  for (auto& [rank, row] : order) cells.push_back(std::move(row));
  document.table({{"estimated by"}, {"executions", Align::right}, {"median q-error", Align::right}, {"90th", Align::right}, {"99th", Align::right},
                  {"within 2x", Align::right}, {"R2 of log", Align::right}, {"mean error", Align::right}, {"mean time", Align::right},
                  {"bias", Align::right}}, std::move(cells));
  document.paragraph("q-error: the greater of predicted / actual and actual / predicted; 1 is right, 2 is wrong by half or by double. Mean error: "
                     "the mean distance from the actual time, which few slow executions decide. Bias: the geometric mean of predicted / actual; "
                     "below 1 the estimates are too low. Each execution is judged by the estimate that was made before it ran.");
}

void add_scatter(Document& document, const Quality& quality) {
  std::vector<std::pair<double, double>> model, others;
  for (const Judged& row : quality.rows) (quality.origins[row.origin].model() ? model : others).emplace_back(row.actual_ms, row.estimate_ms);
  document.heading("Predicted against actual");
  const auto draw = [&](const std::vector<std::pair<double, double>>& pairs, const char* whose) {
    if (pairs.empty()) return;
    document.chart(scatter_chart(pairs, fmt::format("Predicted against actual time, {} executions {}", pairs.size(), whose)),
                   fmt::format("{} executions {}. The darker a cell, the more of them (each shade: a like factor more). Full line: right; "
                               "dashed: off by 2x.", pairs.size(), whose));
  };
  draw(model, "estimated by a model");
  draw(others, "estimated without a model");
}

using Groups = std::map<std::string, Accuracy>;
Groups by_class(const Subject& subject) {
  Groups groups;
  for (const Judged* row : subject.rows)
    add(groups[row->statement_class ? std::string(to_string(*row->statement_class)) : "unknown (another feature schema)"], *row);
  return groups;
}

void add_classes(Document& document, const Groups& groups) {
  std::vector<std::vector<std::string>> cells;
  for (const auto& [name, accuracy] : groups) {
    auto row = figures_row(name, accuracy.figures());
    row.insert(row.begin() + 2, human_ms(accuracy.figures().median_ms));
    cells.push_back(std::move(row));
  }
  document.heading("By class of statement");
  document.table({{"class"}, {"executions", Align::right}, {"median time", Align::right}, {"median q-error", Align::right}, {"90th", Align::right},
                  {"99th", Align::right}, {"within 2x", Align::right}, {"R2 of log", Align::right}, {"mean error", Align::right},
                  {"mean time", Align::right}, {"bias", Align::right}}, std::move(cells));
}

void add_templates(Document& document, const Quality& quality, const Subject& subject, const Texts& texts, std::size_t top) {
  std::map<std::uint32_t, Accuracy> statements;
  for (const Judged* row : subject.rows) add(statements[row->statement], *row);
  std::vector<std::pair<Accuracy::Figures, std::string>> order;
  std::size_t rare = 0;
  for (const auto& [statement, accuracy] : statements) {
    if (accuracy.rows() < least_of_template) ++rare;
    else order.emplace_back(accuracy.figures(), quality.fingerprints[statement]);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first.median_q > b.first.median_q; });
  std::vector<std::vector<std::string>> cells;
  for (const auto& [f, fingerprint] : order) {
    if (cells.size() == top) break;
    cells.push_back({factor(f.median_q), factor(f.bias), std::to_string(f.rows), human_ms(f.median_ms), share(f.inside), fingerprint,
                     statement_text(texts, fingerprint)});
  }
  document.heading("By statement, the worst first");
  std::string rest;
  if (rare > 0) rest = fmt::format(" {} with fewer than {} executions say too little, and are left out.", rare, least_of_template);
  if (!cells.empty())
    document.table({{"median q-error", Align::right}, {"bias", Align::right}, {"executions", Align::right}, {"median time", Align::right},
                    {"inside", Align::right}, {"fingerprint", Align::code}, {"statement", Align::code}}, std::move(cells));
  document.paragraph(fmt::format("{} of {} statements.{}", std::min(order.size(), top), statements.size(), rest));
}

/// Width of a point in time: the shortest that leaves at most a hundred of them.
std::int64_t step_of(std::int64_t span_us) {
  for (const std::int64_t seconds : {60, 600, 3600, 6 * 3600, 86400, 7 * 86400})
    if (span_us / (seconds * 1000000) < 100) return seconds * 1000000;
  return 28 * 86400 * std::int64_t{1000000};
}

std::string step_text(std::int64_t step_us) {
  const auto seconds = step_us / 1000000;
  const auto of = [](std::int64_t n, const char* unit) { return n == 1 ? std::string(unit) : fmt::format("{} {}s", n, unit); };
  return seconds < 3600 ? of(seconds / 60, "minute") : seconds < 86400 ? of(seconds / 3600, "hour") : of(seconds / 86400, "day");
}

/// The judged rows cut into pieces of time.
struct Drift {
  std::int64_t from_us = 0, to_us = 0, step_us = 0;
  std::map<std::int64_t, Accuracy> model, others;  ///< by begin
  std::vector<TimeChart::Mark> versions;           ///< the one that most rows of a piece came from, where it changed
};

Drift drift_of(const Quality& quality) {
  Drift out;
  if (quality.rows.empty()) return out;
  out.step_us = step_of(quality.rows.back().unix_us - quality.rows.front().unix_us);
  const auto begin_of = [&](const Judged& row) { return row.unix_us / out.step_us * out.step_us; };
  out.from_us = begin_of(quality.rows.front());
  out.to_us = begin_of(quality.rows.back()) + out.step_us;
  std::map<std::int64_t, std::map<std::string, std::size_t>> makers;
  for (const Judged& row : quality.rows) {
    const auto& origin = quality.origins[row.origin];
    add((origin.model() ? out.model : out.others)[begin_of(row)], row);
    if (origin.model()) ++makers[begin_of(row)][origin.version];
  }
  for (const auto& [begin, counts] : makers) {
    const auto& version = std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) { return a.second < b.second; })->first;
    if (out.versions.empty() || out.versions.back().label != version) out.versions.push_back({begin, version});
  }
  return out;
}

std::string drift_chart(const Drift& drift, const std::string& label, TimeChart::Scale scale, double nominal, double Accuracy::Figures::*figure) {
  TimeChart chart{label, drift.from_us, drift.to_us, drift.step_us, scale, nominal, {}, drift.versions};
  for (const auto& [name, pieces] : {std::pair{"model", &drift.model}, std::pair{"no model", &drift.others}}) {
    TimeChart::Series series{name, {}};
    for (const auto& [begin, accuracy] : *pieces)
      if (accuracy.rows() >= least_of_bucket) series.points.emplace_back(begin + drift.step_us / 2, accuracy.figures().*figure);
    chart.series.push_back(std::move(series));
  }
  return time_chart(chart);
}

void add_calibration(Document& document, const Subject& subject, const Groups& classes, const Drift& drift) {
  Accuracy all;
  for (const Judged* row : subject.rows) add(all, *row);
  std::vector<std::vector<std::string>> cells;
  const auto add_row = [&](const std::string& name, const Accuracy::Figures& f) {
    cells.push_back({name, std::to_string(f.rows), share(f.inside), share(f.faster), share(f.slower), factor(f.median_width) + " times"});
  };
  add_row("all", all.figures());
  for (const auto& [name, accuracy] : classes) add_row(name, accuracy.figures());
  document.heading("Calibration of the 90 % interval");
  document.table({{"class"}, {"executions", Align::right}, {"inside", Align::right}, {"faster than said", Align::right},
                  {"slower than said", Align::right}, {"median width, high / low", Align::right}}, std::move(cells));
  document.paragraph("Of what ran, 90 % should lie inside. Fewer: the intervals promise too much. More: they are wider than they need be. "
                     "What was cancelled or timed out counts nowhere here; it would have been slower than said.");
  document.chart(drift_chart(drift, "Share of executions inside their 90 % interval over time", TimeChart::Scale::percent, 0.9,
                             &Accuracy::Figures::inside),
                 fmt::format("Share inside the interval, by {}; full line: the 90 % promised.", step_text(drift.step_us)));
}

void add_drift(Document& document, const Drift& drift) {
  document.heading("Drift over time");
  document.chart(drift_chart(drift, "Median q-error over time", TimeChart::Scale::logarithmic, 1, &Accuracy::Figures::median_q),
                 fmt::format("Median q-error, by {}; 1 is right.", step_text(drift.step_us)));
  document.chart(drift_chart(drift, "Bias over time: predicted / actual", TimeChart::Scale::logarithmic, 1, &Accuracy::Figures::bias),
                 fmt::format("Bias (predicted / actual), by {}; below 1 the estimates are too low.", step_text(drift.step_us)));
  document.paragraph(fmt::format("Dashed verticals: another version made most of the estimates from here on. A point needs {} executions.",
                                 least_of_bucket));
}

void add_importance(Document& document, const Quality& quality, const Versions& versions, std::size_t top) {
  document.heading("What its estimates rest on");
  std::string error;
  const auto model = predictor::Model::load(versions.current()->model.directory, &error);
  if (!model) {
    document.paragraph("The version in use cannot be loaded: " + error);
    return;
  }
  const auto gains = versions.current()->gains();
  const auto shap = predictor::feature_importance(*model, quality.sample, quality.sampled);
  std::vector<std::vector<std::string>> cells;
  for (const auto& feature : shap) {
    if (cells.size() == top || feature.mean_log < 0.001) break;
    const auto gain = gains.find(feature.feature);
    cells.push_back({feature.words, feature.unit, fmt::format("{:.3f} times", std::exp(feature.mean_log)),
                     gain == gains.end() ? "" : share(gain->second), feature.feature});
  }
  if (cells.empty()) {
    document.paragraph("Nothing in this window was recorded with features this build knows; below, the gain that each brought in training.");
    for (const auto& [name, gain] : gains) cells.push_back({name, "", "", share(gain), name});
    std::stable_sort(cells.begin(), cells.end(), [&](const auto& a, const auto& b) { return gains.at(a.back()) > gains.at(b.back()); });
  }
  document.table({{"feature"}, {"unit"}, {"moves an estimate by", Align::right}, {"share of gain", Align::right}, {"name", Align::code}},
                 std::move(cells));
  document.paragraph(fmt::format("Moves an estimate by: the mean of |SHAP contribution|, as a factor, over {} judged executions of this window (a "
                                 "seeded sample), in the version in use. What an estimate starts from, the statement's latest runs or the plan's "
                                 "costs by operator, is not in it: the trees only correct that. Share of gain: of the training error that splits on "
                                 "this feature took away; only the first 20 are kept.", quality.sampled));
}

Document page(const ReportOptions& options, const Window& window, const std::string& state, const std::string& name,
              const predictor::FeedbackStore& store, const Quality& quality, const Texts& texts) {
  const Versions versions(state, name);
  Document document("pgsteer: model report");
  document.paragraph(fmt::format("From {} to {}. Source: {}; made by pgsteer {} on {}.", time_text(window.from_us), time_text(window.to_us), source_text(state, store),
                                 PGSTEER_VERSION, time_text(unix_us())));
  versions.add_to(document);
  const auto current = versions.current() ? versions.current()->model.version : std::string();
  if (quality.recorded == 0) {
    std::string ignored;
    const auto span = store.read_span(&ignored);
    if (span.rows == 0) document.paragraph("Nothing was recorded yet.");
    else document.paragraph(fmt::format("Nothing was recorded in this window. The store has {} executions from {} to {}; --since all takes them all.",
                                        span.rows, time_text(span.first_us), time_text(span.last_us)));
  }
  add_accuracy(document, quality, current);
  if (!quality.rows.empty()) {
    const auto subject = subject_of(quality);
    const auto classes = by_class(subject);
    const auto drift = drift_of(quality);
    add_scatter(document, quality);
    document.paragraph(fmt::format("The tables that follow are about the {} {}.", subject.rows.size(), subject.words()));
    add_classes(document, classes);
    add_templates(document, quality, subject, texts, options.top);
    add_calibration(document, subject, classes, drift);
    add_drift(document, drift);
  } else if (quality.recorded > 0) {
    document.paragraph("No execution of this window has both an estimate and a time of the server that is known: there is nothing to judge by.");
  }
  if (versions.current()) add_importance(document, quality, versions, options.top);
  document.heading("What this page does not show");
  document.paragraph("Executions that were not recorded: of a frequent statement at most 20 a second are, and the oldest go when the store is full. "
                     "How the server's time varies when the same statement runs again, which no model can foresee. What a decision made of a "
                     "wrong estimate: see pgsteer report workload. The figures of training are each version's own, on rows held out from it, and "
                     "not comparable between versions.");
  return document;
}

int report(const ReportOptions& options, const std::string& name) {
  const auto fail = [](int code, const std::string& message) {
    std::cerr << "pgsteer report model: " << message << "\n";
    return code;
  };
  std::vector<std::string> errors;
  const auto config = Config::load(options.settings.config_file, options.settings.overrides(), &errors);
  for (const auto& error : errors) std::cerr << error << "\n";
  if (!config) return exit_config;
  Window window;
  std::string error;
  if (!read_times(options, unix_us(), &window, &error)) return fail(exit_usage, error);
  const auto state = state_directory(*config);
  std::error_code ignored;
  if (config->learning.store_url.empty() && !std::filesystem::exists(state + "/feedback.db", ignored))
    return fail(exit_failure, fmt::format("no feedback store: {}/feedback.db is not there; pgsteer run makes it, --state-dir names another place",
                                          state));
  Quality quality;
  const auto store = learning::open_feedback_store(*config, true, &error);
  if (!store || !predictor::read_quality(*store, window.from_us, window.to_us, sampled_rows, &quality, &error)) return fail(exit_failure, error);
  const auto document = page(options, window, state, name, *store, quality, store->read_statements(&error));
  if (!write_report(document, options, &error)) return fail(exit_failure, error);
  if (!options.output.empty() && options.output != "-")
    std::cerr << fmt::format("{}: {} executions, {} of them judged\n", options.output, quality.recorded, quality.rows.size());
  return exit_ok;
}

}  // namespace

std::function<int()> add_report_model(CLI::App& app, const std::string&) {
  auto options = std::make_shared<ReportOptions>();
  options->since = "7d";
  options->html_unless_said = true;
  add_report_options(app, *options);
  return [options] { return report(*options, "latency"); };
}

}  // namespace pgsteer::proxy::cli
