// What each endpoint answers, as JSON Schema. The tests hold every answer against it, additional fields included.
#include <functional>
#include <map>

#include "proxy/http/json.hpp"

namespace pgsteer::proxy::http {
namespace {

const ordered_json text{{"type", "string"}}, whole{{"type", "integer"}}, truth{{"type", "boolean"}}, real{{"type", "number"}};
const ordered_json real_or_null{{"type", "number"}, {"nullable", true}}, text_or_null{{"type", "string"}, {"nullable", true}},
    truth_or_null{{"type", "boolean"}, {"nullable", true}}, anything{{"type", "object"}};

ordered_json object_of(ordered_json properties) {
  ordered_json required = ordered_json::array();
  for (const auto& [name, schema] : properties.items()) required.push_back(name);
  return {{"type", "object"}, {"required", std::move(required)}, {"properties", std::move(properties)}};
}
ordered_json list_of(ordered_json items) { return {{"type", "array"}, {"items", std::move(items)}}; }

ordered_json schema_of(std::uint32_t type) {
  if (type == 16) return truth;
  if (type == 20 || type == 23) return {{"type", "integer"}, {"nullable", true}};
  if (type == 701 || type == 1700) return real_or_null;
  return text;
}

ordered_json columns_schema() { return list_of(object_of({{"name", text}, {"type", text}})); }

/// `row`: what is known of a row; of any table, nothing but that it is an object.
ordered_json table_schema(ordered_json row) {
  return object_of({{"name", text}, {"columns", columns_schema()}, {"rows", list_of(std::move(row))}, {"limit", whole}, {"offset", whole}, {"more", truth}});
}

ordered_json row_schema(Hub& hub, std::string_view table) {
  ordered_json properties = ordered_json::object();
  for (const auto& column : run_console_command(hub, {"http", false}, "SHOW " + std::string(table)).columns) properties[column.name] = schema_of(column.type);
  return object_of(std::move(properties));
}

ordered_json point() {
  ordered_json properties{{"unix_ms", whole}};
  for (const char* name : {"queries_per_second", "transactions_per_second", "errors_per_second", "p50_ms", "p95_ms", "p99_ms", "cache_hit_ratio",
                           "cache_hits_per_second", "rewritten_per_second", "steered_per_second", "saved_ms_per_second", "overhead_us",
                           "bytes_in_per_second", "bytes_out_per_second"})
    properties[name] = real_or_null;
  for (const char* name : {"clients", "active", "waiting"}) properties[name] = whole;
  return object_of(std::move(properties));
}

ordered_json event() {
  return object_of({{"id", whole}, {"unix_ms", whole}, {"level", text}, {"event", text}, {"text", text}, {"fields", anything}});
}

ordered_json page_of(ordered_json row) { return object_of({{"rows", list_of(std::move(row))}, {"limit", whole}, {"offset", whole}, {"more", truth}}); }

ordered_json overview_schema(Hub& hub) {
  ordered_json totals = ordered_json::object();
  for (const char* name : {"queries", "transactions", "errors", "rewritten", "steered", "cache_hits", "cache_misses", "fallbacks", "not_analysed", "feedback_dropped"})
    totals[name] = whole;
  totals["saved_ms"] = real_or_null;
  return object_of({{"version", text}, {"mode", text}, {"mode_bound", text_or_null}, {"panic", truth}, {"paused", truth}, {"started_unix_ms", whole},
                    {"upstream", text}, {"now", point()}, {"totals", object_of(std::move(totals))},
                    {"cache", object_of({{"bytes", whole}, {"max_bytes", whole}, {"entries", whole}})}, {"health", list_of(row_schema(hub, "health"))},
                    {"changes", list_of(event())}});
}

ordered_json statement_schema(Hub& hub) {
  const auto minute = object_of({{"unix", whole}, {"calls", whole}, {"errors", whole}, {"cache_hits", whole}, {"changed", whole}, {"mean_ms", real_or_null},
                                 {"max_ms", real_or_null}, {"predicted_ms", real_or_null}, {"low_ms", real_or_null}, {"high_ms", real_or_null}});
  const auto candidate = object_of({{"label", text}, {"state", text}, {"why", text}, {"runs", whole}, {"explored", whole}, {"median_ms", real_or_null},
                                    {"p95_ms", real_or_null}, {"gain_low", real_or_null}, {"worst_ratio", real_or_null}, {"cost_original", real_or_null},
                                    {"cost_rewritten", real_or_null}, {"columns_equal", truth_or_null}});
  return object_of({{"fingerprint", text}, {"database", text}, {"kind", text}, {"text", text}, {"example", text}, {"user", text}, {"application", text},
                    {"totals", row_schema(hub, "queries")}, {"pinned", text}, {"banned", list_of(text)}, {"history", list_of(minute)},
                    {"slowest", list_of(row_schema(hub, "decisions"))}, {"decisions", list_of(row_schema(hub, "decisions"))}, {"candidates", list_of(candidate)},
                    {"plan", object_of({{"known", truth}, {"total_cost", real_or_null}, {"rows", real_or_null}, {"nodes", whole}, {"text", text}})},
                    {"cache", object_of({{"state", text}, {"reason", text}, {"detail", text}})}, {"explain", list_of(text)}});
}

}  // namespace

ordered_json schema_of_answer(Hub& hub, const Endpoint& endpoint) {
  const auto name = endpoint.schema;
  if (name == "text") return text;
  if (name == "object") return anything;
  if (name == "check") return {{"type", "object"}, {"required", {"status"}}, {"properties", {{"status", text}, {"checks", anything}}}};
  if (name == "overview") return overview_schema(hub);
  if (name == "trend") return object_of({{"step_seconds", whole}, {"points", list_of(point())}});
  if (name == "statement") return statement_schema(hub);
  if (name == "log") return page_of(event());
  if (name == "audit") return page_of(object_of({{"time", text}, {"event", text}, {"fingerprint", text}, {"label", text}, {"why", text}, {"fields", anything}}));
  if (name == "lines") return object_of({{"lines", list_of(text)}});
  if (name == "result") return object_of({{"tag", text}, {"columns", columns_schema()}, {"rows", list_of(anything)}});
  auto schema = table_schema(name == "table" ? anything : row_schema(hub, endpoint.name));
  if (endpoint.path == "/api/v1/statements") {
    schema["properties"]["total"] = whole;
    schema["required"].push_back("total");
  }
  return schema;
}

}  // namespace pgsteer::proxy::http
