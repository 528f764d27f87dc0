// What prediction costs: microseconds of features and estimates, seconds of training.
#include <malloc.h>

#include <fstream>
#include <algorithm>
#include <chrono>
#include <cstring>

#include <fmt/format.h>

#include "accuracy.hpp"
#include "report.hpp"
#include "predictor/context.hpp"
#include "predictor/models/booster.hpp"
#include "predictor/models/meta.hpp"
#include "tests/predictor/synthetic.hpp"

using namespace pgsteer;
using namespace pgsteer::predictor;
using Clock = std::chrono::steady_clock;

namespace {

template <class Function>
void measure(const char* name, int rounds, Function&& function) {
  std::vector<double> us;
  us.reserve(static_cast<std::size_t>(rounds));
  for (int i = 0; i < rounds; ++i) {
    const auto start = Clock::now();
    function();
    us.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  }
  std::sort(us.begin(), us.end());
  const auto at = [&us](double share) { return us[static_cast<std::size_t>(share * double(us.size() - 1))]; };
  fmt::print("{:<52} p50 {:>9.2f} us   p99 {:>9.2f} us\n", name, at(0.5), at(0.99));
}

/// The most memory from here on is what peak_megabytes() says.
void begin_peak() {
  ::malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << 5;
}
long peak_megabytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::atol(line.c_str() + 6) / 1024;
  return -1;
}

int costs(std::size_t most) {
  test::ScratchDir dir;
  std::string error;
  auto rows = test::synthetic_feedback({.rows = static_cast<int>(most)});
  const auto store = FeedbackStore::open(dir.path(), false, &error);
  if (!store) return fmt::print(stderr, "{}\n", error), 1;
  auto start = Clock::now();
  for (std::size_t i = 0; i < rows.size(); i += 500)
    if (!store->append({rows.begin() + static_cast<std::ptrdiff_t>(i), rows.begin() + static_cast<std::ptrdiff_t>(i + 500)}, &error))
      return fmt::print(stderr, "{}\n", error), 1;
  const auto seconds = [&start] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  fmt::print("{:<52} {:.2f} s ({:.1f} us a row)\n", fmt::format("store: {} rows in batches of 500", rows.size()), seconds(), seconds() * 1e6 / double(rows.size()));

  std::vector<float> values, target, weight;
  for (const Feedback& row : rows) {
    values.insert(values.end(), row.features.begin(), row.features.end());
    target.push_back(static_cast<float>(std::log(row.server_ms)));
    weight.push_back(1);
  }
  start = Clock::now();
  const BoostResult made = boost({values, target, weight, rows.size()}, {}, feature_names().size(), {});
  fmt::print("{:<52} {:.2f} s\n", fmt::format("one fit of {} x {}, {} trees of depth 6", rows.size(), feature_names().size(), made.trees), seconds());
  rows.resize(800);  // what follows is train()'s own memory
  for (auto* all : {&values, &target, &weight}) std::vector<float>().swap(*all);
  begin_peak();
  TrainOptions options;
  options.state_dir = dir.path();
  options.feedback = embedded_feedback(dir.path());
  start = Clock::now();
  const TrainResult result = train(options);
  fmt::print("{:<52} {:.2f} s, {} MB at most\n  {}\n", "train(): three fits, checks, registration", seconds(), peak_megabytes(), result.message);

  // The 200x6 model under the registry's cover, so that Model loads it as it would any other.
  ModelMeta meta;
  meta.version = "bench";
  meta.schema = feature_schema();
  meta.features = feature_names().size();
  meta.interval_log = meta.interval_young_log = meta.interval_unseen_log = 0.5;
  meta.model_bytes = made.model.size();
  meta.model_hash = model_hash(made.model);
  FILE* file = std::fopen((dir.path() + "/model.ubj").c_str(), "wb");
  if (!file) return 1;
  std::fwrite(made.model.data(), 1, made.model.size(), file);
  std::fclose(file);
  file = std::fopen((dir.path() + "/meta.json").c_str(), "wb");
  const std::string text = to_json(meta);
  std::fwrite(text.data(), 1, text.size(), file);
  std::fclose(file);
  start = Clock::now();
  const auto model = Model::load(dir.path(), &error);
  if (!model) return fmt::print(stderr, "{}\n", error), 1;
  fmt::print("{:<52} {:.1f} ms ({} KiB, {})\n\n", "Model::load with all checks", seconds() * 1000, made.model.size() / 1024,
             model->flattened() ? "flattened, equal bit for bit" : "not flattened");

  std::mt19937_64 random(1);
  const sql::Catalog catalog = test::synthetic_catalog();
  test::Template statement = test::make_template(1, random);
  History history;
  history.add(10, 1, 100);
  PlanFacts plan;
  plan.known = true;
  plan.total_cost = 1234;
  FeatureInput input;
  input.analysis = &statement.analysis;
  input.catalog = &catalog;
  input.plan = &plan;
  input.history = &history;
  const std::vector<FeatureInput> sixteen(16, input);
  const Calibration calibration;
  const auto booster = Booster::load(made.model, feature_names().size(), &error);
  if (!booster) return fmt::print(stderr, "{}\n", error), 1;
  std::vector<float> batch;
  for (int i = 0; i < 16; ++i) batch.insert(batch.end(), rows[static_cast<std::size_t>(i) * 50].features.begin(), rows[static_cast<std::size_t>(i) * 50].features.end());
  float out[16];
  const std::size_t width = feature_names().size();
  constexpr int rounds = 5000;
  measure("feature extraction, 1 row", rounds, [&] { extract(input); });
  measure("Model::predict, 1 row", rounds, [&] { (void)model->predict(std::span(batch).first(width), 1); });
  measure("Model::predict, 16 rows", rounds, [&] { (void)model->predict(batch, 16); });
  measure("XGBoost in place, 1 row", rounds, [&] { booster->predict(batch.data(), 1, out, nullptr); });
  measure("XGBoost in place, 16 rows", rounds, [&] { booster->predict(batch.data(), 16, out, nullptr); });
  measure("estimate(), 1 row, no model", rounds, [&] { (void)estimate({&input, 1}, nullptr, calibration); });
  measure("estimate(), 1 row", rounds, [&] { (void)estimate({&input, 1}, model.get(), calibration); });
  measure("estimate(), 16 rows", rounds, [&] { (void)estimate(sixteen, model.get(), calibration); });
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 1) return costs(20'000);
  if (argc == 3 && !std::strcmp(argv[1], "--costs")) return costs(std::strtoull(argv[2], nullptr, 10) / 500 * 500);
  if (argc == 3 && !std::strcmp(argv[1], "--store")) return report_store(argv[2]);
  if (argc == 2 && !std::strcmp(argv[1], "--objectives")) return report_objectives();
  if (argc >= 5 && !std::strcmp(argv[1], "--seed") && !std::strcmp(argv[3], "--data"))
    return report_accuracy({argv + 4, argv + argc}, std::strtoull(argv[2], nullptr, 10));
  fmt::print(stderr, "usage: bench_predict [--costs ROWS | --store STATE_DIR | --objectives | --seed N --data FILE...]; bench/predict/run collects the files\n");
  return 2;
}
