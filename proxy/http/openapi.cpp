// The OpenAPI document, made from the list of endpoints and from the tables themselves: it cannot tell another story.
#include "proxy/http/json.hpp"

namespace pgsteer::proxy::http {
namespace {

ordered_json content(const char* type, ordered_json schema) { return {{"content", {{type, {{"schema", std::move(schema)}}}}}}; }

ordered_json answer(const char* description, ordered_json body) {
  ordered_json response{{"description", description}};
  response.update(body);
  return response;
}

ordered_json parameter_of(const char* name, const char* in, bool required, ordered_json schema) {
  return {{"name", name}, {"in", in}, {"required", required}, {"schema", std::move(schema)}};
}

ordered_json whole(std::int64_t least, std::int64_t most, std::int64_t otherwise) {
  return {{"type", "integer"}, {"minimum", least}, {"maximum", most}, {"default", otherwise}};
}

void add_page(ordered_json& parameters, std::int64_t limit) {
  parameters.push_back(parameter_of("limit", "query", false, whole(0, kMaxRows, limit)));
  parameters.push_back(parameter_of("offset", "query", false, whole(0, kMaxRows, 0)));
}

void add_texts(ordered_json& parameters, std::initializer_list<const char*> names) {
  for (const char* name : names) parameters.push_back(parameter_of(name, "query", false, {{"type", "string"}}));
}

ordered_json parameters_of(const Endpoint& endpoint) {
  const auto path = endpoint.path;
  ordered_json list = ordered_json::array();
  if (path == "/api/v1/show/{name}") list.push_back(parameter_of("name", "path", true, {{"type", "string"}, {"enum", table_names()}}));
  if (path == "/api/v1/statements/{fingerprint}") {
    list.push_back(parameter_of("fingerprint", "path", true, {{"type", "string"}, {"pattern", "^[0-9a-f]{16}$"}}));
    add_texts(list, {"database"});
  }
  if (path == "/api/v1/statements") {
    add_page(list, 100);
    add_texts(list, {"search", "database", "kind", "action"});
    list.push_back(parameter_of("sort", "query", false, {{"type", "string"}, {"default", "total_ms"}}));
    list.push_back(parameter_of("order", "query", false, {{"type", "string"}, {"enum", {"asc", "desc"}}, {"default", "desc"}}));
  } else if (path == "/api/v1/decisions") {
    add_page(list, 100);
    add_texts(list, {"fingerprint", "database", "reason", "trace_id"});
    list.push_back(parameter_of("after", "query", false, {{"type", "integer"}}));
  } else if (path == "/api/v1/trend") {
    list.push_back(parameter_of("seconds", "query", false, whole(1, Trend::kSeconds, 900)));
    list.push_back(parameter_of("step", "query", false, whole(1, Trend::kSeconds, 5)));
  } else if (path == "/api/v1/log") {
    add_page(list, 200);
  } else if (path == "/api/v1/audit") {
    add_page(list, 200);
    add_texts(list, {"fingerprint"});
  } else if (!endpoint.name.empty() || endpoint.schema == "table") {
    add_page(list, 1000);
  }
  if (endpoint.access == Endpoint::Access::open) add_texts(list, {"verbose"});
  if (endpoint.access == Endpoint::Access::write) list.push_back(parameter_of("X-Pgsteer", "header", false, {{"type", "string"}, {"enum", {"1"}}}));
  return list;
}

ordered_json body_of(const Endpoint& endpoint) {
  const ordered_json text{{"type", "string"}};
  ordered_json properties = ordered_json::object(), required = ordered_json::array();
  const auto add = [&](std::string_view name, bool needed) {
    properties[std::string(name)] = text;
    if (needed) required.push_back(name);
  };
  if (endpoint.path == "/api/v1/command") add("command", true);
  if (endpoint.path == "/api/v1/explain")
    for (const char* name : {"sql", "database", "user", "application"}) add(name, name[0] == 's' || name[0] == 'd');
  for (const auto& action : actions())
    if (action.path == endpoint.path)
      for (const auto& field : action.fields) add(field.name, field.required);
  ordered_json schema{{"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
  if (!required.empty()) schema["required"] = std::move(required);
  auto body = content("application/json", std::move(schema));
  body["required"] = true;
  return body;
}

ordered_json operation(Hub& hub, const Endpoint& endpoint) {
  const ordered_json failure{{"$ref", "#/components/responses/error"}};
  const bool open = endpoint.access == Endpoint::Access::open, write = endpoint.access == Endpoint::Access::write;
  ordered_json op{{"summary", endpoint.summary}};
  if (auto parameters = parameters_of(endpoint); !parameters.empty()) op["parameters"] = std::move(parameters);
  if (write) op["requestBody"] = body_of(endpoint);
  const char* type = endpoint.schema == "text" ? "text/plain" : "application/json";
  op["responses"]["200"] = answer("the answer", content(type, schema_of_answer(hub, endpoint)));
  if (open) op["responses"]["503"] = answer("a check fails", content("application/json", schema_of_answer(hub, endpoint)));
  if (open) op["security"] = ordered_json::array();
  else op["responses"]["401"] = op["responses"]["403"] = failure;
  const bool argument = endpoint.path.find('{') != std::string_view::npos;
  if (!open && endpoint.schema != "text" && endpoint.schema != "object" && endpoint.schema != "overview") op["responses"]["400"] = failure;
  if (argument || write) op["responses"]["404"] = failure;
  if (write) op["responses"]["409"] = op["responses"]["415"] = failure;
  return op;
}

ordered_json events_operation() {
  return {{"summary", "server-sent events, each second: `stats` (a point as in /api/v1/trend), `decisions` ({skipped, rows} as in /api/v1/decisions), "
                      "`log` ({rows} as in /api/v1/log; its id resumes by Last-Event-ID)"},
          {"responses", {{"200", answer("the stream", content("text/event-stream", {{"type", "string"}}))},
                         {"401", {{"$ref", "#/components/responses/error"}}},
                         {"403", {{"$ref", "#/components/responses/error"}}},
                         {"503", {{"$ref", "#/components/responses/error"}}}}}};
}

}  // namespace

std::string openapi(Hub& hub) {
  ordered_json document{{"openapi", "3.0.3"},
                        {"info", {{"title", "pgsteer"}, {"version", PGSTEER_VERSION},
                                  {"description", "What the console knows and can do, as JSON. Times are milliseconds, or unix seconds and milliseconds where they are "
                                                  "named so; a number that is none is null. Where a token is configured every request but /healthz, /readyz and the "
                                                  "dashboard's files carries it; without one, what changes something carries X-Pgsteer: 1."}}}};
  for (const auto& endpoint : endpoints())
    document["paths"][std::string(endpoint.path)][endpoint.method == "POST" ? "post" : "get"] = operation(hub, endpoint);
  document["paths"]["/api/v1/events"]["get"] = events_operation();
  const ordered_json inner{{"type", "object"},
                           {"required", {"status", "message"}},
                           {"properties", {{"status", {{"type", "integer"}}}, {"message", {{"type", "string"}}},
                                           {"hint", {{"type", "string"}}}, {"sqlstate", {{"type", "string"}}}}}};
  const ordered_json outer{{"type", "object"}, {"required", {"error"}}, {"properties", {{"error", inner}}}};
  document["components"]["responses"]["error"] = answer("why not", content("application/json", outer));
  document["components"]["securitySchemes"]["token"] = {{"type", "http"}, {"scheme", "bearer"}};
  ordered_json with_token = ordered_json::object();
  with_token["token"] = ordered_json::array();
  document["security"] = ordered_json::array();
  document["security"].push_back(ordered_json::object());
  document["security"].push_back(with_token);
  return document.dump(1) + "\n";
}

}  // namespace pgsteer::proxy::http
