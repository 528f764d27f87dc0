// Who may ask for what, and which endpoint answers. The handlers are in the files beside.
#include "proxy/http/api.hpp"

#include "proxy/http/json.hpp"
#include "proxy/pipeline.hpp"

namespace pgsteer::proxy::http {
namespace {

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

}  // namespace

Api::Api(Hub& hub, std::string token, bool loopback)
    : hub_(hub), token_(std::move(token)), loopback_(loopback), pipeline_(std::make_unique<Pipeline>(*hub.snapshot()->config)) {}
Api::~Api() = default;

Response Api::refuse(const Request& request, const Endpoint* endpoint) const {
  const bool open = endpoint && endpoint->access == Endpoint::Access::open;
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
  if (endpoint->access != Endpoint::Access::write) return {};
  // A page in a browser can send a form here, but neither this header nor this content type without asking first, which
  // nobody answers.
  if (token_.empty() && request.pgsteer != "1") return error(403, "expected the header X-Pgsteer: 1");
  if (!lower(request.content_type).starts_with("application/json")) return error(415, "expected Content-Type: application/json");
  return {};
}

Response Api::answer(const Request& request, const Observed& observed, const Trend& trend) const {
  std::string_view argument;
  const Endpoint* endpoint = find_endpoint(request.method, request.path, &argument);
  const bool page = !endpoint && (request.method == "GET" || request.method == "HEAD") && !request.path.starts_with("/api/");
  if (page) {  // the files hold no data: they ask for it, with the token, when they run
    if (token_.empty() && !is_own_name(request.host)) return refuse(request, nullptr);
    return dashboard_file(request);
  }
  if (auto refused = refuse(request, endpoint); refused.status != 200) return refused;
  try {
    return endpoint->handler({hub_, request, observed, trend, *pipeline_, argument});
  } catch (const std::exception& fault) {
    return error(500, fault.what());
  }
}

Response Api::may_listen(const Request& request) const {
  static constexpr Endpoint events{"GET", "/api/v1/events", "", "", Endpoint::Access::read, nullptr, ""};
  return refuse(request, &events);
}

}  // namespace pgsteer::proxy::http
