// The state of the process on one page, and how the last hour went.
#include "proxy/hosts/hosts.hpp"
#include "proxy/http/points.hpp"

namespace pgsteer::proxy::http {

ordered_json point_of(const Span& s) {
  const double seconds = s.seconds > 0 ? s.seconds : 1;
  const auto per_second = [&](std::uint64_t count) { return number(static_cast<double>(count) / seconds); };
  const auto looked = s.cache_hits + s.cache_misses;
  return {{"unix_ms", s.unix_us / 1000},
          {"queries_per_second", per_second(s.queries)},
          {"transactions_per_second", per_second(s.transactions)},
          {"errors_per_second", per_second(s.errors)},
          {"p50_ms", number(s.quantile_ms(0.50))},
          {"p95_ms", number(s.quantile_ms(0.95))},
          {"p99_ms", number(s.quantile_ms(0.99))},
          {"cache_hit_ratio", looked ? number(static_cast<double>(s.cache_hits) / static_cast<double>(looked)) : ordered_json(nullptr)},
          {"cache_hits_per_second", per_second(s.cache_hits)},
          {"rewritten_per_second", per_second(s.rewritten)},
          {"steered_per_second", per_second(s.steered)},
          {"saved_ms_per_second", number(s.saved_ms / seconds)},
          {"overhead_us", number(s.queries ? s.proxy_us / static_cast<double>(s.queries) : 0)},
          {"bytes_in_per_second", per_second(s.bytes_in)},
          {"bytes_out_per_second", per_second(s.bytes_out)},
          {"clients", s.clients},
          {"active", s.active},
          {"waiting", s.waiting}};
}

ordered_json event_of(const LogEvent& event) {
  ordered_json fields = ordered_json::object();
  std::string name;
  for (auto& [key, value] : log_fields(event.text)) {
    if (key == "event") name = value;
    fields[key] = std::move(value);
  }
  return {{"id", event.id}, {"unix_ms", event.unix_us / 1000}, {"level", event.level}, {"event", name}, {"text", event.text}, {"fields", std::move(fields)}};
}

Response overview(const Call& call) {
  const auto snapshot = call.hub.snapshot();
  const auto t = call.hub.totals();
  const auto memory = call.hub.memory.statistics();
  ordered_json changes = ordered_json::array();
  if (call.hub.events) {
    for (const auto& event : call.hub.events->newest(500, 0)) {
      if (changes.size() == 20) break;
      // What somebody or something changed, or what is wrong; not every slow statement or client.
      const bool change = event.level != "info" || event.text.starts_with("audit ") || event.text.find("event=admin_command") != std::string::npos ||
                          event.text.find("event=reload") != std::string::npos || event.text.find("event=ready") != std::string::npos;
      if (change) changes.push_back(event_of(event));
    }
  }
  const auto health = run_console_command(call.hub, {"http", false}, "SHOW HEALTH");
  ordered_json document{{"version", PGSTEER_VERSION},
                        {"mode", policies::to_string(snapshot->console_mode.value_or(snapshot->config->mode.initial))},
                        {"mode_bound", snapshot->console_mode ? ordered_json(policies::to_string(*snapshot->console_mode)) : ordered_json(nullptr)},
                        {"panic", snapshot->panic},
                        {"paused", call.hub.paused.load()},
                        {"started_unix_ms", call.hub.started_unix_us / 1000},
                        {"upstream", call.hub.hosts->endpoint(0).host},
                        {"now", point_of(call.trend.last(10))},
                        {"totals", {{"queries", t.queries}, {"transactions", t.transactions}, {"errors", t.errors}, {"rewritten", t.rewritten},
                                    {"steered", t.steered}, {"cache_hits", t.cache_hits}, {"cache_misses", t.cache_misses}, {"fallbacks", t.fallbacks},
                                    {"not_analysed", t.not_analysed}, {"feedback_dropped", t.feedback_dropped},
                                    {"saved_ms", number(call.hub.learner ? call.hub.learner->saved_ms() : 0)}}},
                        {"cache", {{"bytes", memory.bytes}, {"max_bytes", memory.max_bytes}, {"entries", memory.entries}}},
                        {"health", rows_of(health, 0, kMaxRows)},
                        {"changes", std::move(changes)}};
  return json_response(document);
}

Response trend(const Call& call) {
  std::uint64_t seconds = 900, step = 5;
  if (!read_number(call.request, "seconds", Trend::kSeconds, &seconds) || seconds == 0) return error(400, "seconds: expected a whole number from 1 to 3600");
  if (!read_number(call.request, "step", Trend::kSeconds, &step) || step == 0) return error(400, "step: expected a whole number from 1 to 3600");
  ordered_json points = ordered_json::array();
  for (const auto& span : call.trend.spans(seconds, step)) points.push_back(point_of(span));
  return json_response({{"step_seconds", step}, {"points", std::move(points)}});
}

}  // namespace pgsteer::proxy::http
