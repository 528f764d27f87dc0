#include "policies/replay.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "policies/decision.hpp"

namespace pgsteer::policies {
namespace {

constexpr std::string_view original = "as-is";

struct Measured {
  std::string label;
  double ms = 0;
};
/// The original and what was tried beside it, on one call.
struct Round {
  double default_ms = 0;
  std::vector<Measured> tried;
};
struct Served {
  std::string label;
  std::vector<std::string> possible;
  double ms = 0, probability = 1;
};
struct Statement {
  std::vector<Round> rounds;
  std::vector<Served> served;
};

std::vector<Statement> statements_of(std::span<const predictor::Feedback> feedback) {
  std::map<std::pair<std::string, std::string>, Statement> found;
  for (const auto& row : feedback) {
    if (!row.sqlstate.empty() || !std::isfinite(row.server_ms) || row.server_ms <= 0) continue;
    Statement& statement = found[{row.database, row.fingerprint}];
    if (row.source == "server") {
      if (!row.censored) statement.served.push_back({row.candidate, row.candidates, row.server_ms, std::clamp(row.probability, 0.01, 1.0)});
    } else if (row.source == "explore" && row.candidate == original) {
      if (!row.censored) statement.rounds.push_back({row.server_ms, {}});
    } else if (row.source == "explore" && !statement.rounds.empty()) {
      // Cancelled: how bad it is stays unknown, so it counts as the explorer counts it.
      Round& round = statement.rounds.back();
      round.tried.push_back({row.candidate, row.censored ? std::max(row.server_ms, 2 * round.default_ms) : row.server_ms});
    }
  }
  std::vector<Statement> list;
  for (auto& [key, statement] : found)
    if (!statement.served.empty()) list.push_back(std::move(statement));
  return list;
}

bool allowed(const SteerAction& bounds, std::string_view label) {
  if (!label.starts_with("arm:")) return false;
  const auto& arms = bounds.arms;
  return bounds.enabled && (arms.empty() || std::find(arms.begin(), arms.end(), label.substr(4)) != arms.end());
}

/// What a variant would have done to a statement.
struct Chosen {
  std::string label{original};
  double ratio = 1;      ///< of the original's time, by what was explored
  double explored_ms = 0;
};

Chosen play(const Statement& statement, const Variant& variant) {
  std::map<std::string, Evidence> evidence;
  Chosen chosen;
  const std::size_t rounds = variant.rounds == 0 ? statement.rounds.size() : std::min(variant.rounds, statement.rounds.size());
  for (std::size_t i = 0; i < rounds; ++i) {
    chosen.explored_ms += statement.rounds[i].default_ms;
    for (const auto& [label, ms] : statement.rounds[i].tried) {
      if (!allowed(variant.bounds, label)) continue;
      Evidence& entry = evidence[label];
      entry.label = label;
      if (entry.state == Evidence::State::rejected) continue;
      chosen.explored_ms += ms;
      learn(entry, ms, statement.rounds[i].default_ms, true, variant.bounds);
    }
  }
  for (const auto& [label, entry] : evidence) {
    if (entry.state != Evidence::State::approved || entry.worst_ratio > variant.bounds.max_regression) continue;
    const double least_ms = std::chrono::duration<double, std::milli>(variant.bounds.min_gain_time).count();
    const double mean_ms = entry.explored_default_ms / static_cast<double>(entry.explored);
    if (mean_ms < std::chrono::duration<double, std::milli>(variant.bounds.floor).count() || entry.gain() * mean_ms < least_ms) continue;
    if (1 - entry.gain() < chosen.ratio) {
      chosen.label = label;
      chosen.ratio = 1 - entry.gain();
    }
  }
  return chosen;
}

double usual_ms(const Statement& statement) {
  double sum = 0, count = 0;
  for (const auto& round : statement.rounds) sum += round.default_ms, ++count;
  if (count == 0) {
    for (const auto& served : statement.served)
      if (served.label == original) sum += served.ms, ++count;
  }
  return count > 0 ? sum / count : statement.served.front().ms;
}

/// What the served executions would have taken under `label`.
double value(const Statement& statement, const std::string& label, double predicted_ms, double* supported_ms = nullptr) {
  double sum = 0;
  for (const auto& served : statement.served) {
    sum += predicted_ms;
    if (served.label == label) sum += (served.ms - predicted_ms) / served.probability;
    const bool possible = label == original || std::find(served.possible.begin(), served.possible.end(), label) != served.possible.end();
    if (supported_ms && possible) *supported_ms += predicted_ms;
  }
  return sum;
}

struct Totals {
  std::vector<double> under, without;  ///< of every statement: under the variant, all originals
};

double ratio_of(const Totals& totals, const std::vector<std::size_t>& draw) {
  double under = 0, without = 0;
  for (const auto i : draw) under += totals.under[i], without += totals.without[i];
  return without > 0 ? under / without : 1;
}

std::pair<double, double> middle_90(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values[values.size() / 20], values[values.size() - 1 - values.size() / 20]};
}

}  // namespace

std::vector<Variant> variants(const SteerAction& present) {
  std::vector<Variant> list{{"as it is", present, 0}};
  const auto add = [&](std::string name, std::size_t rounds, const auto& change) {
    Variant variant{std::move(name), present, rounds};
    change(variant.bounds);
    list.push_back(std::move(variant));
  };
  std::vector<std::string> arms = present.arms;
  if (arms.empty())
    for (const auto& arm : rewriter::arms()) arms.push_back(arm.name);
  for (const auto& arm : arms)
    if (arms.size() > 1) add("without " + arm, 0, [&](SteerAction& b) { b.arms = arms; std::erase(b.arms, arm); });
  for (const double gain : {0.1, 0.2, 0.35, 0.5})
    if (gain != present.min_gain) add(fmt::format("min_gain {:.0f} %", gain * 100), 0, [&](SteerAction& b) { b.min_gain = gain; });
  for (const double most : {1.0, 1.05, 1.1})
    if (most < present.max_regression) add(fmt::format("max_regression {:g}", most), 0, [&](SteerAction& b) { b.max_regression = most; });
  for (const std::size_t rounds : {3, 5, 8}) add(fmt::format("{} rounds of exploring", rounds), rounds, [](SteerAction&) {});
  return list;
}

std::vector<Evaluation> evaluate(std::span<const predictor::Feedback> feedback, std::span<const Variant> variants, std::uint64_t seed) {
  constexpr int draws = 400;
  const auto statements = statements_of(feedback);
  std::vector<Evaluation> result;
  if (statements.empty() || variants.empty()) return result;
  std::vector<Totals> totals;
  for (const auto& variant : variants) {
    Evaluation e;
    e.name = variant.name;
    Totals& sums = totals.emplace_back();
    double supported_ms = 0, predicted_ms = 0;
    for (const auto& statement : statements) {
      const Chosen chosen = play(statement, variant);
      const double usual = usual_ms(statement);
      sums.under.push_back(value(statement, chosen.label, usual * chosen.ratio, &supported_ms));
      sums.without.push_back(value(statement, std::string(original), usual));
      predicted_ms += usual * chosen.ratio * static_cast<double>(statement.served.size());
      e.explored_ms += chosen.explored_ms;
      if (chosen.label == original) continue;
      ++e.steered;
      e.worse += sums.under.back() > 1.2 * sums.without.back();
    }
    e.supported = predicted_ms > 0 ? supported_ms / predicted_ms : 0;
    result.push_back(std::move(e));
  }
  std::mt19937_64 random(seed);
  std::vector<std::vector<double>> ratios(variants.size()), against(variants.size());
  std::vector<std::size_t> draw(statements.size());
  for (std::size_t i = 0; i < draw.size(); ++i) draw[i] = i;
  for (std::size_t v = 0; v < variants.size(); ++v) result[v].ratio = ratio_of(totals[v], draw);
  for (int n = 0; n < draws; ++n) {
    for (auto& i : draw) i = random() % statements.size();  // the same statements for all: what they have in common cancels out
    const double first = ratio_of(totals[0], draw);
    for (std::size_t v = 0; v < variants.size(); ++v) {
      ratios[v].push_back(ratio_of(totals[v], draw));
      against[v].push_back(ratios[v].back() - first);
    }
  }
  for (std::size_t v = 0; v < variants.size(); ++v) {
    Evaluation& e = result[v];
    std::tie(e.low, e.high) = middle_90(std::move(ratios[v]));
    std::tie(e.against_low, e.against_high) = middle_90(std::move(against[v]));
    e.against = e.ratio - result[0].ratio;
    e.better = e.against <= -0.01 && e.against_high < 0;
  }
  return result;
}

}  // namespace pgsteer::policies
