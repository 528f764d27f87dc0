#include "tests/console/fixture.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace pgsteer::test {

ConsoleFixture::ConsoleFixture(const std::string& policy_text) {
  config->console.admin_users = {"dba"};
  std::vector<policies::FileError> errors;
  auto policies = policies::PolicySet::parse(policy_text, "conf/policies/shop.toml", &errors);
  for (const auto& error : errors) MESSAGE(error.text);
  REQUIRE(policies);
  hub = std::make_unique<proxy::Hub>(config, policies);
}

/// Connected 2023-11-14 22:13:20 UTC; one without a server connection is the console's.
void ConsoleFixture::add_client(std::uint64_t id, const std::string& user, const std::string& database, const std::string& address,
                                const std::string& state, int server_pid) {
  proxy::ClientInfo info;
  info.id = id;
  info.user = user;
  info.database = database;
  info.address = address;
  info.state = state;
  info.server_pid = server_pid;
  info.is_console = server_pid == 0;
  info.connected_unix_us = info.request_unix_us = 1'700'000'000'000'000;
  hub->set_client(info);
}

std::vector<std::string> column_names(const proxy::ConsoleResult& result) {
  std::vector<std::string> names;
  for (const auto& column : result.columns) names.push_back(column.name);
  return names;
}

std::string lookup(const proxy::ConsoleResult& result, const std::string& key, const std::string& value, const std::string& column) {
  const auto names = column_names(result);
  const auto position = [&](const std::string& name) {
    return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
  };
  const auto k = position(key), c = position(column);
  if (k == names.size() || c == names.size()) return "<none>";
  for (const auto& row : result.rows)
    if (row.at(k) == value) return row.at(c);
  return "<none>";
}

}  // namespace pgsteer::test
