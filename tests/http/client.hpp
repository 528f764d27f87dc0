#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace pgsteer::test {

struct Reply {
  int status = 0;  ///< 0: the connection ended without one
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;
};

/// Sends bytes as they are on a new connection and reads replies until it is closed or `replies` came.
std::vector<Reply> send_raw(std::uint16_t port, const std::string& bytes, std::size_t replies = 1, bool head = false);
std::string program();  ///< path of the pgsteer under test
/// Everything that comes after a GET for so long, or until `enough` is in it.
std::string read_stream(std::uint16_t port, const std::string& target, double seconds, const std::string& enough);
using Headers = std::vector<std::string>;
Reply request(std::uint16_t port, const std::string& method, const std::string& target, const Headers& headers = {},
              const std::string& body = {});
inline Reply get(std::uint16_t port, const std::string& target, const Headers& headers = {}) {
  return request(port, "GET", target, headers);
}
Reply command(std::uint16_t port, const std::string& text, const Headers& headers = {"X-Pgsteer: 1"});

/// A Prometheus exposition, read strictly: every fault of form ends in `faults`.
struct Exposition {
  std::vector<std::string> faults;
  std::map<std::string, std::string> types;   ///< family -> type
  std::map<std::string, double> samples;      ///< "name{a="b"}" as written -> value
  double sum(const std::string& name, const std::string& part = {}) const;  ///< over samples whose labels contain `part`
};
Exposition read_exposition(const std::string& text);

}  // namespace pgsteer::test
