#include <doctest/doctest.h>

#include "policies/policy.hpp"

namespace pgsteer::policies {

using std::chrono::microseconds;

TEST_CASE("durations carry a unit") {
  const struct {
    std::string_view text;
    std::int64_t us;  // -1: refused
  } table[] = {{"250ms", 250000}, {"2s", 2000000},  {"10min", 600000000}, {"1h", 3600000000}, {"80us", 80},
               {"1.5s", 1500000}, {"0", 0},         {"0s", 0},            {"1 s", 1000000},   {"1d", 86400000000},
               {"0.5us", 1},      {"", -1},         {"5", -1},            {"s", -1},          {"-1s", -1},
               {"1S", -1},        {"1s ", -1},      {" 1s", -1},          {"1m", -1},         {"1e3s", -1},
               {"inf s", -1},     {"nans", -1},     {"1ss", -1},          {"999999999999d", -1}, {"-0s", -1}};
  for (const auto& row : table) {
    CAPTURE(row.text);
    const auto read = parse_duration(row.text);
    if (row.us < 0) CHECK_FALSE(read.has_value());
    else CHECK(read == microseconds(row.us));
  }
}

TEST_CASE("sizes are multiples of 1024, as in postgresql.conf") {
  const struct {
    std::string_view text;
    std::int64_t bytes;
  } table[] = {{"8MB", 8388608}, {"64kB", 65536}, {"1GB", 1073741824}, {"17", 17},     {"17B", 17},
               {"1.5kB", 1536},  {"2 MiB", 2097152}, {"1TB", 1099511627776}, {"", -1}, {"MB", -1},
               {"-1MB", -1},     {"8mb", -1},    {"8M", -1},           {"99999999TB", -1}, {"1e6", -1}};
  for (const auto& row : table) {
    CAPTURE(row.text);
    const auto read = parse_bytes(row.text);
    if (row.bytes < 0) CHECK_FALSE(read.has_value());
    else CHECK(read == static_cast<std::uint64_t>(row.bytes));
  }
}

TEST_CASE("globs") {
  const struct {
    std::string_view pattern, text;
    bool match;
  } table[] = {{"*", "", true},          {"*", "x", true},          {"", "", true},         {"", "x", false},
               {"bi_*", "bi_anna", true}, {"bi_*", "bi", false},    {"*_ro", "app_ro", true}, {"a?c", "abc", true},
               {"a?c", "ac", false},     {"a*b*c", "aXbYc", true},  {"a*b*c", "aXcYb", false}, {"Shop", "shop", false},
               {"**", "x", true},        {"*a", "aaab", false},     {"/reports/*", "/reports/x", true}, {"[a]", "a", false}};
  for (const auto& row : table) {
    CAPTURE(row.pattern);
    CAPTURE(row.text);
    CHECK(glob_match(row.pattern, row.text) == row.match);
  }
}

TEST_CASE("a glob of many stars stays cheap") {
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "a*";
  pattern += "b";
  CHECK_FALSE(glob_match(pattern, std::string(20000, 'a')));
}

TEST_CASE("nearest name") {
  const std::vector<std::string> names{"mode", "match", "rewrite", "max_regression", "on_exceed"};
  const struct {
    std::string_view wrong, near;
  } table[] = {{"mdoe", "mode"},  {"Mode", "mode"},         {"mathc", "match"},   {"rewrit", "rewrite"}, {"max-regression", "max_regression"},
               {"xyz", ""},       {"", ""},                 {"on_exeed", "on_exceed"}, {"q", ""}};
  for (const auto& row : table) {
    CAPTURE(row.wrong);
    CHECK(nearest_name(row.wrong, names) == row.near);
  }
  CHECK(nearest_name(std::string(100000, 'm'), names).empty());
}

TEST_CASE("modes by name, in the order of what they may do") {
  for (const auto mode : {Mode::off, Mode::observe, Mode::suggest, Mode::canary, Mode::auto_})
    CHECK(parse_mode(to_string(mode)) == mode);
  CHECK_FALSE(parse_mode("AUTO").has_value());
  CHECK_FALSE(parse_mode("").has_value());
  CHECK(Mode::off < Mode::observe);
  CHECK(Mode::canary < Mode::auto_);
}

}  // namespace pgsteer::policies
