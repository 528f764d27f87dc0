// The policy set in plain words: one sentence a rule.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "policies/overlay.hpp"
#include "policies/toml_value.hpp"

namespace pgsteer::policies {
namespace {

std::string duration_words(std::chrono::microseconds duration) {
  const double ms = static_cast<double>(duration.count()) / 1000;
  if (ms >= 60000) return fmt::format("{:g} min", ms / 60000);
  if (ms >= 1000) return fmt::format("{:g} s", ms / 1000);
  return fmt::format("{:g} ms", ms);
}

std::string mode_words(Mode mode, const CanaryAction& canary) {
  switch (mode) {
    case Mode::off: return "off: the bytes are relayed, nothing is looked at";
    case Mode::observe: return "observe: measured and predicted, nothing is changed";
    case Mode::suggest: return "suggest: what would be done is recorded, nothing is changed";
    case Mode::canary:
      return fmt::format("canary: acts on {:g} % of the executions, {:g} % are the control group", canary.share * 100,
                         canary.control * 100);
    case Mode::auto_: return "auto: acts wherever the evidence allows";
  }
  return {};
}

std::string rewrite_words(const Effective& e) {
  if (!e.rewrite_enabled) return "rewrites nothing";
  std::string words = e.rewrite.all ? "rewrites with all rules" : "rewrites with " + join_names(e.rewrite.only, " and ");
  if (!e.rewrite.excluded.empty()) words += " but " + join_names(e.rewrite.excluded, " and ");
  return words;
}

std::string steer_words(const SteerAction& steer) {
  if (!steer.enabled) return "does not steer the planner";
  return fmt::format("steers the planner with {} from {} on, by at most {:g} times the default's time, {}",
                     steer.arms.empty() ? "the default arms" : "the arms " + join_names(steer.arms, " and "),
                     duration_words(steer.floor), steer.max_regression,
                     steer.explore_offline
                         ? fmt::format("trying arms out for {:g} % of the execution time", steer.explore_budget * 100)
                         : "never trying arms out");
}

std::string cache_words(const CacheAction& cache) {
  const std::string size = fmt::format(" (results up to {} bytes)", cache.max_result);
  switch (cache.mode) {
    case cache::Consistency::off: return "caches nothing";
    case cache::Consistency::strict:
      return (cache.learn ? "caches with strict consistency where it has been seen to pay"
                          : "caches with strict consistency") + size;
    case cache::Consistency::strict_wal: return "caches with strict consistency, writes that bypass pgsteer included" + size;
    case cache::Consistency::bounded:
    case cache::Consistency::ttl:
      return fmt::format("caches ({}) answers up to {} old", to_string(cache.mode), duration_words(cache.staleness)) + size;
  }
  return {};
}

void add_rest(const Effective& e, std::vector<std::string>& parts) {
  if (!e.lane.empty()) parts.push_back("runs in lane " + e.lane);
  if (!e.route.empty()) parts.push_back("goes to the " + e.route);
  if (!e.limits.any()) return;
  const char* then = e.limits.on_exceed == LimitAction::OnExceed::reject  ? "is rejected"
                     : e.limits.on_exceed == LimitAction::OnExceed::queue ? "has to queue"
                                                                          : "gets a warning";
  if (e.limits.max_predicted)
    parts.push_back(fmt::format("what is predicted to take more than {} {}", duration_words(*e.limits.max_predicted), then));
  if (e.limits.rate_per_user)
    parts.push_back(fmt::format("what comes faster than {:g} a second of one user {}", *e.limits.rate_per_user, then));
  for (const auto& [tag, rate] : e.limits.rate_per_tag)
    parts.push_back(fmt::format("what comes faster than {:g} a second with one value of tag {} {}", rate, tag, then));
}

std::string action_words(const Effective& e) {
  std::vector<std::string> parts{mode_words(e.mode, e.canary)};
  if (e.mode > Mode::observe) {
    parts.push_back(rewrite_words(e));
    if (e.mode >= Mode::canary && e.rewrite_enabled)
      parts.push_back(e.verify > 0 ? fmt::format("verifies {:g} % of the rewritten executions", e.verify * 100)
                                   : "verifies no rewritten execution");
    parts.push_back(steer_words(e.steer));
    if (e.mode >= Mode::canary)
      parts.push_back(fmt::format("leaves a statement alone that has lost {} within an hour, and observes once all have lost {}",
                                  duration_words(e.regret.fingerprint), duration_words(e.regret.policy)));
    parts.push_back(cache_words(e.cache));
    if (e.reuse) parts.push_back("runs what repeats without being prepared as a prepared statement, where that has been measured to pay");
    add_rest(e, parts);
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::string match_words(const Match& match) {
  std::vector<std::string> parts;
  const auto add = [&](const std::string& what, const Globs& globs) {
    if (!globs.empty()) parts.push_back(what + " " + join_names(globs));
  };
  add("statement kind", match.statement);
  add("table", match.table);
  add("database", match.database);
  add("user", match.user);
  add("application", match.application);
  add("client address", match.client_address);
  add("fingerprint", match.fingerprint);
  for (const auto& [key, globs] : match.tag) add("tag " + key, globs);
  return parts.empty() ? "every statement (no later rule is ever reached)" : fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

std::string PolicySet::explain() const {
  std::string text;
  const Effective base = over(defaults_, Effective{});
  std::size_t number = 0;
  for (const Rule& rule : rules_)
    text += fmt::format("{}. {} ({}): for {}: {}.\n", ++number, rule.name, rule.where, match_words(rule.match),
                        action_words(over(rule.actions, base)));
  text += fmt::format("{} ({}): {}.\n", rules_.empty() ? "Every statement" : "Everything else",
                      defaults_where_.empty() ? "built-in" : defaults_where_, action_words(base));
  for (const Lane& lane : lanes_) {
    text += fmt::format("Lane {}: {}{}{}.\n", lane.name,
                        lane.concurrency == 0 ? std::string("any number of statements at once")
                                              : fmt::format("{} statements at once", lane.concurrency),
                        lane.max_predicted ? ", for what is predicted to take up to " + duration_words(*lane.max_predicted)
                                           : "",
                        lane.queue_timeout ? ", waiting at most " + duration_words(*lane.queue_timeout) : "");
  }
  return text;
}

}  // namespace pgsteer::policies
