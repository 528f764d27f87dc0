// What each endpoint answers. The tables are the console's own: one implementation, two ways to read it.
#include "proxy/http/api.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "proxy/console/command.hpp"

namespace pgsteer::proxy::http {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kDefaultRows = 1000, kMaxRows = 100000;

constexpr Endpoint list[] = {
    {"GET", "/metrics", "", "every metric, Prometheus text format"},
    {"GET", "/healthz", "", "the event loops come round; ?verbose says how many", true},
    {"GET", "/readyz", "", "the server can be reached and the configuration is valid; ?verbose lists the checks", true},
    {"GET", "/api/v1/stats", "stats", "counters and averages since start"},
    {"GET", "/api/v1/queries", "queries", "statements by total time"},
    {"GET", "/api/v1/decisions", "decisions", "the newest decisions"},
    {"GET", "/api/v1/cache", "cache", "result cache"},
    {"GET", "/api/v1/models", "models", "registered models"},
    {"GET", "/api/v1/experiments", "experiments", "evidence for rewrites and hint sets"},
    {"GET", "/api/v1/health", "health", "named checks"},
    {"GET", "/api/v1/config", "config", "every setting"},
    {"GET", "/api/v1/clients", "clients", "client connections"},
    {"GET", "/api/v1/rules", "rules", "policy rules"},
    {"GET", "/api/v1/show/{name}", "", "any table of the console (SHOW <name>)"},
    {"POST", "/api/v1/command", "", "one console command"},
    {"GET", "/api/v1/openapi.json", "", "this document"},
};

constexpr std::string_view kShow = "/api/v1/show/";

std::string dump(const ordered_json& document) {
  return document.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

const Endpoint* find(std::string_view path) {
  if (path.starts_with(kShow)) path = "/api/v1/show/{name}";
  const auto found = std::find_if(std::begin(list), std::end(list), [&](const Endpoint& e) { return e.path == path; });
  return found == std::end(list) ? nullptr : found;
}

/// Takes as long for any wrong token as for the right one.
bool equal_secrets(std::string_view a, std::string_view b) {
  unsigned different = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size(); ++i) different |= static_cast<unsigned char>(a[i] ^ b[i % std::max<std::size_t>(1, b.size())]);
  return different == 0;
}

/// "localhost:6433" -> "localhost", "[::1]:6433" -> "::1".
std::string host_name(const std::string& host) {
  if (host.starts_with("[")) return host.substr(1, host.find(']') - 1);
  return lower(host.substr(0, host.find(':')));
}

/// A page elsewhere whose name was made to point here still sends its own name: reading is for those who know ours.
bool is_own_name(const std::string& host) {
  const auto name = host_name(host);
  return name == "localhost" || name == "::1" || name.starts_with("127.");
}

ordered_json value_of(const std::string& cell, std::uint32_t type) {
  const auto* end = cell.data() + cell.size();
  switch (type) {
    case 16: return cell == "t";
    case 20: case 23: {
      if (std::uint64_t number = 0; std::from_chars(cell.data(), end, number).ptr == end && !cell.empty()) return number;
      if (std::int64_t number = 0; std::from_chars(cell.data(), end, number).ptr == end && !cell.empty()) return number;
      return nullptr;
    }
    case 701: case 1700: {
      double number = 0;
      if (cell.empty() || std::from_chars(cell.data(), end, number).ptr != end || !std::isfinite(number)) return nullptr;
      return number;
    }
    default: return cell;
  }
}

const char* type_name(std::uint32_t type) {
  switch (type) {
    case 16: return "boolean";
    case 20: case 23: return "integer";
    case 701: case 1700: return "number";
    default: return "string";
  }
}

ordered_json columns_of(const ConsoleResult& result) {
  ordered_json columns = ordered_json::array();
  for (const auto& column : result.columns) columns.push_back({{"name", column.name}, {"type", type_name(column.type)}});
  return columns;
}

ordered_json rows_of(const ConsoleResult& result, std::size_t from, std::size_t to) {
  ordered_json rows = ordered_json::array();
  for (std::size_t r = from; r < std::min(to, result.rows.size()); ++r) {
    ordered_json row = ordered_json::object();
    for (std::size_t c = 0; c < result.columns.size(); ++c) row[result.columns[c].name] = value_of(result.rows[r][c], result.columns[c].type);
    rows.push_back(std::move(row));
  }
  return rows;
}

int status_of(const std::string& sqlstate) {
  if (sqlstate == "42501") return 403;
  if (sqlstate == "42704") return 404;
  if (sqlstate == "55000") return 409;
  return sqlstate.starts_with("XX") ? 500 : 400;
}

Response failed(const ConsoleResult& result) { return error(status_of(result.sqlstate), result.message, result.hint, result.sqlstate); }

/// A query parameter that is a whole number up to `most`; false when it is something else.
bool number(const Request& request, const std::string& name, std::size_t most, std::size_t* value) {
  const auto found = request.query.find(name);
  if (found == request.query.end()) return true;
  const auto* end = found->second.data() + found->second.size();
  return !found->second.empty() && std::from_chars(found->second.data(), end, *value).ptr == end && *value <= most;
}

const console::Command* table_command(std::string_view name) {
  for (const auto& command : console::all_commands())
    if (command.listed && command.name.starts_with("SHOW ") && lower(std::string(command.name.substr(5))) == name) return &command;
  return nullptr;
}

Response checks(bool good, const std::vector<std::pair<std::string, std::string>>& named, bool verbose) {
  ordered_json document{{"status", good ? "ok" : "failing"}};
  if (verbose || !good) {
    document["checks"] = ordered_json::object();
    for (const auto& [name, state] : named) document["checks"][name] = state;
  }
  Response response{good ? 200 : 503, "application/json", dump(document), {}};
  return response;
}

}  // namespace

std::span<const Endpoint> endpoints() { return list; }

std::vector<std::string> table_names() {
  std::vector<std::string> names;
  for (const auto& command : console::all_commands())
    if (command.listed && command.name.starts_with("SHOW ")) names.push_back(lower(std::string(command.name.substr(5))));
  return names;
}

Response error(int status, std::string message, std::string hint, std::string sqlstate) {
  ordered_json inner{{"status", status}, {"message", std::move(message)}};
  if (!hint.empty()) inner["hint"] = std::move(hint);
  if (!sqlstate.empty()) inner["sqlstate"] = std::move(sqlstate);
  ordered_json document = ordered_json::object();
  document["error"] = std::move(inner);
  return {status, "application/json", dump(document), {}};
}

Response Api::refuse(const Request& request, const Endpoint* endpoint) const {
  const bool open = endpoint && endpoint->open;
  if (!open && (!token_.empty() || !loopback_)) {
    const std::string_view given = request.authorization;
    const bool bearer = given.size() > 7 && lower(std::string(given.substr(0, 7))) == "bearer ";
    if (!bearer || token_.empty() || !equal_secrets(given.substr(7), token_)) {
      auto response = error(401, "a token is required", "Authorization: Bearer <the content of http.token_file>");
      response.headers.emplace_back("WWW-Authenticate", "Bearer");
      return response;
    }
  } else if (!open && !is_own_name(request.host)) {
    return error(403, "expected a Host of this machine's own, got '" + request.host + "'", "Use http://127.0.0.1 or http://localhost.");
  }
  if (!endpoint) return error(404, "there is no " + request.path, "GET /api/v1/openapi.json lists what there is.");
  const bool fits = request.method == endpoint->method || (request.method == "HEAD" && endpoint->method == "GET");
  if (!fits) {
    auto response = error(405, request.method + " is not for " + request.path);
    response.headers.emplace_back("Allow", endpoint->method == "GET" ? "GET, HEAD" : "POST");
    return response;
  }
  return {};
}

Response Api::answer(const Request& request, const Observed& observed) const {
  const Endpoint* endpoint = find(request.path);
  if (auto refused = refuse(request, endpoint); refused.status != 200) return refused;
  const bool verbose = request.query.contains("verbose");
  try {
    if (endpoint->path == "/metrics") return {200, "text/plain; version=0.0.4; charset=utf-8", exposition(hub_), {}};
    if (endpoint->path == "/healthz") return health(observed, verbose);
    if (endpoint->path == "/readyz") return ready(observed, verbose);
    if (endpoint->path == "/api/v1/command") return command(request);
    if (endpoint->path == "/api/v1/openapi.json") return {200, "application/json", openapi(hub_), {}};
    if (!endpoint->name.empty()) return show(endpoint->name, request);
    return show(std::string_view(request.path).substr(kShow.size()), request);
  } catch (const std::exception& fault) {
    return error(500, fault.what());
  }
}

Response Api::show(std::string_view name, const Request& request) const {
  const auto* found = table_command(name);
  if (!found) {
    const auto near = policies::nearest_name(std::string(name.substr(0, 64)), table_names());
    return error(404, "there is no table '" + std::string(name.substr(0, 64)) + "'",
                 near.empty() ? "GET /api/v1/show/help lists commands." : "Did you mean '" + near + "'?");
  }
  std::size_t limit = kDefaultRows, offset = 0;
  if (!number(request, "limit", kMaxRows, &limit)) return error(400, fmt::format("limit: expected a whole number up to {}", kMaxRows));
  if (!number(request, "offset", kMaxRows, &offset)) return error(400, fmt::format("offset: expected a whole number up to {}", kMaxRows));
  std::string text(found->name);
  if (found->arguments == "[limit]") text += fmt::format(" {}", offset + limit + 1);
  const auto result = run_console_command(hub_, {"http", false}, text);
  if (!result.sqlstate.empty()) return failed(result);
  const ordered_json document{{"name", name},
                              {"columns", columns_of(result)},
                              {"rows", rows_of(result, offset, offset + limit)},
                              {"limit", limit},
                              {"offset", offset},
                              {"more", result.rows.size() > offset + limit}};
  return {200, "application/json", dump(document), {}};
}

/// A page in a browser can send a form here, but neither this header nor this content type without asking first, which
/// nobody answers.
Response Api::command(const Request& request) const {
  if (token_.empty() && request.pgsteer != "1") return error(403, "expected the header X-Pgsteer: 1");
  if (!lower(request.content_type).starts_with("application/json")) return error(415, "expected Content-Type: application/json");
  const auto body = ordered_json::parse(request.body, nullptr, false);
  if (!body.is_object() || body.size() != 1 || !body.contains("command") || !body["command"].is_string())
    return error(400, "expected {\"command\": \"...\"}");
  const auto text = body["command"].get<std::string>();
  const auto result = run_console_command(hub_, {"http", true}, text);
  if (!result.sqlstate.empty()) return failed(result);
  ordered_json document{{"tag", result.tag.empty() && !result.columns.empty() ? "SHOW" : result.tag}};
  document["columns"] = columns_of(result);
  document["rows"] = rows_of(result, 0, kMaxRows);
  return {200, "application/json", dump(document), {}};
}

Response Api::health(const Observed& observed, bool verbose) const {
  const bool good = observed.loops > 0 && observed.loops_alive == observed.loops;
  return checks(good, {{"event_loops", fmt::format("{} of {} came round within a second", observed.loops_alive, observed.loops)}}, verbose);
}

Response Api::ready(const Observed& observed, bool verbose) const {
  const auto reload = hub_.reload_error();
  const bool good = observed.upstream == "ok" && reload.empty();
  return checks(good, {{"upstream", observed.upstream}, {"configuration", reload.empty() ? "ok" : "the last reload was refused"}}, verbose);
}

}  // namespace pgsteer::proxy::http
