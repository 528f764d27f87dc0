// Connections of the background: which of them are kept.
#include "proxy/learner/connection.hpp"
#include "tests/learner/fixture.hpp"

using namespace pgsteer;
using namespace pgsteer::test;
using proxy::learning::Connection;
using proxy::learning::Links;

TEST_CASE("a connection that was stopped in a statement is not kept") {
  proxy::Config config;
  config.upstream.url = "postgresql://postgres@127.0.0.1:" + std::to_string(postgres().port());
  Links links([](const std::string&) { return "postgres"; }, {}, [](const std::string&) { return false; });
  const auto pid = [&] {
    Connection* connection = links.get(config, "postgres");
    REQUIRE(connection);
    return std::string(connection->run("SELECT pg_backend_pid()").text(0, 0));
  };
  const std::string first = pid();
  CHECK(links.get(config, "postgres")->run("SELECT 1 / 0").sqlstate() == "22012");
  CHECK(pid() == first);
  CHECK(links.get(config, "postgres")->run("SET statement_timeout = 1; SELECT pg_sleep(5)").sqlstate() == "57014");
  const std::string second = pid();
  CHECK(second != first);
  Connection* connection = links.get(config, "postgres");
  connection->run("SET statement_timeout = 1");
  CHECK(connection->stream("SELECT pg_sleep(5)", {}).timed_out());
  CHECK(connection->stopped());
  CHECK(pid() != second);
}
