#pragma once
// Feedback with a known structure, for tests and the benchmark: log(ms) = a factor of the template + 0.8 log(cost)
// + 1.5 where the plan joins by nested loops + noise. The planner's cost alone explains little of it.
#include <cmath>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <stdlib.h>

#include "predictor/feedback.hpp"
#include "predictor/predictor.hpp"

namespace pgsteer::test {

/// A directory removed at the end.
class ScratchDir {
 public:
  ScratchDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pgsteer-predictor-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data()) ? pattern : std::string();
  }
  ~ScratchDir() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  ScratchDir(const ScratchDir&) = delete;
  ScratchDir& operator=(const ScratchDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline sql::Catalog synthetic_catalog() {
  sql::Catalog catalog;
  for (int i = 0; i < 8; ++i) {
    sql::Relation table;
    table.oid = static_cast<sql::Oid>(20000 + i);
    table.schema = "public";
    table.name = fmt::format("t{}", i);
    table.rows = std::pow(10.0, 2 + 0.5 * i);
    table.pages = table.rows / 50;
    for (int c = 0; c < 3; ++c) {
      sql::Column column;
      column.name = std::string(1, static_cast<char>('a' + c));
      column.number = static_cast<std::int16_t>(c + 1);
      column.n_distinct = c == 0 ? -1 : 100;
      table.columns.push_back(column);
    }
    sql::Index index;
    index.columns = {1};
    index.unique = index.primary = index.valid = true;
    table.indexes.push_back(index);
    catalog.add(table);
  }
  return catalog;
}

struct Template {
  sql::Analysis analysis;
  std::string text;
  double factor = 0, base_cost = 0, spread = 0;
  bool nested = false;
  predictor::History history;
};

inline Template make_template(int number, std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  Template out;
  out.analysis.kind = sql::StatementKind::select;
  out.analysis.statements = 1;
  char hex[32];
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(random()));
  out.analysis.fingerprint_hex = hex;
  out.analysis.shape = {random(), random()};
  out.text = fmt::format("SELECT {} FROM t0 WHERE a = $1", number);
  const int tables = 1 + static_cast<int>(random() % 4);
  for (int i = 0; i < tables; ++i) {
    sql::TableUse use;
    use.name = fmt::format("t{}", (number + 3 * i) % 8);
    use.read = true;
    out.analysis.tables.push_back(use);
  }
  sql::ColumnUse column;
  column.name = std::string(random() % 2 ? "a" : "b");
  column.in_predicate = true;
  out.analysis.columns.push_back(column);
  out.analysis.features.tables = tables;
  out.analysis.features.joins = tables - 1;
  out.analysis.features.predicates = 1 + static_cast<int>(random() % 5);
  out.analysis.features.bytes = 60 + 10 * tables;
  out.nested = tables > 1 && random() % 2;
  out.factor = 1.2 * normal(random) - 6;
  out.base_cost = 3 + 3.0 * double(random() % 1000) / 1000;
  out.spread = 1.5;
  return out;
}

struct Synthetic {
  int rows = 3000, templates = 40;
  std::uint64_t seed = 1;
  double noise = 0.2;
  std::int64_t start_us = 1'700'000'000'000'000, step_us = 50'000;
  double shift = 0;  ///< added to log(ms) of everything: drift
};

/// One batch in time order. `factors` of templates depend on the seed alone, so two batches of one seed belong together.
inline std::vector<predictor::Feedback> synthetic_feedback(const Synthetic& s) {
  std::mt19937_64 shape_random(s.seed), random(s.seed * 7919 + static_cast<std::uint64_t>(s.start_us));
  std::normal_distribution<double> normal;
  const sql::Catalog catalog = synthetic_catalog();
  std::vector<Template> templates;
  for (int i = 0; i < s.templates; ++i) templates.push_back(make_template(i, shape_random));
  std::vector<predictor::Feedback> out;
  out.reserve(static_cast<std::size_t>(s.rows));
  for (int i = 0; i < s.rows; ++i) {
    Template& t = templates[random() % templates.size()];
    const double log_cost = t.base_cost + t.spread * normal(random);
    predictor::PlanFacts plan;
    plan.known = true;
    plan.total_cost = std::exp(log_cost);
    plan.rows = std::exp(0.7 * log_cost);
    plan.nodes = 2 * t.analysis.features.tables;
    plan.joins = t.analysis.features.joins;
    plan.nested_loops = t.nested ? plan.joins : 0;
    plan.hash_joins = t.nested ? 0 : plan.joins;
    plan.seq_scans = 1;
    plan.seq_scan_rows = plan.total_cost * 20;
    predictor::FeatureInput input;
    input.analysis = &t.analysis;
    input.catalog = &catalog;
    input.plan = &plan;
    input.history = &t.history;
    input.load.in_flight = static_cast<int>(random() % 8);
    predictor::Feedback f;
    f.unix_microseconds = s.start_us + i * s.step_us;
    f.database = "bench";
    f.user = "app";
    f.fingerprint = t.analysis.fingerprint_hex;
    f.kind = "select";
    f.normalized = t.text;
    f.feature_schema = predictor::feature_schema();
    f.features = predictor::extract(input);
    f.candidate = "as-is";
    f.candidates = {"as-is"};
    f.source = "server";
    f.mode = "observe";
    f.server_ms = std::exp(t.factor + 0.8 * log_cost + (t.nested ? 1.5 : 0) + s.shift + s.noise * normal(random));
    f.total_ms = f.server_ms;
    f.rows = 1;
    f.bytes = 100;
    f.plan_cost = plan.total_cost;
    t.history.add(f.server_ms, 1, 100, &plan);
    out.push_back(std::move(f));
  }
  return out;
}

}  // namespace pgsteer::test
