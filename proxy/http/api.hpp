#pragma once
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/hub.hpp"

namespace pgsteer::proxy::http {

/// A request as far as the answer depends on it. No sockets here: server.cpp reads and writes them.
struct Request {
  std::string method, path;                  ///< path decoded, without the query
  std::map<std::string, std::string> query;  ///< decoded; the last of equal names
  std::string host, authorization, pgsteer, content_type, body;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json", body;
  std::vector<std::pair<std::string, std::string>> headers;
};

/// What only the server can find out, and only where it is asked for.
struct Observed {
  std::size_t loops = 0, loops_alive = 0;  ///< /healthz
  std::string upstream;                    ///< /readyz: "ok" or why it cannot be reached
};

/// One endpoint of the explicit list. `name` is the console's table behind it ("queries"), "" for the others.
struct Endpoint {
  std::string_view method, path, name, summary;
  bool open = false;  ///< answers without a token: probes of a supervisor
};
std::span<const Endpoint> endpoints();

/// Answers every request; total, never throws. One thread at a time.
class Api {
 public:
  /// `loopback`: bound to an address of this machine's own. `token` "" = none asked for (loopback only).
  Api(Hub& hub, std::string token, bool loopback) : hub_(hub), token_(std::move(token)), loopback_(loopback) {}
  Response answer(const Request& request, const Observed& observed) const;

 private:
  Response refuse(const Request& request, const Endpoint* endpoint) const;  ///< status 200 = not refused
  Response show(std::string_view name, const Request& request) const;
  Response command(const Request& request) const;
  Response health(const Observed& observed, bool verbose) const;
  Response ready(const Observed& observed, bool verbose) const;
  Hub& hub_;
  const std::string token_;
  const bool loopback_;
};

Response error(int status, std::string message, std::string hint = {}, std::string sqlstate = {});
/// The tables that have a name in /api/v1/show/<name>: lower-case, "stats_totals".
std::vector<std::string> table_names();

std::string exposition(Hub& hub);    ///< metrics.cpp: Prometheus text format 0.0.4
std::string openapi(Hub& hub);       ///< openapi.cpp: the document of what is served

}  // namespace pgsteer::proxy::http
