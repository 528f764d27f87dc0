// SHOW ADVICE: what is known to pay and is not being done. Every row carries its evidence and the policy rule that would do it;
// nothing here acts.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "proxy/console/command.hpp"
#include "proxy/console/result.hpp"
#include "proxy/learner/learner.hpp"

namespace pgsteer::proxy::console {
namespace {

struct Advice {
  double saves_ms = 0;  ///< per call, expected; 0 when only the planner's cost is known
  std::string fingerprint, database, kind, advice, evidence, rule;
};

std::string rule_for(const policies::Knowledge& knowledge, std::string_view action) {
  return fmt::format("[[rule]] name = \"{0}\", match = {{ fingerprint = \"{0}\", database = \"{1}\" }}, {2}", knowledge.fingerprint,
                     knowledge.database, action);
}

void advise_rewrites(const policies::Knowledge& knowledge, std::vector<Advice>& into) {
  for (const auto& rewrite : knowledge.rewrites) {
    if (!rewrite.approved) continue;
    into.push_back({0, knowledge.fingerprint, knowledge.database, "rewrite", "use " + rewrite.label,
                    fmt::format("EXPLAIN cost {:.0f} -> {:.0f}, result columns identical", rewrite.cost_original, rewrite.cost_rewritten),
                    rule_for(knowledge, "mode = \"auto\"")});
  }
}

void advise_measured(const policies::Knowledge& knowledge, std::vector<Advice>& into) {
  const auto* as_is = knowledge.find("as-is");
  for (const auto& evidence : knowledge.evidence) {
    if (evidence.state != policies::Evidence::State::approved || evidence.label == "as-is") continue;
    const double saves = as_is ? std::max(0.0, as_is->median_ms - evidence.median_ms) : 0;
    into.push_back({saves, knowledge.fingerprint, knowledge.database, evidence.label.starts_with("arm:") ? "hint set" : "rewrite",
                    "use " + evidence.label,
                    fmt::format("{} served and {} explored runs, median {}, gain at least {:.0f} %", evidence.runs, evidence.explored,
                                human_ms(evidence.median_ms), evidence.gain_low() * 100),
                    rule_for(knowledge, "mode = \"auto\"")});
  }
}

void advise_cache(const policies::Knowledge& knowledge, const QueryStatistics& query, std::vector<Advice>& into) {
  if (knowledge.cache.state != cache::Judgement::State::cacheable || query.calls < 10 || query.cache_hits > 0 || query.mean_ms < 1) return;
  into.push_back({query.mean_ms, knowledge.fingerprint, knowledge.database, "cache", "answer repeats from the cache",
                  fmt::format("{} calls, mean {}, reads {} relations, proved cacheable", query.calls, human_ms(query.mean_ms),
                              knowledge.cache.relations.size()),
                  rule_for(knowledge, "mode = \"auto\", cache = { mode = \"strict\" }")});
}

/// Modes in which an approved thing is already done by itself.
bool acts(const Snapshot& snapshot, const std::string& last_action, const std::string& label) {
  return !snapshot.panic && last_action.find(label) != std::string::npos;
}

}  // namespace

ConsoleResult show_advice(const Request& request) {
  const auto snapshot = request.hub.snapshot();
  Table table({{"fingerprint", Type::text}, {"database", Type::text}, {"kind", Type::text}, {"advice", Type::text},
               {"evidence", Type::text}, {"saves_ms_per_call", Type::float8}, {"policy_rule", Type::text}});
  if (!snapshot->knowledge) return table;
  std::map<std::pair<std::string, std::string>, QueryStatistics> queries;
  if (request.hub.learner)
    for (auto& query : request.hub.learner->queries()) queries[{query.fingerprint, query.database}] = query;
  std::vector<Advice> advice;
  for (const auto& [key, knowledge] : *snapshot->knowledge) {
    if (!knowledge) continue;
    const auto& query = queries[{knowledge->fingerprint, knowledge->database}];
    std::vector<Advice> mine;
    advise_rewrites(*knowledge, mine);
    advise_measured(*knowledge, mine);
    advise_cache(*knowledge, query, mine);
    for (auto& one : mine)
      if (!acts(*snapshot, query.action, one.advice.substr(4)) && knowledge->banned.find(one.advice.substr(4)) == std::string::npos)
        advice.push_back(std::move(one));
  }
  std::stable_sort(advice.begin(), advice.end(), [](const Advice& a, const Advice& b) { return a.saves_ms > b.saves_ms; });
  for (const auto& one : advice) table.row(one.fingerprint, one.database, one.kind, one.advice, one.evidence, one.saves_ms, one.rule);
  return table;
}

}  // namespace pgsteer::proxy::console
