// SHOW HEALTH: named checks. status is "ok", "off" (not asked for), or what is wrong; only the row `settled` says yes or no.
#include <fmt/format.h>

#include <set>

#include "proxy/console/command.hpp"
#include "proxy/console/result.hpp"
#include "proxy/learner/learner.hpp"

namespace pgsteer::proxy::console {

ConsoleResult show_health(const Request& request) {
  const auto snapshot = request.hub.snapshot();
  const auto totals = request.hub.totals();
  Table table({{"check", Type::text}, {"status", Type::text}, {"detail", Type::text}});
  std::set<std::string> seen;
  const auto add = [&](const std::string& check, const std::string& status, const std::string& detail = {}) {
    if (seen.insert(check).second) table.row(check, status, detail);
  };
  add("traffic", snapshot->panic ? "panic" : request.hub.paused.load() ? "paused" : "ok",
      snapshot->panic ? "every byte is relayed as it is; PANIC OFF ends it" : request.hub.paused.load() ? "RESUME ends it" : "");
  const auto redis = redis_state(*snapshot, request.hub.redis_breaker.load());
  add("redis", redis == "in use" ? "ok" : redis, redis == "off" || redis == "in use" ? "" : "answers come from the server meanwhile");
  add("model", snapshot->model ? "ok" : "none yet",
      snapshot->model ? snapshot->model->version() : "estimates come from history and calibration");
  add("model_failures", totals.model_failures ? "degraded" : "ok", fmt::format("{} predictions refused", totals.model_failures));
  add("fallbacks", "ok", fmt::format("{} rewrites were taken back because the server refused them", totals.fallbacks));
  if (request.hub.learner) {
    for (const auto& [check, status] : request.hub.learner->health()) add(check, status);
    const auto feedback = request.hub.learner->feedback();
    const auto lost = feedback.dropped + totals.feedback_dropped;
    add("feedback", feedback.error.empty() ? (lost ? "degraded" : "ok") : feedback.error,
        fmt::format("{} stored, {} dropped, {} waiting on disk", feedback.stored, lost, feedback.spooled));
    add("training", "ok", request.hub.learner->training() ? "running" : "idle");
    add("settled", request.hub.learner->settled() ? "yes" : "no", "yes: feedback stored, no probe or exploration waiting");
  } else {
    add("learner", "off", "learning.enabled = false");
  }
  return table;
}

}  // namespace pgsteer::proxy::console
