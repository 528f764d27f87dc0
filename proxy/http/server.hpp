#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "proxy/hub.hpp"

namespace pgsteer::proxy {

/// What is wrong with section [http], "" when it may be used; the token of token_file goes to *token (when given).
std::string http_problem(const Config& config, std::string* token);

/// /metrics, /healthz, /readyz and /api/v1/... on a thread and an event loop of its own: whatever a scraper does, no session
/// waits for it. Answers come from `http::Api` (api.hpp), which knows no sockets.
class HttpServer {
 public:
  HttpServer(Hub& hub, std::string token);  ///< `token` "" = none asked for
  ~HttpServer();                            ///< ends requests under way within a second
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  /// "listens on ..." or why not: the address cannot be had.
  std::string start(const std::string& address, std::uint16_t port);
  std::uint16_t port() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgsteer::proxy
