#include <doctest/doctest.h>

#include <chrono>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include <nlohmann/json.hpp>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "predictor/train/baseline.hpp"
#include "predictor/train/dataset.hpp"
#include "predictor/train/metrics.hpp"
#include "synthetic.hpp"
#include "training.hpp"

using namespace pgsteer;
using namespace pgsteer::predictor;

namespace {

std::string content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

}  // namespace

TEST_CASE("training finds the structure and beats the planner's cost") {
  test::ScratchDir dir;
  store_rows(dir.path(), test::synthetic_feedback({.rows = 6000}));
  TrainOptions options;
  options.state_dir = dir.path();
  options.feedback = embedded_feedback(dir.path());
  std::vector<double> shares;
  options.progress = [&](double share, const std::string& text) {
    CHECK(!text.empty());
    shares.push_back(share);
  };
  const TrainResult result = train(options);
  MESSAGE(result.message);
  REQUIRE_MESSAGE(result.registered, result.message);
  CHECK(result.version == "v0001");
  // The noise alone gives a median q-error of exp(0.6745 * 0.2) = 1.14.
  CHECK(result.seen_median_q < 1.30);
  CHECK(result.seen_p90_q < 2.0);
  CHECK(result.seen_median_q * 1.5 < result.baseline_median_q);
  CHECK(result.seen_p90_q * 1.5 < result.baseline_p90_q);
  CHECK(result.rows_test_seen > 500);
  CHECK(result.rows_test_unseen > 50);
  CHECK(result.unseen_median_q > result.seen_median_q);  // a template's own factor cannot be known
  CHECK(result.coverage > 0.7);  // over all; three held-out templates are too few to promise more
  CHECK(std::is_sorted(shares.begin(), shares.end()));
  CHECK(shares.back() == 1);
  const auto metrics = nlohmann::json::parse(content(result.directory + "/metrics.json"));
  CHECK(metrics["seen"]["median_q"] == doctest::Approx(result.seen_median_q));
  CHECK(metrics["coverage_90"]["seen"].get<double>() > 0.84);
  CHECK(metrics["importance"].size() > 3);
  const auto meta = nlohmann::json::parse(content(result.directory + "/meta.json"));
  CHECK(meta["rows"] == 6000);
  CHECK(meta["parent"] == "");
  CHECK(meta["masked"] == std::vector<std::string>{"time_hour", "time_weekday"});

  std::string error;
  const auto model = Model::load(current_model(dir.path()), &error);
  REQUIRE_MESSAGE(model, error);
  CHECK(model->flattened());
  CHECK(model->version() == "v0001");
  CHECK(model->schema() == feature_schema());
}

TEST_CASE("too little, and what is left out") {
  test::ScratchDir dir;
  TrainResult result = train(quick(dir.path()));
  CHECK(!result.registered);
  CHECK(result.message.find("feedback.db") != std::string::npos);

  auto rows = test::synthetic_feedback({.rows = 400});
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i % 4 == 0) rows[i].source = "cache";
    if (i % 4 == 1) rows[i].sqlstate = "42P01";
    if (i % 4 == 2) rows[i].feature_schema = 12345;
  }
  rows[3].server_ms = NAN;
  rows[7].features.pop_back();
  store_rows(dir.path(), rows);
  result = train(quick(dir.path()));
  CHECK(!result.registered);
  CHECK(result.version.empty());
  CHECK(result.message.find("98 usable rows") != std::string::npos);
  CHECK(current_model(dir.path()).empty());

  Dataset data;
  std::string error;
  REQUIRE(load_dataset(embedded_feedback(dir.path()), 1000, &data, &error));
  CHECK(data.rows() == 98);
  CHECK(data.excluded_cache == 100);
  CHECK(data.excluded_errors == 100);
  CHECK(data.excluded_invalid == 2);
  Dataset newest;
  REQUIRE(load_dataset(embedded_feedback(dir.path()), 10, &newest, &error));
  CHECK(newest.rows() == 10);
  CHECK(newest.unix_us.back() == data.unix_us.back());
  CHECK(newest.values.size() == 10 * newest.width);
}

TEST_CASE("the split: newest rows and whole templates are kept apart, time-outs are never judged by") {
  test::ScratchDir dir;
  auto rows = test::synthetic_feedback({.rows = 2000});
  for (std::size_t i = 0; i < rows.size(); i += 10) {
    rows[i].censored = true;
    rows[i].sqlstate = "57014";
  }
  store_rows(dir.path(), rows);
  Dataset data;
  std::string error;
  REQUIRE(load_dataset(embedded_feedback(dir.path()), 10000, &data, &error));
  split(data, 1, 0.15);
  std::set<std::uint32_t> trained, unseen;
  std::int64_t newest_trained = 0, oldest_test = std::numeric_limits<std::int64_t>::max();
  std::map<Part, int> parts;
  for (std::size_t i = 0; i < data.rows(); ++i) {
    ++parts[data.parts[i]];
    const Part part = data.parts[i];
    const bool training = part == Part::fit || part == Part::stop || part == Part::calibrate;
    if (training) {
      trained.insert(data.templates[i]);
      newest_trained = std::max(newest_trained, data.unix_us[i]);
    }
    if (part == Part::test_seen) oldest_test = std::min(oldest_test, data.unix_us[i]);
    if (part == Part::unseen_test || part == Part::unseen_calibrate) unseen.insert(data.templates[i]);
    if (data.censored[i]) CHECK((part == Part::fit || part == Part::later));
  }
  CHECK(newest_trained < oldest_test);
  for (const auto id : unseen) CHECK(!trained.contains(id));
  CHECK(parts[Part::test_seen] > 150);
  CHECK(parts[Part::stop] > 100);
  CHECK(parts[Part::calibrate] > 100);
  CHECK(parts[Part::unseen_test] > 0);
  CHECK(parts[Part::unseen_calibrate] > 0);
}

TEST_CASE("a model is replaced only by a better one") {
  test::ScratchDir dir;
  store_rows(dir.path(), test::synthetic_feedback({.rows = 2000}));
  REQUIRE(train(quick(dir.path())).registered);
  // Nothing new: nothing to compare on.
  TrainResult result = train(quick(dir.path()));
  CHECK(!result.registered);
  CHECK(result.message.find("newer than the data of v0001") != std::string::npos);
  CHECK(current_model(dir.path()).ends_with("/v0001"));
  // The same templates became 20 times slower: the old model is wrong on the new rows.
  store_rows(dir.path(), test::synthetic_feedback({.rows = 2000, .start_us = 1'700'000'500'000'000, .shift = 3.0}));
  result = train(quick(dir.path()));
  CHECK_MESSAGE(result.registered, result.message);
  CHECK(result.version == "v0002");
  CHECK(current_model(dir.path()).ends_with("/v0002"));
  const auto metrics = nlohmann::json::parse(content(result.directory + "/metrics.json"));
  CHECK(metrics["compared_with"]["version"] == "v0001");
  CHECK(metrics["compared_with"]["mean_log_new"] < metrics["compared_with"]["mean_log_current"]);
  // A crippled candidate loses against it, unless forced.
  store_rows(dir.path(), test::synthetic_feedback({.rows = 600, .start_us = 1'700'001'000'000'000, .shift = 3.0}));
  TrainOptions weak = quick(dir.path(), 1);
  result = train(weak);
  CHECK(!result.registered);
  CHECK(result.message.find("no sound win over v0002") != std::string::npos);
  weak.force = true;
  result = train(weak);
  CHECK(result.registered);
  CHECK(current_model(dir.path()).ends_with("/v0003"));
}

TEST_CASE("registry: list, rollback, pruning, odd content") {
  test::ScratchDir dir;
  std::string error;
  CHECK(list_models(dir.path()).empty());
  CHECK(!rollback_model(dir.path(), "latency", &error));
  CHECK(!rollback_model(dir.path(), "../x", &error));
  CHECK(std::filesystem::is_empty(dir.path()));

  store_rows(dir.path(), test::synthetic_feedback({.rows = 400}));
  TrainOptions options = quick(dir.path(), 3);
  options.force = true;
  options.keep_versions = 3;
  for (int i = 0; i < 5; ++i) REQUIRE(train(options).registered);
  auto models = list_models(dir.path());
  REQUIRE(models.size() == 3);
  CHECK(models[0].version == "v0003");
  CHECK(models[2].version == "v0005");
  CHECK(models[2].current);
  CHECK(!models[0].current);
  CHECK(models[2].metrics.find("median_q") != std::string::npos);

  REQUIRE(rollback_model(dir.path(), "latency", &error));
  CHECK(current_model(dir.path()).ends_with("/v0004"));
  REQUIRE(rollback_model(dir.path(), "latency", &error));
  CHECK(!rollback_model(dir.path(), "latency", &error));
  CHECK(error.find("oldest") != std::string::npos);
  // After a rollback versions go on counting; the old ones beyond are not lost at once.
  REQUIRE(train(options).version == "v0006");

  const std::string root = dir.path() + "/models/latency";
  std::filesystem::create_directory(root + "/v0099");      // no meta.json: not a version
  std::filesystem::create_directory(root + "/.tmp-v0042");  // left by a killed training
  std::ofstream(root + "/README") << "x";
  CHECK(list_models(dir.path()).size() == 3);
  REQUIRE(train(options).version == "v0100");
  CHECK(!std::filesystem::exists(root + "/.tmp-v0042"));
  std::filesystem::remove(root + "/current");
  std::filesystem::create_symlink("../../../etc", root + "/current");
  CHECK(current_model(dir.path()).empty());
  options.name = "Bad/Name";
  CHECK(!train(options).registered);
}

TEST_CASE("deterministic for a seed") {
  test::ScratchDir a, b, c;
  const auto rows = test::synthetic_feedback({.rows = 1500});
  std::string models[3], metrics[3];
  int i = 0;
  for (const auto* dir : {&a, &b, &c}) {
    store_rows(dir->path(), rows);
    TrainOptions options = quick(dir->path());
    options.seed = i == 2 ? 2 : 1;
    const TrainResult result = train(options);
    REQUIRE(result.registered);
    models[i] = content(result.directory + "/model.ubj");
    metrics[i++] = content(result.directory + "/metrics.json");
  }
  CHECK(models[0] == models[1]);
  CHECK(metrics[0] == metrics[1]);
  CHECK(models[0] != models[2]);
}

TEST_CASE("the time budget ends it early, with a usable model") {
  test::ScratchDir dir;
  store_rows(dir.path(), test::synthetic_feedback({.rows = 5000}));
  TrainOptions options;
  options.state_dir = dir.path();
  options.feedback = embedded_feedback(dir.path());
  options.max_trees = 2000;
  options.time_budget_seconds = 1.0;
  const auto start = std::chrono::steady_clock::now();
  const TrainResult result = train(options);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  CHECK_MESSAGE(result.registered, result.message);
  CHECK(seconds < 6);
  std::string error;
  CHECK_MESSAGE(Model::load(result.directory, &error), error);
}

TEST_CASE("kill -9 at any moment leaves a registry that is before or after") {
  test::ScratchDir dir;
  store_rows(dir.path(), test::synthetic_feedback({.rows = 600}));
  TrainOptions options = quick(dir.path(), 10);
  options.force = true;
  options.keep_versions = 2;
  REQUIRE(train(options).registered);
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(train(options).registered);
  const auto whole = std::chrono::steady_clock::now() - start;
  std::mt19937_64 random(11);
  int advanced = 0;
  for (int round = 0; round < 30; ++round) {
    const std::string before = current_model(dir.path());
    const pid_t child = ::fork();
    if (child == 0) ::_exit(train(options).registered ? 0 : 1);
    std::this_thread::sleep_for(std::chrono::duration<double>(whole) * (double(random() % 1000) / 500));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const std::string after = current_model(dir.path());
    REQUIRE(!after.empty());
    advanced += after != before;
    std::string error;
    REQUIRE_MESSAGE(Model::load(after, &error), error);
    for (const ModelVersion& version : list_models(dir.path())) REQUIRE_MESSAGE(Model::load(version.directory, &error), error);
  }
  CHECK_MESSAGE(advanced > 0, "no training lived long enough to register");
  CHECK_MESSAGE(advanced < 30, "no training was killed in time");
  REQUIRE(train(options).registered);  // no lock, no debris in the way
}

TEST_CASE("two trainings at once: the second steps aside") {
  test::ScratchDir dir;
  store_rows(dir.path(), test::synthetic_feedback({.rows = 600}));
  TrainOptions options = quick(dir.path(), 5);
  bool inner_refused = false;
  options.progress = [&](double, const std::string&) {
    const TrainResult inner = train(quick(dir.path(), 5));
    inner_refused = !inner.registered && inner.message.find("another training") != std::string::npos;
  };
  CHECK(train(options).registered);
  CHECK(inner_refused);
}

TEST_CASE("isotonic baseline, q-errors and conformal width") {
  const CostBaseline line({{1, 1}, {2, 3}, {3, 2}, {4, 5}, {-1, 100}});
  CHECK(line.predict(1) == doctest::Approx(1));
  CHECK(line.predict(2) == doctest::Approx(2.5));
  CHECK(line.predict(3) == doctest::Approx(2.5));
  CHECK(line.predict(3.5) == doctest::Approx(3.75));
  CHECK(line.predict(100) == doctest::Approx(5));
  CHECK(line.predict(0) == doctest::Approx(1));
  CHECK(line.predict(-1) == doctest::Approx(3));
  CHECK(CostBaseline({}).predict(5) == 0);

  const QErrors errors = q_errors({0, std::log(1.5), std::log(3), std::log(4)});
  CHECK(errors.rows == 4);
  CHECK(errors.median == doctest::Approx(3));
  CHECK(errors.within_2x == doctest::Approx(0.5));
  std::vector<double> list;
  for (int i = 1; i <= 99; ++i) list.push_back(i / 100.0);
  CHECK(conformal_half_width(list, 0.9) == doctest::Approx(0.90));
  CHECK(conformal_half_width({0.1, 0.1}, 0.9) == doctest::Approx(1));
  CHECK(conformal_half_width({}, 0.9) > 1);
  CHECK(template_half_width({}, 0.9) == 3);
  CHECK(template_half_width({{0.5, 0.5}}, 0.9) == doctest::Approx(1.5));
  CHECK(template_half_width(std::vector<std::vector<double>>(20, {0.5, 0.5}), 0.9) == doctest::Approx(0.5));
}
