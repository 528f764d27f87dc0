#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <sstream>
#include <thread>

#include <nlohmann/json.hpp>

#include "predictor/models/booster.hpp"
#include "predictor/models/flat.hpp"
#include "predictor/models/meta.hpp"
#include "synthetic.hpp"

using namespace pgsteer;
using namespace pgsteer::predictor;
using Json = nlohmann::json;

namespace {

std::string content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

void write(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

/// A trained model, made once: its directory lives as long as the program.
const std::string& trained() {
  static const test::ScratchDir dir;
  static const std::string directory = [] {
    std::string error;
    auto store = FeedbackStore::open(dir.path(), false, &error);
    REQUIRE(store->append(test::synthetic_feedback({.rows = 3000}), &error));
    TrainOptions options;
    options.state_dir = dir.path();
    options.feedback = embedded_feedback(dir.path());
    options.max_trees = 60;
    return train(options).directory;
  }();
  return directory;
}

/// A copy whose model was changed and whose meta.json agrees with the change: only the content can give it away.
struct Forged {
  test::ScratchDir dir;
  explicit Forged(const std::string& model) {
    write(dir.path() + "/model.ubj", model);
    Json meta = Json::parse(content(trained() + "/meta.json"));
    meta["model"]["bytes"] = model.size();
    meta["model"]["hash"] = hex64(model_hash(model));
    write(dir.path() + "/meta.json", meta.dump());
  }
  std::string load() const {
    std::string error;
    const auto model = Model::load(dir.path(), &error);
    return model ? std::string() : error;
  }
};

/// UBJSON as XGBoost reads it: lengths are always int64.
void encode(const Json& json, std::string& out) {
  const auto big_endian = [&out](auto value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    out.append(std::make_reverse_iterator(bytes + sizeof value), std::make_reverse_iterator(bytes));
  };
  const auto text = [&](const std::string& value) {
    out += 'L';
    big_endian(static_cast<std::int64_t>(value.size()));
    out += value;
  };
  if (json.is_object()) {
    out += '{';
    for (const auto& [key, value] : json.items()) {
      text(key);
      encode(value, out);
    }
    out += '}';
  } else if (json.is_array()) {
    out += '[';
    for (const auto& value : json) encode(value, out);
    out += ']';
  } else if (json.is_string()) {
    out += 'S';
    text(json.get<std::string>());
  } else if (json.is_number_float()) {
    out += 'd';
    big_endian(json.get<float>());
  } else {
    out += 'L';
    big_endian(json.get<std::int64_t>());
  }
}

/// The model with a part changed; the structure check must refuse before XGBoost ever sees it.
template <class Change>
std::string forged_bytes(Change&& change) {
  const std::string bytes = content(trained() + "/model.ubj");
  Json model = Json::from_ubjson(bytes.begin(), bytes.end());
  change(model);
  std::string out;
  encode(model, out);
  return out;
}
template <class Change>
std::string forge(Change&& change) {
  return Forged(forged_bytes(change)).load();
}

Json& tree(Json& model, std::size_t i) { return model["learner"]["gradient_booster"]["model"]["trees"][i]; }

std::vector<float> random_rows(std::size_t n, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<float> rows(n * feature_names().size());
  for (float& value : rows)
    value = random() % 12 == 0 ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(double(random() % 1'000'000) / 5e4 - 3);
  return rows;
}

}  // namespace

TEST_CASE("flattened trees equal XGBoost bit for bit") {
  const std::string bytes = content(trained() + "/model.ubj");
  const std::size_t width = feature_names().size();
  FlatTrees flat;
  std::string error;
  REQUIRE_MESSAGE(FlatTrees::parse(bytes, width, &flat, &error), error);
  CHECK(flat.trees() > 10);
  const auto booster = Booster::load(bytes, width, &error);
  REQUIRE_MESSAGE(booster, error);
  constexpr std::size_t n = 3000;
  std::vector<float> rows = random_rows(n, 9);
  const auto splits = flat.splits(n);
  for (std::size_t i = 0; i < splits.size(); ++i) rows[i * width + splits[i].first] = splits[i].second;  // on the edge
  std::vector<float> expected(n);
  REQUIRE(booster->predict(rows.data(), n, expected.data(), &error));
  std::size_t different = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const float walked = flat.predict(rows.data() + i * width);
    different += std::memcmp(&walked, &expected[i], sizeof walked) != 0;
  }
  CHECK(different == 0);
  CHECK(std::abs(expected[0] - expected[1]) + std::abs(expected[2] - expected[3]) > 0);
}

TEST_CASE("prediction: shapes, batches, threads") {
  std::string error;
  const auto model = Model::load(trained(), &error);
  REQUIRE_MESSAGE(model, error);
  CHECK(model->flattened());
  CHECK(model->interval_log() > 0);
  CHECK(model->interval_unseen_log() >= model->interval_log());
  const std::size_t width = feature_names().size();
  const auto rows = random_rows(64, 4);
  CHECK(model->predict(rows, 63).empty());
  CHECK(model->predict({}, 0).empty());
  const auto all = model->predict(rows, 64);
  REQUIRE(all.size() == 64);
  ModelMeta meta;
  REQUIRE(from_json(content(trained() + "/meta.json"), &meta, &error));
  REQUIRE(meta.base.bind(&error));
  std::vector<std::thread> threads;
  std::vector<int> mismatches(4);
  for (std::size_t t = 0; t < mismatches.size(); ++t)
    threads.emplace_back([&, t] {
      std::string reason;
      const std::string bytes = content(trained() + "/model.ubj");
      const auto booster = Booster::load(bytes, width, &reason);
      for (int round = 0; round < 50; ++round)
        for (std::size_t i = 0; i < 64; ++i) {
          float one = 0;
          mismatches[t] += model->predict(std::span(rows).subspan(i * width, width), 1)[0] != all[i];
          mismatches[t] += !booster->predict(rows.data() + i * width, 1, &one, &reason) ||
                           one + static_cast<float>(meta.base(rows.data() + i * width)) != all[i];
        }
    });
  for (auto& thread : threads) thread.join();
  for (const int count : mismatches) CHECK(count == 0);
}

TEST_CASE("a model that is missing, cut, changed or foreign is refused with the reason") {
  const std::string bytes = content(trained() + "/model.ubj"), meta = content(trained() + "/meta.json");
  std::string error;
  CHECK(!Model::load("/nonexistent", &error));
  CHECK(error.find("No such file") != std::string::npos);
  CHECK(!Model::load("/nonexistent", nullptr));

  test::ScratchDir dir;
  const auto refused_as = [&](const std::string& model_bytes, const std::string& meta_text, const char* expected) {
    write(dir.path() + "/model.ubj", model_bytes);
    write(dir.path() + "/meta.json", meta_text);
    CHECK(!Model::load(dir.path(), &error));
    CHECK_MESSAGE(error.find(expected) != std::string::npos, error);
  };
  refused_as(bytes.substr(0, bytes.size() / 2), meta, "truncated");
  refused_as("", meta, "truncated");
  std::string flipped = bytes;
  flipped[bytes.size() / 2] = static_cast<char>(flipped[bytes.size() / 2] ^ 4);
  refused_as(flipped, meta, "hash differs");
  refused_as(bytes, "", "not a JSON object");
  refused_as(bytes, meta.substr(0, meta.size() / 2), "not a JSON object");
  refused_as(bytes, "{}", "expected format 2");
  Json changed = Json::parse(meta);
  changed["feature_schema"] = "00000000deadbeef";
  refused_as(bytes, changed.dump(), "feature schema 00000000deadbeef");
  changed = Json::parse(meta);
  changed["format"] = 3;
  refused_as(bytes, changed.dump(), "found 3");
  changed = Json::parse(meta);
  changed["interval_log"] = -1;
  refused_as(bytes, changed.dump(), "interval");
  changed = Json::parse(meta);
  changed["rows"] = "many";
  refused_as(bytes, changed.dump(), "meta.json");
  write(dir.path() + "/model.ubj", bytes);
  write(dir.path() + "/meta.json", meta);
  CHECK(Model::load(dir.path(), &error));  // and the same files, whole, are accepted
}

TEST_CASE("malicious models: every length, and each kind of broken tree") {
  CHECK(forge([](Json&) {}) == "");  // the forging itself is not what is refused
  const auto has = [](const std::string& error, const char* text) { CHECK_MESSAGE(error.find(text) != std::string::npos, error); };
  has(forge([](Json& m) { tree(m, 0)["left_children"][0] = 0; }), "children");
  has(forge([](Json& m) { tree(m, 0)["left_children"][0] = 1'000'000; }), "children");
  has(forge([](Json& m) { tree(m, 0)["right_children"][0] = tree(m, 0)["left_children"][0]; }), "twice");
  has(forge([](Json& m) { tree(m, 0)["split_indices"][0] = 5000; }), "feature");
  has(forge([](Json& m) { tree(m, 0)["split_conditions"][0] = std::nanf(""); }), "not finite");
  has(forge([](Json& m) { tree(m, 0)["split_conditions"].erase(0); }), "malformed");
  has(forge([](Json& m) { tree(m, 0)["left_children"] = "x"; }), "malformed");
  has(forge([](Json& m) { tree(m, 0)["split_type"][0] = 1; }), "categorical");
  has(forge([](Json& m) { m["learner"]["learner_model_param"]["base_score"] = "nan"; }), "base_score");
  has(forge([](Json& m) { m["learner"]["objective"]["name"] = "binary:logistic"; }), "objective");
  has(forge([](Json& m) { m["learner"]["gradient_booster"]["model"]["trees"] = Json::array(); }), "0 trees");
  has(forge([](Json& m) { m = Json::array(); }), "not an XGBoost model");

  const std::string bytes = content(trained() + "/model.ubj");
  for (std::size_t n = 0; n < bytes.size(); n += bytes.size() / 40 + 1) CHECK(!Forged(bytes.substr(0, n)).load().empty());
  CHECK(!Forged(std::string("[$Z#L\x00\x00\x01\x00\x00\x00\x00\x00", 13)).load().empty());  // 2^40 nulls in 13 bytes
  CHECK(!Forged(std::string(200'000, '[')).load().empty());
  CHECK(!Forged(bytes + "x").load().empty());
  CHECK(!Forged("binf").load().empty());
}

TEST_CASE("answers of NaN, infinity or absurd size: refused at load or fallen back from") {
  // Leaves near the largest float add up to infinity: structure is sound, the answers are not.
  const std::string huge = forge([](Json& m) {
    for (std::size_t t = 0; t < 8; ++t) {
      Json& left = tree(m, t)["left_children"];
      for (std::size_t i = 0; i < left.size(); ++i)
        if (left[i] == -1) tree(m, t)["split_conditions"][i] = 3e38f;
    }
  });
  CHECK_MESSAGE(huge.find("NaN or infinity") != std::string::npos, huge);

  const Forged forged(forged_bytes([](Json& m) { m["learner"]["learner_model_param"]["base_score"] = "5E2"; }));  // e^500 ms
  std::string error;
  const auto absurd = Model::load(forged.dir.path(), &error);
  REQUIRE_MESSAGE(absurd, error);
  sql::Analysis analysis;
  analysis.kind = sql::StatementKind::select;
  PlanFacts plan;
  plan.known = true;
  plan.total_cost = 1000;
  FeatureInput inputs[2];
  for (auto& input : inputs) {
    input.analysis = &analysis;
    input.plan = &plan;
  }
  int failures = 0;
  const auto fallen = estimate(inputs, absurd.get(), Calibration{}, &failures);
  CHECK(failures == 2);
  CHECK(fallen[0].source == EstimateSource::cold_start);
  CHECK(fallen[0].model_version.empty());
  CHECK(fallen[0].ms == estimate(inputs, nullptr, Calibration{})[0].ms);
  (void)estimate(inputs, absurd.get(), Calibration{});  // not counted: no crash
}

TEST_CASE("the model leads where it has something to say, the history where it is sharper") {
  std::string error;
  const auto model = Model::load(trained(), &error);
  REQUIRE(model);
  // New executions of the templates it was trained on.
  double log_error = 0, cold_error = 0;
  int n = 0, covered = 0;
  std::mt19937_64 shape_random(1);
  std::vector<test::Template> templates;
  for (int i = 0; i < 40; ++i) templates.push_back(test::make_template(i, shape_random));
  const sql::Catalog catalog = test::synthetic_catalog();
  std::normal_distribution<double> normal;
  std::mt19937_64 random(77);
  Calibration calibration;
  for (int i = 0; i < 2000; ++i) {
    test::Template& t = templates[random() % templates.size()];
    const double log_cost = t.base_cost + t.spread * normal(random);
    PlanFacts plan;
    plan.known = true;
    plan.total_cost = std::exp(log_cost);
    plan.rows = std::exp(0.7 * log_cost);
    plan.nodes = 2 * t.analysis.features.tables;
    plan.joins = t.analysis.features.joins;
    plan.nested_loops = t.nested ? plan.joins : 0;
    plan.hash_joins = t.nested ? 0 : plan.joins;
    plan.seq_scans = 1;
    plan.seq_scan_rows = plan.total_cost * 20;
    FeatureInput input;
    input.analysis = &t.analysis;
    input.catalog = &catalog;
    input.plan = &plan;
    input.history = &t.history;
    const double log_ms = t.factor + 0.8 * log_cost + (t.nested ? 1.5 : 0) + 0.2 * normal(random);
    const Estimate with = estimate({&input, 1}, model.get(), calibration)[0];
    const Estimate without = estimate({&input, 1}, nullptr, calibration)[0];
    if (i > 500) {
      CHECK(with.model_version == "v0001");
      log_error += std::abs(std::log(with.ms) - log_ms);
      cold_error += std::abs(std::log(without.ms) - log_ms);
      covered += std::log(with.ms_low) <= log_ms && log_ms <= std::log(with.ms_high);
      ++n;
    }
    t.history.add(std::exp(log_ms), 1, 100, &plan);
    calibration.add(plan.total_cost, sql::StatementKind::select, std::exp(log_ms));
  }
  MESSAGE("mean log error " << log_error / n << " with the model, " << cold_error / n << " without; coverage " << double(covered) / n);
  CHECK(log_error < 0.5 * cold_error);
  CHECK(double(covered) / n > 0.85);
}
