#pragma once
#include <memory>
#include <string>
#include <vector>

#include "proxy/console/console.hpp"

namespace pgsteer::test {

/// A hub without a network: what the console reads and changes.
struct ConsoleFixture {
  std::shared_ptr<proxy::Config> config = std::make_shared<proxy::Config>();
  std::unique_ptr<proxy::Hub> hub;

  explicit ConsoleFixture(const std::string& policy_text = {});
  proxy::ConsoleResult admin(std::string_view command) { return run_console_command(*hub, {"dba", true}, command); }
  proxy::ConsoleResult reader(std::string_view command) { return run_console_command(*hub, {"grafana", false}, command); }
  void add_client(std::uint64_t id, const std::string& user, const std::string& database, const std::string& address,
                  const std::string& state, int server_pid);
};

std::vector<std::string> column_names(const proxy::ConsoleResult& result);
/// Cell of the first row whose column `key` is `value`; "<none>" when there is none.
std::string lookup(const proxy::ConsoleResult& result, const std::string& key, const std::string& value, const std::string& column);

}  // namespace pgsteer::test
