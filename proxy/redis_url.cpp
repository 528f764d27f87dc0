#include "proxy/redis_url.hpp"

#include <charconv>

namespace pgsteer::proxy {
namespace {
bool to_int(std::string_view text, int* value) {
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return ec == std::errc() && end == text.data() + text.size();
}
}  // namespace

bool parse_redis_url(const std::string& url, cache::RedisOptions* options, std::string* error) {
  const std::string_view text = url;
  if (text.starts_with("unix://")) {
    std::string_view path = text.substr(7);
    if (const auto query = path.find("?db="); query != std::string_view::npos) {
      if (!to_int(path.substr(query + 4), &options->database)) {
        *error = "expected a number after ?db=, got '" + std::string(path.substr(query + 4)) + "'";
        return false;
      }
      path = path.substr(0, query);
    }
    if (path.empty()) {
      *error = "expected unix:///path/to/socket";
      return false;
    }
    options->unix_socket = path;
    return true;
  }
  if (!text.starts_with("redis://")) {
    *error = "expected redis://host:port or unix:///path, got '" + url.substr(0, url.find("://")) + "'";
    return false;
  }
  std::string_view rest = text.substr(8);
  if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
    const std::string_view credentials = rest.substr(0, at);
    const auto colon = credentials.find(':');
    options->username = credentials.substr(0, colon);
    if (colon != std::string_view::npos) options->password = credentials.substr(colon + 1);
    rest = rest.substr(at + 1);
  }
  if (const auto slash = rest.find('/'); slash != std::string_view::npos) {
    if (slash + 1 < rest.size() && !to_int(rest.substr(slash + 1), &options->database)) {
      *error = "expected a database number after '/', got '" + std::string(rest.substr(slash + 1)) + "'";
      return false;
    }
    rest = rest.substr(0, slash);
  }
  if (const auto colon = rest.rfind(':'); colon != std::string_view::npos) {
    if (!to_int(rest.substr(colon + 1), &options->port) || options->port < 1 || options->port > 65535) {
      *error = "expected a port between 1 and 65535, got '" + std::string(rest.substr(colon + 1)) + "'";
      return false;
    }
    rest = rest.substr(0, colon);
  }
  if (!rest.empty()) options->host = rest;
  return true;
}

}  // namespace pgsteer::proxy
