// EXPLAIN (PGSTEER): the plan in words. A reader must see who decided, on what evidence, what was not done and why, what goes to
// the server, and how to turn it off.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "proxy/console/console.hpp"
#include "proxy/console/result.hpp"
#include "proxy/console/sql_diff.hpp"

namespace pgsteer::proxy {
namespace {

using console::human_ms;

class Rows {
 public:
  void head(std::string_view text) { rows_.emplace_back(text); }
  void field(std::string_view name, std::string_view value) { rows_.push_back(fmt::format("  {:<12} {}", name, value)); }
  void more(std::string_view value) { rows_.push_back(fmt::format("  {:<12} {}", "", value)); }
  void line(std::string_view value) { rows_.push_back(fmt::format("    {}", value)); }
  std::vector<std::string> take() { return std::move(rows_); }

 private:
  std::vector<std::string> rows_;
};

std::string group_words(const Plan& plan) {
  if (plan.decision.mode != policies::Mode::canary) return {};
  if (plan.decision.control) return ", this execution: control group";
  return plan.decision.candidate != 0 ? ", this execution: treated" : "";
}

void add_head(Rows& rows, const Plan& plan, const Snapshot& snapshot) {
  const auto& policy = plan.policy;
  const std::string rule = policy.rule.empty() ? "default" : policy.rule;
  const std::string where = policy.where.empty() ? "built in" : policy.where;
  rows.head(fmt::format("pgsteer: rule \"{}\" ({})  mode {}{}", rule, where, policies::to_string(plan.decision.mode), group_words(plan)));
  if (snapshot.panic) rows.field("Panic", "on: every byte is relayed as it is; PANIC OFF on the console ends it");
  if (plan.decision.mode != policy.mode)
    rows.field("Mode", fmt::format("the rule says {}; the console, the session or the statement made it {}",
                                   policies::to_string(policy.mode), policies::to_string(plan.decision.mode)));
  const auto& analysis = *plan.analysis;
  rows.field("Statement", fmt::format("{}, fingerprint {}{}", sql::to_string(analysis.kind), analysis.fingerprint_hex,
                                      analysis.why_not == sql::WhyNot::none
                                          ? std::string()
                                          : fmt::format(", not analysed: {}", sql::to_string(analysis.why_not))));
  rows.field("Versions", fmt::format("snapshot {}, catalog {}, model {}", plan.snapshot_version,
                                     snapshot.catalog(plan.database) ? std::to_string(snapshot.catalog(plan.database)->version)
                                                                     : std::string("not known yet"),
                                     snapshot.model ? snapshot.model->version() : std::string("none yet")));
}

std::string estimate_words(const predictor::Estimate& estimate) {
  std::string text = fmt::format("{} (90 %: {} ... {}), {:.0f} rows, from {}", human_ms(estimate.ms), human_ms(estimate.ms_low),
                                 human_ms(estimate.ms_high), estimate.rows, predictor::to_string(estimate.source));
  if (!estimate.model_version.empty()) text += " " + estimate.model_version;
  return text;
}

void add_expectation(Rows& rows, const Plan& plan, const predictor::Model* model) {
  if (plan.decision.candidate < plan.estimates.size()) rows.field("Predicted", estimate_words(plan.estimates[plan.decision.candidate]));
  if (model && !plan.features.empty())
    for (const std::string& reason : predictor::explain_estimate(plan.features.front(), *model)) rows.field("Because", reason);
  if (plan.knowledge && plan.knowledge->history.count > 0)
    rows.field("History", fmt::format("{} runs, typically {}, last {}", plan.knowledge->history.count,
                                      human_ms(std::exp(plan.knowledge->history.ewma_log_ms)), human_ms(plan.knowledge->history.last_ms)));
  else rows.field("History", "first sight of this statement");
  if (plan.default_plan || (plan.knowledge && plan.knowledge->plan.known)) {
    const auto& facts = plan.default_plan ? *plan.default_plan : plan.knowledge->plan;
    rows.field("Server plan", fmt::format("cost {:.0f}, {:.0f} rows, {} nodes, shape {:016x}{}", facts.total_cost, facts.rows, facts.nodes, facts.shape,
                                          plan.default_plan ? "" : ", of an earlier call"));
  }
}

std::string evidence_words(const policies::Evidence& evidence) {
  std::string text = fmt::format("evidence: {} served and {} explored runs, median {}, {}", evidence.runs, evidence.explored,
                                 human_ms(evidence.median_ms), policies::to_string(evidence.state));
  if (std::isfinite(evidence.gain_low()) && evidence.label != "as-is") text += fmt::format(", gain at least {:.0f} %", evidence.gain_low() * 100);
  if (!evidence.why.empty()) text += " (" + evidence.why + ")";
  return text;
}

/// An arm's evidence holds for one plan of PostgreSQL's own.
std::string plan_of_words(const Plan& plan, const policies::Evidence& evidence) {
  if (evidence.plan == 0) return {};
  const bool this_one = plan.default_plan && plan.default_plan->shape == evidence.plan;
  return fmt::format(", under plan {:016x}, cost {:.0f} to {:.0f}{}", evidence.plan, evidence.cost_low, evidence.cost_high,
                     this_one ? ": this execution's" : "");
}

std::string judgement_words(const policies::RewriteJudgement& judgement) {
  return fmt::format("EXPLAIN cost {:.0f} -> {:.0f}, result columns {}, {}{}", judgement.cost_original, judgement.cost_rewritten,
                     judgement.columns_equal ? "identical" : "differ", judgement.approved ? "approved" : "not approved",
                     judgement.why.empty() ? std::string() : fmt::format(" ({})", judgement.why));
}

/// Why candidate `i` is not what is sent; "" when it is.
std::string why_not(const Plan& plan, std::size_t i) {
  const auto& decision = plan.decision;
  if (i == decision.candidate) return {};
  if (i == decision.suggested) return fmt::format("not sent: {} ({})", policies::to_string(decision.reason), "it is what pgsteer would do");
  const std::string label = plan.candidates[i].label();
  if (plan.knowledge) {
    if (!plan.knowledge->pinned.empty() && plan.knowledge->pinned != label)
      return fmt::format("not sent: '{}' is pinned", plan.knowledge->pinned);
    if (plan.knowledge->banned.find(label) != std::string::npos) return "not sent: banned on the console";
    if (const auto* rewrite = plan.knowledge->rewrite(label); rewrite && !rewrite->approved) return "not sent: the cost gate refused it";
    const auto* evidence = plan.knowledge->find(label, plan.default_plan ? plan.default_plan->shape : 0);
    if (evidence && evidence->state != policies::Evidence::State::approved)
      return fmt::format("not sent: its evidence is {}", policies::to_string(evidence->state));
  }
  if (i == 0) return "not sent: another candidate is expected to be faster";
  return fmt::format("not sent: {}", policies::to_string(decision.reason));
}

/// Rewrites that PostgreSQL was asked about and that were refused: no candidates any more, but part of the answer.
bool add_refused(Rows& rows, const Plan& plan) {
  if (!plan.knowledge) return false;
  bool any = false;
  for (const auto& judgement : plan.knowledge->rewrites) {
    const bool listed = std::any_of(plan.candidates.begin(), plan.candidates.end(), [&](const auto& c) { return c.label() == judgement.label; });
    if (listed || judgement.approved) continue;
    rows.line(fmt::format("  [-] {}", judgement.label));
    rows.line("        refused: " + judgement_words(judgement));
    any = true;
  }
  return any;
}

/// The first reason the rules give, as for a session with the database's own settings.
std::string why_no_rewrite(const Plan& plan, const Snapshot& snapshot, std::string_view text) {
  const auto* catalog = snapshot.catalog(plan.database);
  if (!catalog) return "the catalog is not known yet";
  sql::Query query;
  query.text = text;
  std::string why;
  rewriter::rewrite(query, *plan.analysis, *catalog, {}, &why);
  return why.empty() ? "other session settings" : why;
}

void add_candidates(Rows& rows, const Plan& plan, const Snapshot& snapshot, std::string_view text) {
  rows.field("Candidates", fmt::format("{}", plan.candidates.size()));
  for (std::size_t i = 0; i < plan.candidates.size(); ++i) {
    const auto& candidate = plan.candidates[i];
    const std::string label = candidate.label();
    rows.line(fmt::format("{} [{}] {}", i == plan.decision.candidate ? '*' : ' ', i, label));
    const auto detail = [&](const std::string& words) { rows.line(fmt::format("        {}", words)); };
    if (i < plan.estimates.size()) detail("predicted " + estimate_words(plan.estimates[i]));
    if (plan.knowledge) {
      if (const auto* judgement = plan.knowledge->rewrite(label)) detail(judgement_words(*judgement));
      for (const auto& evidence : plan.knowledge->evidence)
        if (evidence.label == label) detail(evidence_words(evidence) + plan_of_words(plan, evidence));
    }
    for (const auto& rule : rewriter::all_rules())
      if (std::find(candidate.rules.begin(), candidate.rules.end(), rule.name) != candidate.rules.end())
        detail(fmt::format("{}: {}", rule.name, rule.summary));
    if (const auto arm = rewriter::arm_named(candidate.arm)) detail(arm->why);
    if (!candidate.facts.empty()) detail(fmt::format("relies on: {}", fmt::join(candidate.facts, "; ")));
    if (const auto reason = why_not(plan, i); !reason.empty()) detail(reason);
  }
  if (add_refused(rows, plan) || plan.candidates.size() > 1) return;
  if (!plan.policy.rewrite_enabled && !plan.policy.steer.enabled) rows.line("      the rule turns rewriting and steering off");
  else if (!plan.analysis->read_only_select()) rows.line("      only a plain SELECT is ever changed");
  else if (!plan.knowledge || !plan.knowledge->judged) rows.line("      the background has not looked at this statement yet");
  else rows.line(fmt::format("      no rewrite rule fits ({}) and no hint set was found worth trying", why_no_rewrite(plan, snapshot, text)));
}

void add_cache(Rows& rows, const Plan& plan, const Snapshot& snapshot) {
  if (plan.decision.cache == policies::CacheDirective::look_up) {
    const auto& action = plan.policy.cache;
    std::string text = fmt::format("look-up, {}", cache::to_string(action.mode));
    if (action.mode == cache::Consistency::ttl || action.mode == cache::Consistency::bounded)
      text += fmt::format(", at most {} ms old", action.staleness.count());
    std::vector<std::string> names;
    const auto* catalog = snapshot.catalog(plan.database);
    if (plan.knowledge && catalog)
      for (const auto oid : plan.knowledge->cache.relations)
        if (const auto* relation = catalog->by_oid(oid)) names.push_back(relation->schema + "." + relation->name);
    if (!names.empty()) text += fmt::format(", void when one of these changes: {}", fmt::join(names, ", "));
    rows.field("Cache", text);
    return;
  }
  std::string text = fmt::format("no: {}", cache::to_string(plan.decision.cache_reason));
  if (plan.knowledge && plan.knowledge->cache.reason == plan.decision.cache_reason && !plan.knowledge->cache.detail.empty())
    text += fmt::format(" ({})", plan.knowledge->cache.detail);
  rows.field("Cache", text);
}

void add_reuse(Rows& rows, const Plan& plan) {
  if (!plan.policy.reuse) return;
  rows.field("Reuse", plan.decision.mode < policies::Mode::canary ? "no: the mode changes nothing"
                      : !reusable(plan)                           ? "no: not a statement that a prepared one could stand for"
                                                                  : "outside of transaction blocks, once it repeats, while that pays");
}

void add_decision(Rows& rows, const Plan& plan) {
  const auto& decision = plan.decision;
  rows.field("Decision", fmt::format("send [{}] {}, because {}{}, probability {:.3g}", decision.candidate, plan.chosen().label(),
                                     policies::to_string(decision.reason),
                                     decision.detail.empty() ? std::string() : fmt::format(" ({})", decision.detail),
                                     decision.probability));
  if (decision.suggested != decision.candidate && decision.suggested < plan.candidates.size())
    rows.more(fmt::format("would send [{}] {} if the mode allowed it", decision.suggested, plan.candidates[decision.suggested].label()));
  if (!decision.lane.empty() || !decision.route.empty())
    rows.more(fmt::format("lane {}, route {}", decision.lane.empty() ? "default" : decision.lane,
                          decision.route.empty() ? "primary" : decision.route));
}

void add_lines(Rows& rows, std::string_view text) {
  std::size_t at = 0, lines = 0;
  while (at <= text.size()) {
    const auto end = std::min(text.find('\n', at), text.size());
    if (++lines > 200) {
      rows.line("...");
      return;
    }
    rows.line(text.substr(at, end - at));
    at = end + 1;
  }
}

void add_sent(Rows& rows, const Plan& plan, std::string_view text) {
  const auto& sent = plan.chosen();
  for (const auto& setting : sent.settings) {
    if (&setting == &sent.settings.front()) rows.field("Settings", "for this statement only");
    rows.line(fmt::format("SET LOCAL {} = {}", setting.name, setting.value));
  }
  rows.field("Sent", sent.text.empty() ? "the original, byte for byte" : "instead of the original:");
  add_lines(rows, sent.text.empty() ? text : std::string_view(sent.text));
}

/// The difference that matters: of what is sent, else of what would be.
void add_difference(Rows& rows, const Plan& plan, std::string_view text) {
  std::size_t which = plan.decision.candidate;
  if (plan.candidates[which].text.empty() && plan.decision.suggested < plan.candidates.size()) which = plan.decision.suggested;
  const auto& candidate = plan.candidates[which];
  if (candidate.text.empty()) return;
  rows.field("Difference", fmt::format("- original, + {}{}", candidate.label(), which == plan.decision.candidate ? "" : " (not sent)"));
  for (const auto& line : console::diff_statements(text, candidate.text)) rows.line(line);
}

void add_undo(Rows& rows, const Plan& plan) {
  const std::size_t which = plan.decision.candidate ? plan.decision.candidate : plan.decision.suggested;
  if (which && which < plan.candidates.size())
    rows.field("Undo", fmt::format("on the console: BAN '{}' '{}'", plan.analysis->fingerprint_hex, plan.candidates[which].label()));
  rows.field("Turn off", "here: SET pgsteer.mode = off; for one statement: /* pgsteer:off */; everywhere: PANIC on the console");
}

}  // namespace

std::vector<std::string> explain_plan(const Plan& plan, const Snapshot& snapshot, std::string_view text) {
  Rows rows;
  if (!plan.analysis || plan.candidates.empty() || plan.decision.candidate >= plan.candidates.size()) {
    rows.head("pgsteer: no plan was made; the statement is relayed as it is");
    return rows.take();
  }
  add_head(rows, plan, snapshot);
  add_expectation(rows, plan, snapshot.model.get());
  add_candidates(rows, plan, snapshot, text);
  add_cache(rows, plan, snapshot);
  add_reuse(rows, plan);
  add_decision(rows, plan);
  add_sent(rows, plan, text);
  add_difference(rows, plan, text);
  add_undo(rows, plan);
  return rows.take();
}

}  // namespace pgsteer::proxy
