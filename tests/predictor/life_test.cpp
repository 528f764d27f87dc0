// The life of a model: watched in use, rolled back when it is worse, trained anew when the world shifts, pinned by hand.
#include <doctest/doctest.h>

#include <random>

#include "predictor/train/dataset.hpp"
#include "predictor/watch.hpp"
#include "synthetic.hpp"
#include "training.hpp"

using namespace pgsteer;
using namespace pgsteer::predictor;
using Verdict = ModelWatch::Verdict;

namespace {

std::shared_ptr<const Model> load(const std::string& directory) {
  std::string error;
  auto model = Model::load(directory, &error);
  REQUIRE_MESSAGE(model, error);
  return model;
}

/// What a model in use (and the one before it) would have been told of these rows; `used`: rows until the verdict.
Verdict watch(const Model& model, const Model* before, const std::vector<Feedback>& rows, std::size_t* used) {
  ModelWatch watch;
  for (*used = 0; *used < rows.size(); ++*used) {
    const Feedback& f = rows[*used];
    ModelWatch::Row row;
    row.fingerprint = f.fingerprint;
    row.log_ms = std::log(f.server_ms);
    row.predicted = model.predict(f.features, 1).front();
    if (before) row.before = before->predict(f.features, 1).front();
    row.half_width = half_width(model, f.features);
    row.foreign = model.foreign(f.features);
    if (const Verdict verdict = watch.add(row); verdict != Verdict::holds) return verdict;
  }
  return Verdict::holds;
}

double mean_error(const Model& model, const std::vector<Feedback>& rows) {
  double sum = 0;
  for (const Feedback& f : rows) sum += std::abs(model.predict(f.features, 1).front() - std::log(f.server_ms)) / double(rows.size());
  return sum;
}

}  // namespace

TEST_CASE("a watch sleeps while all is well and wakes when it is not") {
  std::mt19937_64 random(5);
  std::normal_distribution<double> normal;
  const auto row = [&](double error, double before, bool foreign) {
    ModelWatch::Row out;
    out.fingerprint = {"0123456789" + random() % 10, 1};
    out.log_ms = 0;
    out.predicted = error * normal(random);
    out.before = before * normal(random);
    out.half_width = 1.645;
    out.foreign = foreign;
    return out;
  };
  ModelWatch well;
  for (int i = 0; i < 50'000; ++i) REQUIRE(well.add(row(1, 1, random() % 50 == 0)) == Verdict::holds);
  CHECK(well.covered() == doctest::Approx(0.9).epsilon(0.01));

  const auto alarm_after = [&](double error, double before, bool foreign, Verdict expected) {
    ModelWatch watch;
    for (int i = 1; i < 5000; ++i)
      if (const Verdict verdict = watch.add(row(error, before, foreign)); verdict != Verdict::holds) {
        CHECK(verdict == expected);
        return i;
      }
    return 5000;
  };
  CHECK(alarm_after(1, 0.3, false, Verdict::worse_than_before) < 300);
  CHECK(alarm_after(4, 4, false, Verdict::residuals_drifted) < 100);
  CHECK(alarm_after(1, 1, true, Verdict::inputs_drifted) < 50);
  CHECK(alarm_after(1, NAN, false, Verdict::holds) == 5000);  // nothing to compare with

  // One statement that runs all day and is mispredicted does not condemn a model that is right about all others.
  ModelWatch hot;
  for (int i = 0; i < 20'000; ++i) {
    ModelWatch::Row one = row(1, 1, false);
    if (i % 10) one.fingerprint = "hot", one.predicted = 0.3, one.before = 0.1, one.half_width = 1;
    REQUIRE(hot.add(one) == Verdict::holds);
  }
}

TEST_CASE("a model made worse on purpose: never promoted; forced in, found out and rolled back") {
  test::ScratchDir dir;
  store_rows(dir.path(), test::synthetic_feedback({.rows = 4000}));
  REQUIRE(train(quick(dir.path())).registered);
  store_rows(dir.path(), test::synthetic_feedback({.rows = 2000, .start_us = 1'700'000'500'000'000}));
  TrainOptions weak = quick(dir.path(), 1);
  const TrainResult refused = train(weak);
  CHECK(!refused.registered);
  CHECK(refused.message.find("no sound win over v0001") != std::string::npos);
  CHECK(current_model(dir.path()).ends_with("/v0001"));

  weak.force = true;
  REQUIRE(train(weak).registered);
  const auto now = load(current_model(dir.path()));
  CHECK(now->version() == "v0002");
  CHECK(now->parent() == "v0001");
  const auto before = load(dir.path() + "/models/latency/v0001");
  const auto rows = test::synthetic_feedback({.rows = 2000, .start_us = 1'700'001'000'000'000});
  std::size_t used = 0;
  CHECK(watch(*now, before.get(), rows, &used) == Verdict::worse_than_before);
  MESSAGE("found out after " << used << " rows");
  std::string error;
  REQUIRE_MESSAGE(rollback_model(dir.path(), "latency", &error), error);
  CHECK(current_model(dir.path()).ends_with("/v0001"));
  CHECK(watch(*before, nullptr, rows, &used) == Verdict::holds);

  // A later version was made to replace v0001, not the bad one that lies between them: that is where it goes back to.
  TrainOptions forced = quick(dir.path());
  forced.force = true;
  REQUIRE(train(forced).version == "v0003");
  REQUIRE(rollback_model(dir.path(), "latency", &error));
  CHECK(current_model(dir.path()).ends_with("/v0001"));
}

TEST_CASE("a workload that shifts in the middle is noticed, trained for, and recovered from") {
  test::ScratchDir dir;
  store_rows(dir.path(), test::synthetic_feedback({.rows = 4000}));
  REQUIRE(train(quick(dir.path())).registered);
  const auto old = load(current_model(dir.path()));
  // Statements that are never asked twice, so that no history tells: first as they were trained on, then everything takes
  // twenty times as long. (Where there is a history it tells within a few executions, and nothing need be done.)
  const auto once = [](int rows, std::int64_t start_us, double shift) {
    auto list = test::synthetic_feedback({.rows = rows, .start_us = start_us, .shift = shift});
    for (Feedback& f : list) forget_history(f.features.data());
    return list;
  };
  const auto usual = once(1000, 1'700'000'300'000'000, 0);
  std::size_t used = 0;
  CHECK(watch(*old, nullptr, usual, &used) == Verdict::holds);
  const double well = mean_error(*old, usual);
  const auto known = test::synthetic_feedback({.rows = 3000, .start_us = 1'700'000'400'000'000, .shift = 3.0});
  CHECK(mean_error(*old, known) < 0.5);
  const auto shifted = once(3000, 1'700'000'500'000'000, 3.0);
  CHECK(watch(*old, nullptr, shifted, &used) != Verdict::holds);
  MESSAGE("noticed after " << used << " rows");
  CHECK(used < 1000);
  store_rows(dir.path(), shifted);
  const TrainResult result = train(quick(dir.path()));
  REQUIRE_MESSAGE(result.registered, result.message);
  const auto fresh = load(current_model(dir.path()));
  const auto after = once(1000, 1'700'001'000'000'000, 3.0);
  MESSAGE("mean log error: " << well << " before, " << mean_error(*old, after) << " after the shift, " << mean_error(*fresh, after) << " retrained");
  CHECK(mean_error(*fresh, after) < 0.7 * mean_error(*old, after));
}

TEST_CASE("a pinned version stays: training registers beside it, nothing rolls it back") {
  test::ScratchDir dir;
  std::string error;
  store_rows(dir.path(), test::synthetic_feedback({.rows = 600}));
  TrainOptions options = quick(dir.path(), 5);
  options.force = true;
  options.keep_versions = 2;
  REQUIRE(train(options).version == "v0001");
  REQUIRE(train(options).version == "v0002");
  CHECK(!pin_model(dir.path(), "latency", "v0009", &error));
  CHECK(error.find("no version \"v0009\"") != std::string::npos);
  CHECK(!pin_model(dir.path(), "latency", "../../x", &error));
  CHECK(!pin_model(dir.path(), "latency", "", &error));  // nothing is pinned
  REQUIRE_MESSAGE(pin_model(dir.path(), "latency", "v0001", &error), error);
  CHECK(current_model(dir.path()).ends_with("/v0001"));
  for (int i = 0; i < 3; ++i) REQUIRE(train(options).registered);
  CHECK(current_model(dir.path()).ends_with("/v0001"));
  CHECK(!rollback_model(dir.path(), "latency", &error));
  int pinned = 0;
  for (const auto& model : list_models(dir.path())) pinned += model.pinned;
  CHECK(pinned == 1);
  REQUIRE_MESSAGE(pin_model(dir.path(), "latency", "", &error), error);
  REQUIRE(train(options).registered);
  CHECK(!current_model(dir.path()).ends_with("/v0001"));
}

TEST_CASE("an estimate in words: the parts are XGBoost's own and add up to it") {
  test::ScratchDir dir;
  const auto rows = test::synthetic_feedback({.rows = 3000});
  store_rows(dir.path(), rows);
  REQUIRE(train(quick(dir.path())).registered);
  const auto model = load(current_model(dir.path()));
  for (std::size_t i = 0; i < rows.size(); i += 500) {
    const auto parts = model->contributions(rows[i].features);
    REQUIRE(parts.size() == rows[i].features.size() + 1);
    double sum = 0;
    for (const float part : parts) sum += part;
    CHECK(sum == doctest::Approx(model->predict(rows[i].features, 1).front()).epsilon(1e-3));
    const auto words = explain_estimate(rows[i].features, *model, 4);
    REQUIRE(words.size() >= 2);
    CHECK(words.size() <= 4);
    CHECK(words[0].starts_with("starts from "));
    CHECK(words[1].starts_with("x"));
  }
  CHECK(model->contributions(std::vector<float>(3)).empty());
}

TEST_CASE("a time-out reaches the training as a lower bound, though it ended with an error") {
  test::ScratchDir dir;
  auto rows = test::synthetic_feedback({.rows = 1000});
  for (std::size_t i = 0; i < rows.size(); i += 10) {  // as the proxy records a cancelled statement
    rows[i].censored = true;
    rows[i].source = "error";
    rows[i].sqlstate = "57014";
  }
  store_rows(dir.path(), rows);
  const TrainResult result = train(quick(dir.path()));
  REQUIRE_MESSAGE(result.registered, result.message);
  CHECK(list_models(dir.path()).front().metrics.find("\"censored\": 100") != std::string::npos);
}
