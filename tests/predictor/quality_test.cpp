// How right the predictor was: figures worked out by hand, and which rows count.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>

#include "predictor/quality.hpp"
#include "predictor/window.hpp"
#include "synthetic.hpp"
#include "training.hpp"

using namespace pgsteer;
using namespace pgsteer::predictor;

namespace {

constexpr std::int64_t forever = 4'000'000'000'000'000;

/// `n` executions of one statement, each predicted at 10 ms between 5 and 20, each taking 12.
std::vector<Feedback> judged(int n) {
  auto rows = test::synthetic_feedback({.rows = n, .templates = 1});
  for (Feedback& f : rows) {
    f.estimate_ms = 10, f.estimate_low_ms = 5, f.estimate_high_ms = 20;
    f.server_ms = 12;
    f.estimate_source = "model";
    f.model_version = "v0001";
  }
  return rows;
}

Quality quality_of(const std::string& dir, std::int64_t from = 0, std::int64_t to = forever, std::size_t sample = 100) {
  Quality out;
  std::string error;
  const auto store = FeedbackStore::open(dir, true, &error);
  REQUIRE_MESSAGE(store != nullptr, error);
  REQUIRE_MESSAGE(read_quality(*store, from, to, sample, &out, &error), error);
  return out;
}

}  // namespace

TEST_CASE("figures of four executions, by hand") {
  Accuracy accuracy;
  CHECK(accuracy.figures().rows == 0);
  accuracy.add(2, 3, 2, 5);          // q 1.5, inside
  accuracy.add(10, 10, 5, 20);       // q 1, inside
  accuracy.add(100, 25, 12.5, 50);   // q 4, slower than said
  accuracy.add(8, 24, 10, 60);       // q 3, faster than said
  const auto f = accuracy.figures();
  CHECK(f.rows == 4);
  CHECK(f.median_q == doctest::Approx(3));  // of an even number the upper one
  CHECK(f.p90_q == doctest::Approx(4));
  CHECK(f.p99_q == doctest::Approx(4));
  CHECK(f.within_2x == doctest::Approx(0.5));
  CHECK(f.r2_log == doctest::Approx(0.5824).epsilon(1e-3));
  CHECK(f.mean_error_ms == doctest::Approx((1 + 0 + 75 + 16) / 4.0));
  CHECK(f.mean_ms == doctest::Approx(30));
  CHECK(f.median_ms == doctest::Approx(10));
  CHECK(f.bias == doctest::Approx(std::pow(1.5 * 1 * 0.25 * 3, 0.25)));
  CHECK(f.inside == doctest::Approx(0.5));
  CHECK(f.faster == doctest::Approx(0.25));
  CHECK(f.slower == doctest::Approx(0.25));
  CHECK(f.median_width == doctest::Approx(4));
  Accuracy same;
  for (int i = 0; i < 3; ++i) same.add(5, 4, 1, 5);
  CHECK(std::isnan(same.figures().r2_log));  // nothing varies: nothing to explain
  CHECK(same.figures().inside == 1);         // the border belongs to the interval
}

TEST_CASE("which rows count, and under which reason the others are left out") {
  test::ScratchDir dir;
  auto rows = judged(11);
  rows[1].estimate_source = "cold_start", rows[1].model_version = "";
  rows[2].censored = true, rows[2].sqlstate = "57014", rows[2].source = "error";
  rows[3].sqlstate = "42P01", rows[3].source = "error";
  rows[4].source = "cache";
  rows[5].estimate_ms = 0;
  rows[6].server_ms = 0;
  rows[7].source = "explore";
  rows[8].feature_schema = 12345;
  rows[9].features.pop_back();
  rows[10].unix_microseconds = forever;  // after the window
  store_rows(dir.path(), rows);
  const Quality q = quality_of(dir.path());
  CHECK(q.recorded == 9);
  CHECK(q.censored == 1);
  CHECK(q.failed == 1);
  CHECK(q.cached == 1);
  CHECK(q.unpredicted == 1);
  CHECK(q.unmeasured == 1);
  REQUIRE(q.rows.size() == 4);
  REQUIRE(q.origins.size() == 2);
  CHECK(q.origins[q.rows[0].origin].version == "v0001");
  CHECK(q.origins[q.rows[0].origin].model());
  CHECK(q.origins[q.rows[1].origin].source == "cold_start");
  CHECK(!q.origins[q.rows[1].origin].model());
  CHECK(q.fingerprints == std::vector<std::string>{rows[0].fingerprint});
  CHECK(q.rows[0].statement_class.has_value());
  CHECK(!q.rows[2].statement_class.has_value());  // another schema
  CHECK(!q.rows[3].statement_class.has_value());  // a vector cut short
  CHECK(q.sampled == 2);
  REQUIRE(q.sample.size() == 2 * feature_names().size());
  CHECK(std::equal(rows[1].features.begin(), rows[1].features.end(), q.sample.begin() + static_cast<std::ptrdiff_t>(feature_names().size()),
                   [](float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); }));
  std::string error;
  const StoreSpan span = FeedbackStore::open(dir.path(), true, &error)->read_span(&error);
  CHECK(span.rows == 10);
  CHECK(span.first_us == rows[0].unix_microseconds);
  CHECK(span.last_us == forever);
}

TEST_CASE("the sample is of the size asked for and the same at every run; the window has a begin and an end") {
  test::ScratchDir dir;
  const auto rows = judged(500);
  store_rows(dir.path(), rows);
  const Quality a = quality_of(dir.path(), 0, forever, 20), b = quality_of(dir.path(), 0, forever, 20);
  CHECK(a.sampled == 20);
  REQUIRE(a.sample.size() == 20 * feature_names().size());
  CHECK(std::equal(a.sample.begin(), a.sample.end(), b.sample.begin(), [](float x, float y) { return x == y || (std::isnan(x) && std::isnan(y)); }));
  const auto first_twenty = quality_of(dir.path(), 0, rows[20].unix_microseconds, 20);
  CHECK(first_twenty.rows.size() == 20);  // the end is not in it
  CHECK(!std::equal(a.sample.begin(), a.sample.end(), first_twenty.sample.begin(),
                    [](float x, float y) { return x == y || (std::isnan(x) && std::isnan(y)); }));  // not just the first ones
  CHECK(quality_of(dir.path(), rows[490].unix_microseconds).rows.size() == 10);
  CHECK(quality_of(dir.path(), 0, forever, 0).sampled == 0);
}

TEST_CASE("a store with nothing to judge by") {
  test::ScratchDir dir;
  std::string error;
  SUBCASE("empty") {
    REQUIRE(FeedbackStore::open(dir.path(), false, &error));
    const Quality q = quality_of(dir.path());
    CHECK(q.recorded == 0);
    CHECK(q.rows.empty());
    CHECK(FeedbackStore::open(dir.path(), true, &error)->read_span(&error).rows == 0);
  }
  SUBCASE("all censored") {
    auto rows = judged(30);
    for (Feedback& f : rows) f.censored = true, f.sqlstate = "57014", f.source = "error";
    store_rows(dir.path(), rows);
    const Quality q = quality_of(dir.path());
    CHECK(q.recorded == 30);
    CHECK(q.censored == 30);
    CHECK(q.rows.empty());
    CHECK(q.sampled == 0);
  }
}

TEST_CASE("importance is the mean of the contributions without their sign") {
  test::ScratchDir dir;
  const auto rows = test::synthetic_feedback({.rows = 1500});
  store_rows(dir.path(), rows);
  const TrainResult made = train(quick(dir.path()));
  REQUIRE_MESSAGE(made.registered, made.message);
  std::string error;
  const auto model = Model::load(made.directory, &error);
  REQUIRE_MESSAGE(model, error);
  std::vector<float> two;
  for (const std::size_t i : {std::size_t{100}, std::size_t{1200}}) two.insert(two.end(), rows[i].features.begin(), rows[i].features.end());
  const auto list = feature_importance(*model, two, 2);
  REQUIRE(list.size() > 3);
  CHECK(std::is_sorted(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.mean_log > b.mean_log; }));
  const auto first = model->contributions(rows[100].features), second = model->contributions(rows[1200].features);
  for (const Importance& feature : list) {
    CAPTURE(feature.feature);
    const auto& names = feature_names();
    const auto column = static_cast<std::size_t>(std::find(names.begin(), names.end(), feature.feature) - names.begin());
    REQUIRE(column < names.size());
    CHECK(feature.mean_log == doctest::Approx((std::abs(double(first[column])) + std::abs(double(second[column]))) / 2));
    CHECK(!feature.words.empty());
    CHECK(!feature.unit.empty());
    CHECK(feature.words.find('_') == std::string::npos);
  }
  CHECK(feature_importance(*model, two, 3).empty());  // another number of rows than said
  CHECK(feature_importance(*model, {}, 0).empty());
}
