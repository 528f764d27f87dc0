#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <fstream>
#include <unordered_set>

#include "tests/rewriter/generator.hpp"
#include "tests/rewriter/generator_wide.hpp"
#include "tests/rewriter/schema.hpp"

// For tests/e2e/long/transparency.sh: what the generators say, for whoever can run it. PGSTEER_STATEMENTS=FILE gets one JSON object a line,
// {"schema"}, then for each of PGSTEER_SETS data sets {"rows", "zone"} and its statements, {"sql", "ordered"}, PGSTEER_EACH of every generator. Each statement comes once.
TEST_CASE("print the statements of the generators" * doctest::skip()) {
  using namespace pgsteer::test;
  const char *path = std::getenv("PGSTEER_STATEMENTS"), *sets = std::getenv("PGSTEER_SETS"), *seed = std::getenv("PGSTEER_SEED"), *each = std::getenv("PGSTEER_EACH");
  REQUIRE(path);
  std::ofstream out(path);
  const auto line = [&](boost::json::object object) { out << boost::json::serialize(object) << '\n'; };
  line({{"schema", shop_ddl() + odd_ddl()}});
  const char* zones[] = {"UTC", "America/Havana", "Asia/Kolkata", "Pacific/Apia", "Europe/Berlin", "Asia/Kathmandu"};
  const auto first = static_cast<std::uint64_t>(seed ? std::atoll(seed) : 0);
  std::unordered_set<std::string> seen;
  for (std::uint64_t set = first; set < first + static_cast<std::uint64_t>(sets ? std::atoi(sets) : 1); ++set) {
    line({{"rows", random_rows(set) + odd_rows(set)}, {"zone", zones[set % std::size(zones)]}});
    int list_number = 0;
    for (const auto& list : {generators(), wide_generators(), join_generators(), guard_generators()}) {
      ++list_number;
      for (const auto& generator : list) {
        Random random(set * 104729 + std::hash<std::string>{}(generator.rule) + static_cast<std::uint64_t>(list_number));
        for (int i = 0; i < (each ? std::atoi(each) : 20); ++i)
          if (const auto statement = generator.make(random); seen.insert(statement.sql).second) line({{"sql", statement.sql}, {"ordered", statement.ordered}});
      }
    }
  }
}
