#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include <fmt/format.h>

#include "bench/workload/compare.hpp"

namespace pgsteer::workload {
namespace {

using Json = nlohmann::json;

/// Three significant digits and a unit that fits: 63us, 4.20ms, 187ms, 1.35s.
std::string duration(double milliseconds) {
  if (milliseconds < 1) return fmt::format("{:.0f}us", milliseconds * 1000);
  if (milliseconds < 10) return fmt::format("{:.2f}ms", milliseconds);
  if (milliseconds < 100) return fmt::format("{:.1f}ms", milliseconds);
  if (milliseconds < 1000) return fmt::format("{:.0f}ms", milliseconds);
  return fmt::format("{:.2f}s", milliseconds / 1000);
}

std::string pair_of(const Measured& measured) { return fmt::format("{} {}", duration(measured.p50), duration(measured.p95)); }

/// "rewrite:not_in 3/4" by frequency; as-is only when nothing else was done.
std::string done_text(const Decided& decided) {
  if (!decided.known) return "-";
  std::vector<std::pair<int, std::string>> ordered;
  int total = 0;
  for (const auto& [action, count] : decided.actions) {
    ordered.emplace_back(count, action);
    total += count;
  }
  std::sort(ordered.rbegin(), ordered.rend());
  std::string text;
  for (const auto& [count, action] : ordered) {
    if (action == "as-is" && ordered.size() > 1) continue;
    text += fmt::format("{}{}{}", text.empty() ? "" : ", ", action, count == total ? "" : fmt::format(" {}/{}", count, total));
  }
  return text;
}

/// The action most statements of the class got.
std::string main_action(const Decided& decided) {
  std::string best;
  int most = 0;
  for (const auto& [action, count] : decided.actions) {
    if (count > most) {
      most = count;
      best = action;
    }
  }
  return best;
}

/// How much slower than direct a class may be, in milliseconds: the ratio of the two differs that much from round to round, and
/// the way through a proxy costs what SELECT 1 costs more, once a round trip.
double noise(const ClassResult& result, const Measured& measured, double hop_ms) {
  return result.measured.front().p50 * std::expm1(measured.log_ratio_spread) + hop_ms * result.round_trips;
}
double slower_by(const ClassResult& result, const Measured& measured) { return result.measured.front().p50 * std::expm1(measured.log_ratio); }
double gain(const ClassResult& result) { return std::exp(-result.measured.back().log_ratio); }
bool surely_faster(const Measured& measured) { return measured.log_ratio + measured.log_ratio_spread < 0; }

void check_class(const std::string& phase, const Comparison& comparison, const ClassResult& result, std::vector<std::string>& failures) {
  for (std::size_t k = 1; k < result.measured.size(); ++k) {
    const Measured& measured = result.measured[k];
    if (result.unequal > 0) {
      failures.push_back(fmt::format("{}: {}: {} of {} answers differ from the direct ones; first: {}", phase, result.name, result.unequal, result.compared, result.first_unequal));
    }
    if (measured.errors > 0) failures.push_back(fmt::format("{}: {}: {} errors; first: {}", phase, result.name, measured.errors, measured.first_error));
    const double slower = slower_by(result, measured), allowed = noise(result, measured, comparison.hop_ms);
    if (result.name != "hop" && slower > allowed) {
      failures.push_back(fmt::format("{}: {} is slower than direct by {}, its noise is {}", phase, result.name, duration(slower), duration(allowed)));
    }
  }
}

void to_json_value(Json& json, const Measured& m) {
  json = {{"label", m.label}, {"p50_ms", m.p50}, {"p95_ms", m.p95}, {"mean_ms", m.mean}, {"log_ratio", m.log_ratio},
          {"log_ratio_spread", m.log_ratio_spread}, {"rows", m.rows}, {"errors", m.errors}, {"first_error", m.first_error}};
}

Measured measured_of(const Json& json) {
  return {json.at("label"), json.at("p50_ms"), json.at("p95_ms"), json.at("mean_ms"), json.at("log_ratio"),
          json.at("log_ratio_spread"), json.at("rows"), json.at("errors"), json.at("first_error")};
}

/// One line over all classes but the hop: how many are faster and slower by more than their noise, and what they take together.
std::string summary(const Comparison& comparison) {
  int count = 0, faster = 0, slower = 0;
  double logs = 0, direct = 0, other = 0;
  for (const ClassResult& result : comparison.classes) {
    if (result.name == "hop" || result.measured.size() < 2) continue;
    const Measured& measured = result.measured.back();
    ++count;
    faster += surely_faster(measured);
    slower += slower_by(result, measured) > noise(result, measured, comparison.hop_ms);
    logs += measured.log_ratio;
    direct += result.measured.front().p50;
    other += measured.p50;
  }
  if (count == 0) return {};
  return fmt::format("{} classes: {} faster and {} slower than direct by more than their noise; medians together {} direct, {} {}; geometric mean of the gains {:.2f}x\n", count,
                     faster, slower, duration(direct), duration(other), comparison.classes.front().measured.back().label, std::exp(-logs / count));
}

}  // namespace

std::string to_json(const Comparison& comparison) {
  Json json = {{"dataset", comparison.dataset}, {"seed", comparison.seed}, {"rounds", comparison.rounds}, {"hop_ms", comparison.hop_ms}, {"classes", Json::array()}};
  for (const ClassResult& result : comparison.classes) {
    Json entry = {{"name", result.name}, {"what", result.what}, {"statements", result.statements}, {"round_trips", result.round_trips}, {"compared", result.compared},
                  {"unequal", result.unequal}, {"first_unequal", result.first_unequal}, {"noise_ms", noise(result, result.measured.back(), comparison.hop_ms)}, {"measured", Json::array()}};
    for (const Measured& measured : result.measured) {
      Json value;
      to_json_value(value, measured);
      entry["measured"].push_back(value);
    }
    const Decided& d = result.decided;
    entry["decided"] = {{"known", d.known}, {"actions", d.actions}, {"reasons", d.reasons}, {"predicted_ms", d.predicted_ms}, {"actual_ms", d.actual_ms}, {"q_error", d.q_error}};
    json["classes"].push_back(entry);
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

Comparison from_json(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    Comparison comparison{json.at("dataset"), json.at("seed"), json.at("rounds"), json.at("hop_ms"), {}};
    for (const Json& entry : json.at("classes")) {
      ClassResult result;
      result.name = entry.at("name");
      result.what = entry.at("what");
      result.statements = entry.at("statements");
      result.round_trips = entry.at("round_trips");
      result.compared = entry.at("compared");
      result.unequal = entry.at("unequal");
      result.first_unequal = entry.at("first_unequal");
      for (const Json& value : entry.at("measured")) result.measured.push_back(measured_of(value));
      const Json& d = entry.at("decided");
      result.decided = {d.at("known"), d.at("actions"), d.at("reasons"), d.at("predicted_ms"), d.at("actual_ms"), d.at("q_error")};
      comparison.classes.push_back(std::move(result));
    }
    return comparison;
  } catch (const Json::exception& error) {
    throw std::runtime_error(std::string("comparison file: ") + error.what());
  }
}

std::string to_table(const Comparison& comparison) {
  std::string text = fmt::format("{:16}", "class");
  for (const Measured& measured : comparison.classes.front().measured) text += fmt::format(" {:>17}", measured.label + " p50 p95");
  text += fmt::format(" {:>7} {:>9} {:>7} {:>6}  {}\n", "gain", "noise", "rows", "equal", "done");
  for (const ClassResult& result : comparison.classes) {
    text += fmt::format("{:16}", result.name);
    for (const Measured& measured : result.measured) text += fmt::format(" {:>17}", pair_of(measured));
    text += fmt::format(" {:>6.2f}x {:>9} {:>7} {:>6}  {}\n", gain(result), duration(noise(result, result.measured.back(), comparison.hop_ms)), result.measured.front().rows,
                        result.compared == 0 ? "-" : result.unequal == 0 ? "yes" : "NO", done_text(result.decided));
  }
  return text + summary(comparison);
}

std::vector<std::string> verdict(const std::string& phase, const Comparison& comparison) {
  std::vector<std::string> failures;
  for (const ClassResult& result : comparison.classes) check_class(phase, comparison, result, failures);
  return failures;
}

Report report(const Comparison& observe, const Comparison& after, bool demand_gains) {
  Report result;
  result.text = fmt::format("{:16} {:>17} {:>17} {:>7} {:>17} {:>7} {:>8} {:>7} {:>17}  {}\n{:16} {:>17} {:>17} {:>7} {:>17} {:>7} {:>8} {:>7} {:>17}  {}\n", "class", "direct", "observe", "gain",
                            "after learning", "gain", "noise", "rows", "predicted/actual", "what was done", "", "p50 p95", "p50 p95", "", "p50 p95", "", "", "a round", "", "");
  bool rewritten = false, steered = false, cached = false;
  for (std::size_t i = 0; i < after.classes.size(); ++i) {
    const ClassResult& now = after.classes[i];
    const auto before = std::find_if(observe.classes.begin(), observe.classes.end(), [&](const ClassResult& c) { return c.name == now.name; });
    if (before == observe.classes.end() || now.measured.size() < 2) throw std::runtime_error("the two comparisons are of different classes");
    const Decided& shown = now.decided.actual_ms > 0 ? now.decided : before->decided;  // cached answers have no server time
    const std::string prediction = shown.known && shown.actual_ms > 0 ? fmt::format("{}/{}", duration(shown.predicted_ms), duration(shown.actual_ms)) : "-";
    result.text += fmt::format("{:16} {:>17} {:>17} {:>6.2f}x {:>17} {:>6.2f}x {:>8} {:>7} {:>17}  {}\n", now.name, pair_of(now.measured.front()), pair_of(before->measured.back()),
                               gain(*before), pair_of(now.measured.back()), gain(now), duration(noise(now, now.measured.back(), after.hop_ms)), now.measured.front().rows, prediction, done_text(now.decided));
    check_class("observe", observe, *before, result.failures);
    check_class("after learning", after, now, result.failures);
    const bool faster = surely_faster(now.measured.back());
    const std::string action = main_action(now.decided);
    rewritten |= faster && action.rfind("rewrite:", 0) == 0;
    steered |= faster && action.rfind("arm:", 0) == 0;
    cached |= faster && action == "cache";
  }
  result.text += fmt::format("\nGain: median over all statements of direct / the column before it, each statement asked of both one after the other.\n"
                             "The direct column was measured beside the last phase; the first phase had its own, printed above.\n"
                             "Noise: how far the median ratios of the {} rounds lie apart (95 %), plus, once a round trip, what SELECT 1 costs more through pgsteer ({} observing, {} after).\n", after.rounds,
                             duration(observe.hop_ms), duration(after.hop_ms));
  if (demand_gains) {
    if (!rewritten) result.failures.emplace_back("no class was rewritten and faster than direct by more than its noise");
    if (!steered) result.failures.emplace_back("no class was steered and faster than direct by more than its noise");
    if (!cached) result.failures.emplace_back("no class was cached and faster than direct by more than its noise");
  }
  return result;
}

}  // namespace pgsteer::workload
