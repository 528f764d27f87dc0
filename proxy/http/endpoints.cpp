// The explicit list of endpoints.
#include "proxy/http/api.hpp"

namespace pgsteer::proxy::http {
namespace {

using enum Endpoint::Access;

constexpr Endpoint fixed[] = {
    {"GET", "/metrics", "", "every metric, Prometheus text format", read, metrics, "text"},
    {"GET", "/healthz", "", "the event loops come round; ?verbose says how many", open, health, "check"},
    {"GET", "/readyz", "", "the server can be reached and the configuration is valid; ?verbose lists the checks", open, ready, "check"},
    {"GET", "/api/v1/overview", "", "state, rates of the last ten seconds, totals, health, what changed", read, overview, "overview"},
    {"GET", "/api/v1/trend", "", "rates and percentiles of the last hour, in steps", read, trend, "trend"},
    {"GET", "/api/v1/statements", "queries", "statements: search, filter, sort, page by page", read, statements, ""},
    {"GET", "/api/v1/statements/{fingerprint}", "", "one statement: text, history, decisions, candidates, plan, cache, explain", read, statement, "statement"},
    {"GET", "/api/v1/stats", "stats", "counters and averages since start", read, table, ""},
    {"GET", "/api/v1/queries", "queries", "statements by total time", read, table, ""},
    {"GET", "/api/v1/decisions", "decisions", "the newest decisions, filtered", read, decisions, ""},
    {"GET", "/api/v1/cache", "cache", "result cache", read, table, ""},
    {"GET", "/api/v1/models", "models", "registered models", read, table, ""},
    {"GET", "/api/v1/experiments", "experiments", "evidence for rewrites and hint sets", read, table, ""},
    {"GET", "/api/v1/advice", "advice", "what is known to pay and is not done", read, table, ""},
    {"GET", "/api/v1/mismatches", "mismatches", "rewritten statements whose answer was not the original's", read, table, ""},
    {"GET", "/api/v1/health", "health", "named checks", read, table, ""},
    {"GET", "/api/v1/config", "config", "every setting", read, table, ""},
    {"GET", "/api/v1/clients", "clients", "client connections", read, table, ""},
    {"GET", "/api/v1/pools", "pools", "clients and server connections by database and user", read, table, ""},
    {"GET", "/api/v1/lanes", "lanes", "lanes: who runs, who waits", read, table, ""},
    {"GET", "/api/v1/limits", "limits", "what limits did", read, table, ""},
    {"GET", "/api/v1/rules", "rules", "policy rules", read, table, ""},
    {"GET", "/api/v1/rewrites", "rewrites", "rewrite rules, and which are banned", read, table, ""},
    {"GET", "/api/v1/show/{name}", "", "any table of the console (SHOW <name>)", read, any_table, "table"},
    {"GET", "/api/v1/log", "", "the newest lines of the log", read, log_lines, "log"},
    {"GET", "/api/v1/audit", "", "the newest lines of the audit log", read, audit_lines, "audit"},
    {"GET", "/api/v1/openapi.json", "", "this document", read, document, "object"},
    {"POST", "/api/v1/explain", "", "EXPLAIN (PGSTEER): what would be done with a text, and why", write, explain, "lines"},
    {"POST", "/api/v1/command", "", "one console command", write, command, "result"},
};

const std::vector<Endpoint>& list() {
  static const std::vector<Endpoint> all = [] {
    std::vector<Endpoint> endpoints(std::begin(fixed), std::end(fixed));
    for (const auto& action : actions()) endpoints.push_back({"POST", action.path, "", action.summary, write, act, "result"});
    return endpoints;
  }();
  return all;
}

bool fits(std::string_view pattern, std::string_view path, std::string_view* argument) {
  const auto brace = pattern.find('{');
  if (brace == std::string_view::npos) return pattern == path;
  if (!path.starts_with(pattern.substr(0, brace)) || path.size() == brace) return false;
  *argument = path.substr(brace);
  return true;
}

}  // namespace

std::span<const Endpoint> endpoints() { return list(); }

const Endpoint* find_endpoint(std::string_view method, std::string_view path, std::string_view* argument) {
  const Endpoint* other = nullptr;
  for (const auto& endpoint : list()) {
    if (!fits(endpoint.path, path, argument)) continue;
    if (endpoint.method == method || (method == "HEAD" && endpoint.method == "GET")) return &endpoint;
    other = &endpoint;
  }
  return other;
}

}  // namespace pgsteer::proxy::http
