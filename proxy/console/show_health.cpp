// SHOW HEALTH: named checks. status is "ok", "off" (not asked for), or what is wrong; the row `settled` is "ok" or "working".
#include <fmt/format.h>

#include <map>

#include "proxy/console/command.hpp"
#include "proxy/console/result.hpp"
#include "proxy/learner/learner.hpp"

namespace pgsteer::proxy::console {

namespace {

/// The learner's own checks; anything but "ok" there is the better word than what can be seen from here.
std::map<std::string, std::string> learner_checks(const Hub& hub) {
  std::map<std::string, std::string> checks;
  if (hub.learner)
    for (auto& [check, status] : hub.learner->health()) checks[check] = status;
  return checks;
}

std::string worse(const std::map<std::string, std::string>& checks, const std::string& check, const std::string& seen_here) {
  const auto found = checks.find(check);
  return found == checks.end() || found->second == "ok" ? seen_here : found->second;
}

}  // namespace

ConsoleResult show_health(const Request& request) {
  const auto snapshot = request.hub.snapshot();
  const auto totals = request.hub.totals();
  const bool paused = request.hub.paused.load();
  Table table({{"check", Type::text}, {"status", Type::text}, {"detail", Type::text}});
  table.row("traffic", snapshot->panic ? "panic" : paused ? "paused" : "ok",
            snapshot->panic ? "every byte is relayed as it is; PANIC OFF ends it" : paused ? "RESUME ends it" : "");
  const auto redis = redis_state(*snapshot, request.hub.redis_breaker.load());
  table.row("redis", redis == "in use" ? "ok" : redis, redis == "off" || redis == "in use" ? "" : "answers come from the server meanwhile");
  const auto reload_error = request.hub.reload_error();
  table.row("configuration", reload_error.empty() ? "ok" : "degraded", reload_error.empty() ? "" : "the last reload was refused: " + reload_error);
  const std::string http = request.hub.http_status();
  table.row("http", http == "off" || http.starts_with("listens") ? "ok" : "degraded", http);
  auto checks = learner_checks(request.hub);
  table.row("model", worse(checks, "model", snapshot->model ? "ok" : "none yet"),
            snapshot->model ? snapshot->model->version() : "estimates come from history and calibration");
  table.row("model_failures", totals.model_failures ? "degraded" : "ok", fmt::format("{} predictions refused", totals.model_failures));
  table.row("fallbacks", "ok", fmt::format("{} changed statements were taken back because the server refused them", totals.fallbacks));
  if (!request.hub.learner) {
    table.row("learner", "off", "learning.enabled = false");
    return table;
  }
  const auto feedback = request.hub.learner->feedback();
  const auto lost = feedback.dropped + totals.feedback_dropped;
  table.row("feedback", feedback.error.empty() ? (lost ? "degraded" : "ok") : feedback.error,
            fmt::format("{} stored, {} dropped, {} waiting", feedback.stored, lost, feedback.spooled));
  table.row("training", worse(checks, "training", "ok"), request.hub.learner->training() ? "running" : "idle");
  table.row("settled", request.hub.learner->settled() ? "ok" : "working", "ok: feedback stored, no probe or exploration waiting");
  for (const char* shown : {"redis", "model", "training", "settled"}) checks.erase(shown);
  for (const auto& [check, status] : checks) table.row(check, status, "");
  return table;
}

}  // namespace pgsteer::proxy::console
