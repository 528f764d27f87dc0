// /metrics, /healthz, /readyz, the document itself, and the dashboard's files.
#include <fmt/format.h>

#include <algorithm>

#include "proxy/dashboard/assets.hpp"
#include "proxy/http/json.hpp"

namespace pgsteer::proxy::http {
namespace {

Response checks(bool good, const std::vector<std::pair<std::string, std::string>>& named, bool verbose) {
  ordered_json document{{"status", good ? "ok" : "failing"}};
  if (verbose || !good) {
    document["checks"] = ordered_json::object();
    for (const auto& [name, state] : named) document["checks"][name] = state;
  }
  return json_response(document, good ? 200 : 503);
}

}  // namespace

/// Prometheus asks for OpenMetrics first where it can read it.
Response metrics(const Call& call) {
  const bool open = call.request.accept.find("application/openmetrics-text") != std::string::npos;
  return {200, open ? "application/openmetrics-text; version=1.0.0; charset=utf-8" : "text/plain; version=0.0.4; charset=utf-8",
          exposition(call.hub, open), {{"Vary", "Accept"}}};
}
Response document(const Call& call) { return {200, "application/json", openapi(call.hub), {}}; }

Response health(const Call& call) {
  const auto& observed = call.observed;
  const bool good = observed.loops > 0 && observed.loops_alive == observed.loops;
  return checks(good, {{"event_loops", fmt::format("{} of {} came round within a second", observed.loops_alive, observed.loops)}},
                call.request.query.contains("verbose"));
}

Response ready(const Call& call) {
  const auto reload = call.hub.reload_error();
  const bool good = call.observed.upstream == "ok" && reload.empty();
  return checks(good, {{"upstream", call.observed.upstream}, {"configuration", reload.empty() ? "ok" : "the last reload was refused"}},
                call.request.query.contains("verbose"));
}

Response dashboard_file(const Request& request) {
  const auto assets = dashboard_assets();
  const std::string path = request.path == "/" ? "/index.html" : request.path;
  const auto asset = std::find_if(assets.begin(), assets.end(), [&](const Asset& a) { return a.path == path; });
  if (asset == assets.end()) {
    if (path == "/index.html")
      return {200, "text/plain; charset=utf-8", "pgsteer " PGSTEER_VERSION "\n\nBuilt without the dashboard. /metrics, /healthz, /readyz, /api/v1/openapi.json\n", {}};
    return error(404, "there is no " + request.path, "GET /api/v1/openapi.json lists what there is.");
  }
  if (!asset->encoding.empty() && request.accept_encoding.find(asset->encoding) == std::string::npos)
    return error(406, fmt::format("{} is kept compressed: expected Accept-Encoding: {}", request.path, asset->encoding));
  Response response{200, std::string(asset->content_type), std::string(asset->bytes), {}};
  if (!request.if_none_match.empty() && request.if_none_match == asset->etag) response = {304, std::string(asset->content_type), "", {}};
  response.headers = {{"ETag", std::string(asset->etag)},
                      {"Cache-Control", "no-cache"},
                      {"Content-Security-Policy", "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; frame-ancestors 'none'"}};
  if (!asset->encoding.empty() && response.status == 200) response.headers.emplace_back("Content-Encoding", asset->encoding);
  return response;
}

}  // namespace pgsteer::proxy::http
