#pragma once
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/http/trend.hpp"
#include "proxy/hub.hpp"

namespace pgsteer::proxy {
class Pipeline;
}

namespace pgsteer::proxy::http {

/// A request as far as the answer depends on it. No sockets here: server.cpp reads and writes them.
struct Request {
  std::string method, path;                  ///< path decoded, without the query
  std::map<std::string, std::string> query;  ///< decoded; the last of equal names
  std::string host, authorization, pgsteer, content_type, if_none_match, accept, accept_encoding, body;
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

/// What an endpoint gets to see. Lives for one request.
struct Call {
  Hub& hub;
  const Request& request;
  const Observed& observed;
  const Trend& trend;
  Pipeline& pipeline;         ///< for EXPLAIN (PGSTEER): of the HTTP thread alone
  std::string_view argument;  ///< what stands for {...} in the path
};

/// One endpoint of the explicit list (endpoints.cpp).
struct Endpoint {
  enum class Access : unsigned char {
    open,   ///< answers without a token: probes of a supervisor, the dashboard's files
    read,
    write,  ///< a token, or the headers no page of a browser can send unasked
  };
  std::string_view method, path;  ///< "/api/v1/show/{name}": {...} is the last part, and decoded
  std::string_view name;          ///< the console's table behind it ("queries"), "" for the others
  std::string_view summary;
  Access access;
  Response (*handler)(const Call&);
  std::string_view schema;        ///< of the answer, by its name in schemas.cpp; "" with a name: that table's
};
std::span<const Endpoint> endpoints();
/// The endpoint of a path, whatever the method; `argument` is set when the path has one.
const Endpoint* find_endpoint(std::string_view method, std::string_view path, std::string_view* argument);

/// Answers every request but /api/v1/events; total, never throws. One thread at a time.
class Api {
 public:
  /// `loopback`: bound to an address of this machine's own. `token` "" = none asked for (loopback only).
  Api(Hub& hub, std::string token, bool loopback);
  ~Api();
  Response answer(const Request& request, const Observed& observed, const Trend& trend) const;
  /// Whether the stream of events may be had; status 200 = yes.
  Response may_listen(const Request& request) const;

 private:
  Response refuse(const Request& request, const Endpoint* endpoint) const;  ///< status 200 = not refused
  Hub& hub_;
  const std::string token_;
  const bool loopback_;
  const std::unique_ptr<Pipeline> pipeline_;
};

Response error(int status, std::string message, std::string hint = {}, std::string sqlstate = {});
/// The tables that have a name in /api/v1/show/<name>: lower-case, "stats_totals".
std::vector<std::string> table_names();

std::string exposition(Hub& hub, bool open_metrics = false);  ///< metrics.cpp: Prometheus text format 0.0.4 or OpenMetrics 1.0.0
std::string openapi(Hub& hub);       ///< openapi.cpp: the document of what is served

/// The stream of events, as far as it has been told. live.cpp makes one second's worth of text for it.
struct Listening {
  std::uint64_t last_decision = 0, last_log = 0;
};
Listening start_listening(Hub& hub, std::uint64_t last_log_seen);  ///< 0: only what is new from now on
std::string live_events(Hub& hub, const Trend& trend, Listening& state);

// Handlers, by file.
Response table(const Call&), any_table(const Call&), statements(const Call&), decisions(const Call&);  // tables.cpp
Response statement(const Call&), explain(const Call&);                                              // statement.cpp
Response overview(const Call&), trend(const Call&);                                                 // overview.cpp
Response log_lines(const Call&), audit_lines(const Call&);                                          // log_lines.cpp
Response command(const Call&), act(const Call&);                                                    // actions.cpp
Response metrics(const Call&), health(const Call&), ready(const Call&), document(const Call&);      // probes.cpp
Response dashboard_file(const Request& request);                                                    // probes.cpp; status 404: none

/// A typed form of a console command (actions.cpp): POST path with these fields in a JSON object.
struct Action {
  std::string_view path, summary;
  struct Field {
    std::string_view name;
    bool required;
  };
  std::span<const Field> fields;
};
std::span<const Action> actions();

}  // namespace pgsteer::proxy::http
