// The OpenAPI document, made from the list of endpoints and from the tables themselves: it cannot tell another story.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "proxy/console/console.hpp"
#include "proxy/http/api.hpp"

namespace pgsteer::proxy::http {
namespace {

using nlohmann::ordered_json;

ordered_json schema_of(std::uint32_t type) {
  if (type == 16) return {{"type", "boolean"}};
  if (type == 20 || type == 23) return {{"type", "integer"}, {"nullable", true}};
  if (type == 701 || type == 1700) return {{"type", "number"}, {"nullable", true}};
  return {{"type", "string"}};
}

ordered_json object_of(ordered_json properties) {
  ordered_json required = ordered_json::array();
  for (const auto& [name, schema] : properties.items()) required.push_back(name);
  return {{"type", "object"}, {"required", std::move(required)}, {"properties", std::move(properties)}};
}

ordered_json list_of(ordered_json items) { return {{"type", "array"}, {"items", std::move(items)}}; }

ordered_json columns_schema() { return list_of(object_of({{"name", {{"type", "string"}}}, {"type", {{"type", "string"}}}})); }

/// `row`: what is known of a row; of any table, nothing but that it is an object.
ordered_json table_schema(ordered_json row) {
  return object_of({{"name", {{"type", "string"}}},
                    {"columns", columns_schema()},
                    {"rows", list_of(std::move(row))},
                    {"limit", {{"type", "integer"}}},
                    {"offset", {{"type", "integer"}}},
                    {"more", {{"type", "boolean"}}}});
}

ordered_json row_schema(Hub& hub, std::string_view table) {
  ordered_json properties = ordered_json::object();
  for (const auto& column : run_console_command(hub, {"http", false}, "SHOW " + std::string(table)).columns)
    properties[column.name] = schema_of(column.type);
  return object_of(std::move(properties));
}

ordered_json content(const char* type, ordered_json schema) { return {{"content", {{type, {{"schema", std::move(schema)}}}}}}; }

ordered_json answer(const char* description, ordered_json body) {
  ordered_json response{{"description", description}};
  response.update(body);
  return response;
}

ordered_json parameter(const char* name, const char* in, bool required, ordered_json schema) {
  return {{"name", name}, {"in", in}, {"required", required}, {"schema", std::move(schema)}};
}

ordered_json schema_for(Hub& hub, const Endpoint& endpoint) {
  if (endpoint.path == "/api/v1/command")
    return object_of({{"tag", {{"type", "string"}}}, {"columns", columns_schema()}, {"rows", list_of({{"type", "object"}})}});
  if (endpoint.open) return {{"type", "object"}, {"required", {"status"}}, {"properties", {{"status", {{"type", "string"}}}, {"checks", {{"type", "object"}}}}}};
  if (endpoint.path == "/api/v1/openapi.json") return {{"type", "object"}};
  return table_schema(endpoint.name.empty() ? ordered_json{{"type", "object"}} : row_schema(hub, endpoint.name));
}

ordered_json operation(Hub& hub, const Endpoint& endpoint) {
  const bool metrics = endpoint.path == "/metrics", command = endpoint.path == "/api/v1/command";
  const bool any_table = endpoint.path == "/api/v1/show/{name}";
  const ordered_json failure{{"$ref", "#/components/responses/error"}};
  ordered_json op{{"summary", endpoint.summary}};
  ordered_json parameters = ordered_json::array();
  if (any_table) parameters.push_back(parameter("name", "path", true, {{"type", "string"}, {"enum", table_names()}}));
  if (any_table || !endpoint.name.empty()) {
    parameters.push_back(parameter("limit", "query", false, {{"type", "integer"}, {"minimum", 0}, {"maximum", 100000}, {"default", 1000}}));
    parameters.push_back(parameter("offset", "query", false, {{"type", "integer"}, {"minimum", 0}, {"maximum", 100000}, {"default", 0}}));
  }
  if (endpoint.open) parameters.push_back(parameter("verbose", "query", false, {{"type", "string"}}));
  if (command) {
    parameters.push_back(parameter("X-Pgsteer", "header", false, {{"type", "string"}, {"enum", {"1"}}}));
    op["requestBody"] = content("application/json", object_of({{"command", {{"type", "string"}}}}));
    op["requestBody"]["required"] = true;
  }
  if (!parameters.empty()) op["parameters"] = std::move(parameters);
  op["responses"]["200"] = metrics ? answer("text format 0.0.4", content("text/plain", {{"type", "string"}}))
                                   : answer("the answer", content("application/json", schema_for(hub, endpoint)));
  if (endpoint.open) op["responses"]["503"] = answer("a check fails", content("application/json", schema_for(hub, endpoint)));
  std::vector<const char*> failures;
  if (!endpoint.open) failures = {"401", "403"};
  if (any_table || command || !endpoint.name.empty()) failures.push_back("400");
  if (any_table || command) failures.push_back("404");
  if (command) failures.insert(failures.end(), {"409", "415"});
  for (const char* status : failures) op["responses"][status] = failure;
  if (endpoint.open) op["security"] = ordered_json::array();
  return op;
}

}  // namespace

std::string openapi(Hub& hub) {
  ordered_json document{{"openapi", "3.0.3"},
                        {"info", {{"title", "pgsteer"}, {"version", PGSTEER_VERSION}, {"description", "What the console knows, as JSON."}}}};
  for (const auto& endpoint : endpoints()) {
    const std::string method = endpoint.method == "POST" ? "post" : "get";
    document["paths"][std::string(endpoint.path)][method] = operation(hub, endpoint);
  }
  const ordered_json inner{{"type", "object"},
                           {"required", {"status", "message"}},
                           {"properties", {{"status", {{"type", "integer"}}}, {"message", {{"type", "string"}}},
                                           {"hint", {{"type", "string"}}}, {"sqlstate", {{"type", "string"}}}}}};
  document["components"]["responses"]["error"] = answer("why not", content("application/json", object_of({{"error", inner}})));
  document["components"]["securitySchemes"]["token"] = {{"type", "http"}, {"scheme", "bearer"}};
  ordered_json with_token = ordered_json::object();
  with_token["token"] = ordered_json::array();
  document["security"] = ordered_json::array();
  document["security"].push_back(ordered_json::object());
  document["security"].push_back(with_token);
  return document.dump(1) + "\n";
}

}  // namespace pgsteer::proxy::http
