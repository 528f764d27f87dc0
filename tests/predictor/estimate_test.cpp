#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "synthetic.hpp"

using namespace pgsteer;
using namespace pgsteer::predictor;
using sql::StatementKind;

TEST_CASE("calibration finds a line through noise and outliers") {
  Calibration calibration;
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  for (int i = 0; i < 2000; ++i) {
    const double log_cost = 2 + 8 * double(random() % 1000) / 1000;
    double log_ms = -4 + 0.7 * log_cost + 0.3 * normal(random);
    if (i % 20 == 0) log_ms += 6;  // 5 % of lock waits
    calibration.add(std::expm1(log_cost), StatementKind::select, std::exp(log_ms));
  }
  CHECK(calibration.slope == doctest::Approx(0.7).epsilon(0.07));
  CHECK(calibration.intercept == doctest::Approx(-4).epsilon(0.07));
  CHECK(calibration.spread == doctest::Approx(0.3).epsilon(0.35));
  CHECK(calibration.samples == 2000);
}

TEST_CASE("calibration: medians per kind, bad samples ignored") {
  Calibration calibration;
  for (int i = 0; i < 300; ++i) calibration.add(-1, StatementKind::insert, i % 10 == 0 ? 5000.0 : 2.0);
  CHECK(calibration.samples == 0);
  CHECK(calibration.kind_samples[static_cast<std::size_t>(StatementKind::insert)] == 300);
  CHECK(calibration.kind_log_ms[static_cast<std::size_t>(StatementKind::insert)] == doctest::Approx(std::log(2)).epsilon(0.2));
  calibration.add(NAN, StatementKind::insert, NAN);
  calibration.add(10, StatementKind::select, -1);
  CHECK(calibration.samples == 0);
  calibration.add(INFINITY, StatementKind::select, 1);
  CHECK(std::isfinite(calibration.slope));
}

TEST_CASE("no evidence: wide, and never a constant") {
  sql::Analysis small, large;
  small.kind = large.kind = StatementKind::select;
  small.features.tables = 1;
  large.features.tables = 5;
  large.features.joins = 4;
  large.features.aggregates = 2;
  FeatureInput inputs[4];
  inputs[0].analysis = &small;
  inputs[1].analysis = &large;
  PlanFacts cheap, dear;
  cheap.known = dear.known = true;
  cheap.total_cost = 10;
  dear.total_cost = 1e6;
  dear.rows = 77;
  inputs[2].analysis = inputs[3].analysis = &small;
  inputs[2].plan = &cheap;
  inputs[3].plan = &dear;
  const auto out = estimate(inputs, nullptr, Calibration{});
  REQUIRE(out.size() == 4);
  CHECK(out[0].ms < out[1].ms);
  CHECK(out[2].ms * 100 < out[3].ms);
  CHECK(out[3].rows == 77);
  for (const Estimate& e : out) {
    CHECK(e.source == EstimateSource::cold_start);
    CHECK(e.model_version.empty());
    CHECK(e.ms_low < e.ms);
    CHECK(e.ms < e.ms_high);
    CHECK(e.ms_high / e.ms_low > 100);  // honest about little evidence
  }
  CHECK(estimate({}, nullptr, Calibration{}).empty());
}

TEST_CASE("history takes over as it grows, and narrows the interval") {
  sql::Analysis analysis;
  analysis.kind = StatementKind::select;
  PlanFacts plan;
  plan.known = true;
  plan.total_cost = 1e5;  // the cost says seconds, the runs say 2 ms
  History history;
  FeatureInput input;
  input.analysis = &analysis;
  input.plan = &plan;
  input.history = &history;
  Calibration calibration;
  double last_distance = INFINITY, last_width = INFINITY;
  for (int runs = 0; runs < 40; ++runs) {
    const Estimate e = estimate({&input, 1}, nullptr, calibration)[0];
    const double distance = std::abs(std::log(e.ms / 2));
    if (runs == 0) CHECK(e.source == EstimateSource::cold_start);
    if (runs == 1 || runs == 5 || runs == 39) {
      CHECK(distance < last_distance);
      CHECK(e.ms_high / e.ms_low < last_width);
      CHECK(e.source == EstimateSource::history);
      last_distance = distance;
      last_width = e.ms_high / e.ms_low;
    }
    history.add(2 * (runs % 2 ? 1.1 : 0.9), 4, 40);
  }
  CHECK(last_distance < 0.3);
  history.last_unix_seconds = 1;
  input.unix_seconds = 1 + 30 * 86400;
  const Estimate old = estimate({&input, 1}, nullptr, calibration)[0];
  CHECK(old.ms_high / old.ms_low > last_width);
  CHECK(old.rows == doctest::Approx(4));
}

TEST_CASE("90 % intervals of the cold start cover about 90 % of what comes") {
  Calibration calibration;
  std::mt19937_64 random(5);
  std::normal_distribution<double> normal;
  sql::Analysis analysis;
  analysis.kind = StatementKind::select;
  int covered = 0, asked = 0;
  for (int i = 0; i < 3000; ++i) {
    PlanFacts plan;
    plan.known = true;
    plan.total_cost = std::exp(2 + 6 * double(random() % 1000) / 1000);
    const double ms = std::exp(-5 + 0.9 * std::log1p(plan.total_cost) + 0.8 * normal(random));
    FeatureInput input;
    input.analysis = &analysis;
    input.plan = &plan;
    const Estimate e = estimate({&input, 1}, nullptr, calibration)[0];
    if (i >= 20) {
      ++asked;
      covered += e.ms_low <= ms && ms <= e.ms_high;
    }
    calibration.add(plan.total_cost, StatementKind::select, ms);
  }
  const double share = double(covered) / asked;
  CHECK(share > 0.86);
  CHECK(share < 0.96);
}
