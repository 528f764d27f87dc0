// A model version from disk: refused as a whole, with the reason, or trusted. Order of the checks: meta.json, feature
// schema, size and hash, structure of every tree, XGBoost's own reading, and the answers to probe rows.
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include <fmt/format.h>

#include "predictor/models/booster.hpp"
#include "predictor/models/flat.hpp"
#include "predictor/models/meta.hpp"
#include "predictor/predictor.hpp"

namespace pgsteer::predictor {
namespace {

constexpr std::size_t max_model_bytes = 64u << 20, max_meta_bytes = 1u << 20;
constexpr std::size_t probe_rows = 512;

/// Rows that exercise the walk: thresholds themselves and their neighbours, missing values, random scales.
std::vector<float> make_probes(const FlatTrees& trees, std::size_t width) {
  std::mt19937_64 random(42);
  std::vector<float> rows(probe_rows * width);
  for (float& value : rows) {
    const auto dice = random() % 10;
    value = dice == 0 ? std::numeric_limits<float>::quiet_NaN()
                      : static_cast<float>(double(random() % 2'000'001) / 1e5 * (dice < 5 ? 1 : 0.1)) - (dice == 9 ? 10.0f : 0.0f);
  }
  const auto splits = trees.splits(probe_rows * 8);
  for (std::size_t i = 0; i < splits.size(); ++i) {
    const auto [feature, threshold] = splits[i];
    const float edges[] = {threshold, std::nextafterf(threshold, -INFINITY), std::nextafterf(threshold, INFINITY)};
    rows[(i % probe_rows) * width + feature] = edges[i / probe_rows % 3];
  }
  for (std::size_t i = 0; i < width; ++i) rows[i] = std::numeric_limits<float>::quiet_NaN();  // row 0: nothing known
  return rows;
}

}  // namespace

struct Model::Impl {
  ModelMeta meta;
  std::string metrics;
  FlatTrees flat;
  std::unique_ptr<Booster> booster;
  bool flat_exact = false;  ///< bit for bit equal to XGBoost on every probe row
};

Model::Model() : impl_(std::make_unique<Impl>()) {}
Model::~Model() = default;

std::shared_ptr<const Model> Model::load(const std::string& directory, std::string* error) {
  std::string reason;
  const auto refuse = [&](const std::string& text) {
    if (error) *error = fmt::format("model {}: {}", directory, text);
    return nullptr;
  };
  std::shared_ptr<Model> model(new Model);
  Impl& impl = *model->impl_;
  std::string text, bytes;
  if (!read_file(directory + "/meta.json", max_meta_bytes, &text, &reason) || !from_json(text, &impl.meta, &reason)) return refuse(reason);
  const std::size_t width = feature_names().size();
  if (impl.meta.schema != feature_schema() || impl.meta.features != width)
    return refuse(fmt::format("feature schema {} with {} features, this build has {} with {}: train again", hex64(impl.meta.schema),
                              impl.meta.features, hex64(feature_schema()), width));
  if (!impl.meta.base.bind(&reason)) return refuse("meta.json: " + reason);
  if (!read_file(directory + "/model.ubj", max_model_bytes, &bytes, &reason)) return refuse(reason);
  if (bytes.size() != impl.meta.model_bytes)
    return refuse(fmt::format("model.ubj has {} bytes, meta.json says {}: truncated or foreign", bytes.size(), impl.meta.model_bytes));
  if (model_hash(bytes) != impl.meta.model_hash) return refuse("model.ubj is not the file meta.json describes (hash differs)");
  if (!FlatTrees::parse(bytes, width, &impl.flat, &reason)) return refuse("model.ubj: " + reason);
  impl.booster = Booster::load(bytes, width, &reason);
  if (!impl.booster) return refuse(reason);

  const std::vector<float> probes = make_probes(impl.flat, width);
  std::vector<float> expected(probe_rows);
  if (!impl.booster->predict(probes.data(), probe_rows, expected.data(), &reason)) return refuse(reason);
  impl.flat_exact = true;
  for (std::size_t i = 0; i < probe_rows; ++i) {
    if (!std::isfinite(expected[i])) return refuse("a probe row is answered with NaN or infinity");
    const float walked = impl.flat.predict(probes.data() + i * width);
    if (std::memcmp(&walked, &expected[i], sizeof walked) != 0) impl.flat_exact = false;
  }
  if (!read_file(directory + "/metrics.json", max_meta_bytes, &impl.metrics, &reason)) impl.metrics = "{}";
  return model;
}

std::vector<float> Model::predict(std::span<const float> rows, std::size_t n) const {
  const std::size_t width = feature_names().size();
  if (n == 0 || rows.size() != n * width) return {};
  std::vector<float> out(n);
  if (impl_->flat_exact) {
    for (std::size_t i = 0; i < n; ++i) out[i] = impl_->flat.predict(rows.data() + i * width);
  } else if (!impl_->booster->predict(rows.data(), n, out.data(), nullptr)) {
    return {};
  }
  for (std::size_t i = 0; i < n; ++i) out[i] += static_cast<float>(impl_->meta.base(rows.data() + i * width));
  return out;
}

const std::string& Model::version() const { return impl_->meta.version; }
std::uint64_t Model::schema() const { return impl_->meta.schema; }
double Model::interval_log() const { return impl_->meta.interval_log; }
double Model::interval_unseen_log() const { return impl_->meta.interval_unseen_log; }
double Model::half_width(StatementClass c, double executions) const {
  const ModelMeta& meta = impl_->meta;
  const bool seen = executions > 0;
  double half = (seen ? meta.seen_by_class : meta.unseen_by_class)[static_cast<std::size_t>(c)];
  if (half <= 0) half = seen ? meta.interval_log : meta.interval_unseen_log;
  return seen && executions < young_executions ? std::max(half, meta.interval_young_log) : half;
}
bool Model::flattened() const { return impl_->flat_exact; }
const std::string& Model::parent() const { return impl_->meta.parent; }

bool Model::foreign(std::span<const float> row) const {
  constexpr int several = 3;
  const auto& ranges = impl_->meta.ranges;
  if (ranges.size() != row.size()) return false;
  int outside = 0;
  for (std::size_t i = 0; i < row.size(); ++i) outside += row[i] < ranges[i].first || row[i] > ranges[i].second;
  return outside >= several;
}

std::vector<float> Model::contributions(std::span<const float> row) const {
  std::vector<float> out;
  if (row.size() != feature_names().size() || !impl_->booster->contributions(row.data(), &out, nullptr)) return {};
  out.back() += static_cast<float>(impl_->meta.base(row.data()));
  return out;
}

const std::string& Model::metrics() const { return impl_->metrics; }

}  // namespace pgsteer::predictor
