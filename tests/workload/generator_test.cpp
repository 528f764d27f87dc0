#include <doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "bench/workload/classes.hpp"
#include "bench/workload/compare.hpp"
#include "bench/workload/drive.hpp"
#include "bench/workload/generator.hpp"
#include "bench/workload/statistics.hpp"

using namespace pgsteer::workload;

namespace {

const Scale tiny{0.02};

std::vector<std::vector<std::string>> rows_of(const std::vector<Table>& tables, const std::string& name) {
  const auto table = std::find_if(tables.begin(), tables.end(), [&](const Table& t) { return t.name == name; });
  REQUIRE(table != tables.end());
  std::string text;
  table->produce([&text](std::string_view block, std::uint64_t) { text += block; });
  std::vector<std::vector<std::string>> rows;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    rows.emplace_back();
    std::istringstream fields(line);
    for (std::string field; std::getline(fields, field, '\t');) rows.back().push_back(field);
  }
  return rows;
}

std::vector<std::size_t> counts_of(const std::vector<std::vector<std::string>>& rows, std::size_t column) {
  std::map<std::string, std::size_t> counts;
  for (const auto& row : rows) ++counts[row[column]];
  std::vector<std::size_t> sorted;
  for (const auto& [value, count] : counts) sorted.push_back(count);
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  return sorted;
}

}  // namespace

TEST_CASE("the same seed gives the same bytes, another seed others") {
  const Digest first = digest(make_tables(tiny, 7)), again = digest(make_tables(tiny, 7)), other = digest(make_tables(tiny, 8));
  CHECK(first.checksum == again.checksum);
  CHECK(first.rows == again.rows);
  CHECK(first.checksum != other.checksum);
  // A change of the generator changes what every recorded figure was measured on: change this number knowingly.
  CHECK(first.checksum == 0x62EE1419A1FC1A9FULL);
}

TEST_CASE("the default is two to five million rows") {
  std::uint64_t rows = 0;
  for (const Table& table : make_tables(Scale{0.02}, 1)) table.produce([&rows](std::string_view, std::uint64_t n) { rows += n; });
  CHECK(rows * 50 > 2'000'000);
  CHECK(rows * 50 < 5'000'000);
}

TEST_CASE("popularity is skewed: a hundredth of the keys draws a seventh of the rows") {
  const auto tables = make_tables(tiny, 1);
  const std::vector<std::pair<std::string, std::size_t>> cases{{"orders", 1}, {"order_items", 2}, {"comments", 1}, {"votes", 1}, {"badges", 1}};
  for (const auto& [name, column] : cases) {
    CAPTURE(name);
    const auto rows = rows_of(tables, name);
    const auto counts = counts_of(rows, column);
    std::size_t top = 0;
    for (std::size_t i = 0; i < std::max<std::size_t>(1, counts.size() / 100); ++i) top += counts[i];
    CHECK(top * 100 / rows.size() >= 15);
  }
}

TEST_CASE("columns are correlated where the header promises") {
  const auto tables = make_tables(tiny, 1);
  SUBCASE("a city has one country") {
    std::map<std::string, std::string> country;
    for (const auto& row : rows_of(tables, "customers")) CHECK(country.emplace(row[3], row[4]).first->second == row[4]);
  }
  SUBCASE("large accounts order far more than others") {
    std::map<std::string, std::string> segment;
    for (const auto& row : rows_of(tables, "customers")) segment[row[0]] = row[5];
    std::map<std::string, double> customers, orders;
    for (const auto& [id, name] : segment) ++customers[name];
    for (const auto& row : rows_of(tables, "orders")) ++orders[segment[row[1]]];
    CHECK(orders["enterprise"] / customers["enterprise"] > 3 * orders["consumer"] / customers["consumer"]);
  }
  SUBCASE("NULL means not shipped") {
    for (const auto& row : rows_of(tables, "orders")) CHECK((row[7] == "\\N") == (row[2] != "shipped"));
  }
  SUBCASE("the shop grows") {
    std::map<std::string, int> by_year;
    for (const auto& row : rows_of(tables, "orders")) ++by_year[row[6].substr(0, 4)];
    CHECK(by_year["2024"] > 4 * by_year["2021"]);
    CHECK(by_year.size() == 4);
  }
}

TEST_CASE("statements follow from the seed") {
  for (const std::string dataset : {"shop", "travel"}) {
    CAPTURE(dataset);
    const auto classes = make_classes(dataset, tiny);
    CHECK(classes.size() >= 10);
    for (const StatementClass& c : classes) {
      CAPTURE(c.name);
      Random a(5), b(5);
      bool varies = false;
      std::string last;
      for (int i = 0; i < 50; ++i) {
        const Statement first = c.draw(a), second = c.draw(b);
        REQUIRE(first.steps.size() == second.steps.size());
        std::string all;
        for (std::size_t s = 0; s < first.steps.size(); ++s) {
          CHECK(first.steps[s].sql == second.steps[s].sql);
          CHECK(first.steps[s].parameters == second.steps[s].parameters);
          all += first.steps[s].sql;
          for (const auto& parameter : first.steps[s].parameters) all += '|' + parameter;
        }
        for (const auto& sql : first.before) all += sql;
        varies |= !last.empty() && all != last;
        last = all;
      }
      CHECK(varies);
    }
  }
  CHECK_THROWS_AS(make_classes("nothing", tiny), std::invalid_argument);
}

TEST_CASE("quantiles interpolate and the day has a night") {
  CHECK(quantile({}, 0.5) == 0);
  CHECK(quantile({3, 1, 2}, 0.5) == 2);
  CHECK(quantile({1, 2}, 0.5) == doctest::Approx(1.5));
  CHECK(quantile({1, 2, 3, 4, 5}, 1) == 5);
  CHECK(spread95({2, 2, 2}) == 0);
  CHECK(day_rate(3.0 / 24) == doctest::Approx(0.25));
  CHECK(day_rate(15.0 / 24) == doctest::Approx(1.75));
}

namespace {

Comparison made_up(double direct, double through, double spread, const std::string& action) {
  Comparison comparison{"shop", 1, 9, 0.05, {}};
  ClassResult c;
  c.name = "report";
  c.statements = 5;
  c.compared = 50;
  c.measured = {{"direct", direct, direct, direct, 0, 0, 5, 0, ""},
                {"pgsteer", through, through, through, std::log(through / direct), std::log1p(spread / direct), 5, 0, ""}};
  c.decided = {true, {{action, 5}}, {}, 1, 1, 1};
  comparison.classes.push_back(c);
  return comparison;
}

bool says(const Report& result, const std::string& text) {
  return std::any_of(result.failures.begin(), result.failures.end(), [&](const std::string& f) { return f.find(text) != std::string::npos; });
}

}  // namespace

TEST_CASE("the report fails what it should") {
  const Comparison good = made_up(10, 5, 1, "arm:no_nestloop");
  CHECK(report(good, good, false).failures.empty());
  CHECK(report(good, from_json(to_json(good)), false).text == report(good, good, false).text);
  SUBCASE("gains") {
    const Report result = report(good, good, true);
    CHECK_FALSE(says(result, "steered"));
    CHECK(says(result, "no class was rewritten"));
    CHECK(says(result, "no class was cached"));
    CHECK(says(report(good, made_up(10, 9.5, 1, "arm:no_nestloop"), true), "no class was steered"));
  }
  SUBCASE("slower by more than the noise, and not by less") {
    CHECK(says(report(good, made_up(10, 11.2, 1, "as-is"), false), "slower"));
    CHECK(says(report(made_up(10, 11.2, 1, "as-is"), good, false), "observe: report is slower"));
    CHECK(report(good, made_up(10, 11.0, 1, "as-is"), false).failures.empty());
  }
  SUBCASE("answers and errors") {
    Comparison wrong = good;
    wrong.classes[0].unequal = 1;
    CHECK(says(report(good, wrong, false), "1 of 50 answers differ"));
    Comparison broken = good;
    broken.classes[0].measured[1].errors = 2;
    CHECK(says(report(good, broken, false), "2 errors"));
  }
  CHECK_THROWS(from_json("{}"));
}
