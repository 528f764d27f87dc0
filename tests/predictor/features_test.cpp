#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "predictor/context.hpp"
#include "synthetic.hpp"

using namespace pgsteer;
using namespace pgsteer::predictor;

namespace {

float value(const FeatureVector& row, const char* name) {
  const int index = feature_index(name);
  REQUIRE(index >= 0);
  return row[static_cast<std::size_t>(index)];
}

sql::Analysis lookup_analysis() {
  sql::Analysis analysis;
  analysis.kind = sql::StatementKind::select;
  sql::TableUse table;
  table.name = std::string("t6");
  table.alias = std::string("x");
  analysis.tables.push_back(table);
  sql::ColumnUse column;
  column.qualifier = std::string("x");
  column.name = std::string("a");
  column.in_predicate = true;
  analysis.columns.push_back(column);
  analysis.features.tables = 1;
  analysis.features.equalities = 1;
  return analysis;
}

}  // namespace

TEST_CASE("the table: unique names, one value each, a stable schema") {
  const auto& names = feature_names();
  CHECK(names.size() > 80);
  CHECK(std::set<std::string>(names.begin(), names.end()).size() == names.size());
  CHECK(feature_schema() == feature_schema());
  CHECK(feature_schema() != 0);
  const sql::Analysis analysis;
  FeatureInput input;
  input.analysis = &analysis;
  CHECK(extract(input).size() == names.size());
}

TEST_CASE("what is unknown is NaN, what is known is not") {
  const sql::Analysis analysis = lookup_analysis();
  FeatureInput input;
  input.analysis = &analysis;
  FeatureVector row = extract(input);
  CHECK(value(row, "kind_select") == 1);
  CHECK(value(row, "syntax_tables") == 1);
  CHECK(std::isnan(value(row, "plan_total_cost")));
  CHECK(std::isnan(value(row, "catalog_rows_sum")));
  CHECK(std::isnan(value(row, "history_ewma")));
  CHECK(value(row, "history_count") == 0);

  PlanFacts plan;
  input.plan = &plan;  // there, but not known
  CHECK(std::isnan(value(extract(input), "plan_total_cost")));
  plan.known = true;
  plan.total_cost = 100;
  CHECK(value(extract(input), "plan_total_cost") == doctest::Approx(std::log1p(100)));
  plan.total_cost = INFINITY;
  CHECK(std::isnan(value(extract(input), "plan_total_cost")));

  History history;
  history.add(10, 5, 500);
  input.history = &history;
  row = extract(input);
  CHECK(value(row, "history_ewma") == doctest::Approx(std::log(10)));
  CHECK(value(row, "history_last") == doctest::Approx(std::log(10)));
}

TEST_CASE("catalog features: a unique lookup against a scan") {
  const sql::Catalog catalog = test::synthetic_catalog();
  sql::Analysis analysis = lookup_analysis();
  FeatureInput input;
  input.analysis = &analysis;
  input.catalog = &catalog;
  FeatureVector row = extract(input);
  CHECK(value(row, "catalog_unique_lookups") == 1);
  CHECK(value(row, "catalog_index_path_share") == 1);
  CHECK(value(row, "catalog_unindexed_rows") == 0);
  CHECK(value(row, "catalog_rows_max") == doctest::Approx(std::log1p(1e5)));
  CHECK(value(row, "catalog_distinct_max") == doctest::Approx(std::log1p(1e5)));  // n_distinct -1: all rows differ

  analysis.columns[0].name = std::string("b");  // not indexed
  row = extract(input);
  CHECK(value(row, "catalog_unique_lookups") == 0);
  CHECK(value(row, "catalog_unindexed_rows") == doctest::Approx(std::log1p(1e5)));
  CHECK(value(row, "catalog_distinct_max") == doctest::Approx(std::log1p(100)));

  analysis.columns[0].qualifier = std::string("other");  // of no table here
  row = extract(input);
  CHECK(value(row, "catalog_predicate_columns") == 0);
  CHECK(std::isnan(value(row, "catalog_distinct_max")));

  analysis.tables[0].name = std::string("missing");
  row = extract(input);
  CHECK(value(row, "catalog_tables_missing") == 1);
}

TEST_CASE("history: exact for the first runs, then forgetting") {
  History history;
  history.add(10, 1, 10);
  CHECK(history.ewma_var_log_ms == 0);
  history.add(1000, 3, 30);
  CHECK(history.count == 2);
  CHECK(history.ewma_log_ms == doctest::Approx(std::log(100)));
  CHECK(history.ewma_var_log_ms == doctest::Approx(std::pow(std::log(10), 2)));
  CHECK(history.ewma_rows == doctest::Approx(2));
  for (int i = 0; i < 100; ++i) history.add(5, 1, 10);
  CHECK(history.ewma_log_ms == doctest::Approx(std::log(5)).epsilon(0.01));
  const History before = history;
  history.add(NAN, 1, 1);
  history.add(-3, 1, 1);
  CHECK(history.count == before.count);
  CHECK(history.ewma_log_ms == before.ewma_log_ms);
}
