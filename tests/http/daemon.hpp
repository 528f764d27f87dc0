#pragma once
#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "proxy/learner/connection.hpp"
#include "tests/http/client.hpp"
#include "tests/support/one_server.hpp"

namespace pgsteer::test {

/// The program itself, as a child process with HTTP on a free port.
class Daemon {
 public:
  explicit Daemon(std::vector<std::string> more = {}, const std::string& upstream = postgres().url())
      : port_(free_port()), http_(free_port()) {
    std::vector<std::string> arguments{program(), "run", "--upstream", upstream, "--listen",
                                       "127.0.0.1:" + std::to_string(port_), "--state-dir", dir_.path() + "/state", "--set",
                                       "http.port=" + std::to_string(http_)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    process_ = std::make_unique<Process>(arguments, dir_.path() + "/log");
    REQUIRE_MESSAGE(eventually([&] { return get(http_, "/healthz").status == 200; }), log());
  }
  std::uint16_t http() const { return http_; }
  std::uint16_t port() const { return port_; }
  Process& process() { return *process_; }
  std::string log() const {
    std::ifstream in(dir_.path() + "/log");
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::unique_ptr<proxy::learning::Connection> connect(const std::string& database = "postgres") const {
    std::string error;
    auto connection = proxy::learning::Connection::open(
        {{"host", "127.0.0.1"}, {"port", std::to_string(port_)}, {"user", "postgres"}, {"dbname", database}}, std::chrono::seconds(10), {}, &error);
    REQUIRE_MESSAGE(connection != nullptr, error);
    return connection;
  }

 private:
  TempDir dir_;
  std::uint16_t port_, http_;
  std::unique_ptr<Process> process_;
};

}  // namespace pgsteer::test
