#include <doctest/doctest.h>

#include <fstream>

#include "bench/harness/replay.hpp"
#include "tests/support/servers.hpp"

using namespace pgsteer;
using namespace pgsteer::harness;

namespace {

std::string file_with(const test::TempDir& directory, const std::string& text) {
  const std::string path = directory.path() + "/log";
  std::ofstream(path) << text;
  return path;
}

std::string csv_line(const std::string& time, const std::string& message, const std::string& detail = {}) {
  const auto quoted = [](const std::string& text) {
    std::string out = "\"";
    for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
    return out + "\"";
  };
  return time + ",\"app\",\"shop\",4711,\"[local]\",65a,3,\"SELECT\"," + time + ",3/4,0,LOG,00000," + quoted(message) + "," + (detail.empty() ? "" : quoted(detail)) + ",,,,,,,,\"web\",\"client backend\",,0\n";
}

}  // namespace

TEST_CASE("CSV: quotes, doubled quotes, line feeds inside, no line feed at the end") {
  const auto rows = read_csv("a,\"b \"\"c\"\"\",\"d\ne\"\r\n1,,\n\"last\"");
  REQUIRE(rows.size() == 3);
  CHECK(rows[0] == std::vector<std::string>{"a", "b \"c\"", "d\ne"});
  CHECK(rows[1] == std::vector<std::string>{"1", "", ""});
  CHECK(rows[2] == std::vector<std::string>{"last"});
}

TEST_CASE("parameters of a log line, and those that cannot be sent again") {
  std::vector<std::string> values;
  CHECK(read_parameters("parameters: $1 = '5', $2 = 'it''s, $3 = ''x'''", values));
  CHECK(values == std::vector<std::string>{"5", "it's, $3 = 'x'"});
  CHECK(read_parameters("", values));
  CHECK(values.empty());
  CHECK(read_parameters("unused: something else", values));
  CHECK_FALSE(read_parameters("parameters: $1 = NULL", values));
  CHECK_FALSE(read_parameters("parameters: $1 = 'a very long...'", values));
  CHECK_FALSE(read_parameters("parameters: $1 = 'not closed", values));
}

TEST_CASE("csvlog: statements, executions with values, durations; what else is there is passed over") {
  const test::TempDir directory;
  std::vector<std::string> notes;
  const auto statements = read_log(file_with(directory, csv_line("2026-11-21 08:00:00.500 UTC", "connection authorized: user=app") +
                                                            csv_line("2026-11-21 08:00:01.000 UTC", "statement: SELECT \"a\",\n 1") +
                                                            csv_line("2026-11-21 08:00:02.250 UTC", "duration: 0.031 ms  execute S_1: SELECT $1", "parameters: $1 = '7'") +
                                                            csv_line("2026-11-21 08:00:02.260 UTC", "duration: 0.031 ms  bind S_1: SELECT $1", "parameters: $1 = '7'") +
                                                            csv_line("2026-11-21 08:00:03.000 UTC", "execute <unnamed>: SELECT $1", "parameters: $1 = NULL")), notes);
  REQUIRE(statements.size() == 2);
  CHECK(statements[0].sql == "SELECT \"a\",\n 1");
  CHECK(statements[0].seconds == doctest::Approx(0));
  CHECK(statements[1].sql == "SELECT $1");
  CHECK(statements[1].parameters == std::vector<std::string>{"7"});
  CHECK(statements[1].seconds == doctest::Approx(1.25));
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].starts_with("1 statements left out"));
}

TEST_CASE("jsonlog, an export of pg_stat_statements, and what is neither") {
  const test::TempDir directory;
  std::vector<std::string> notes;
  const auto logged = read_log(file_with(directory, R"({"timestamp":"2026-11-21 08:00:01.000 UTC","message":"execute a: SELECT $1","detail":"parameters: $1 = 'x'"})" "\n"
                                                    R"({"timestamp":"2026-11-21 08:00:01.000 UTC","message":"checkpoint starting: time"})" "\n"), notes);
  REQUIRE(logged.size() == 1);
  CHECK(logged[0].parameters == std::vector<std::string>{"x"});
  const auto exported = read_log(file_with(directory, "userid,query,calls\n10,SELECT count(*) FROM t,3\n10,SELECT * FROM t WHERE a = $1,900\n"), notes);
  CHECK(exported.size() == 3);
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].find("1 statements left out") == 0);
  CHECK_THROWS_WITH(read_log(file_with(directory, "a,b\n1,2\n"), notes), doctest::Contains("neither a csvlog"));
  CHECK_THROWS(read_log(directory.path() + "/none", notes));
}

TEST_CASE("a replay keeps queries by fingerprint, and says what it leaves out") {
  const test::TempDir directory;
  const auto path = file_with(directory, csv_line("2026-11-21 08:00:01 UTC", "statement: SELECT a FROM t WHERE b = 1") + csv_line("2026-11-21 08:00:02 UTC", "statement: SELECT a FROM t WHERE b = 2") +
                                             csv_line("2026-11-21 08:00:03 UTC", "statement: SELECT now()") + csv_line("2026-11-21 08:00:04 UTC", "statement: DELETE FROM t WHERE b = 3") +
                                             csv_line("2026-11-21 08:00:05 UTC", "statement: BEGIN"));
  const auto reading = make_replay(path, false);
  REQUIRE(reading.classes.size() == 2);
  CHECK(reading.classes[0].per_round == 2);
  CHECK(reading.classes[0].comparable);
  CHECK_FALSE(reading.classes[1].comparable);
  CHECK(reading.recorded.size() == 3);
  CHECK(reading.recorded[2].seconds == doctest::Approx(2));
  REQUIRE(reading.notes.size() == 1);
  CHECK(reading.notes[0].starts_with("2 statements left out: they write"));
  CHECK(make_replay(path, true).classes.size() == 3);
  CHECK_THROWS_WITH(make_replay("", false), doctest::Contains("--replay"));
}
