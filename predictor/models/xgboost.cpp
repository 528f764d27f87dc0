// The only file that knows the XGBoost C API (1.7). Its traps, all measured: nthread must be 1 on the predicting booster
// (else p99 40 ms on a busy machine), the in-place configuration needs the undocumented cache_id, and the result belongs
// to the calling thread until its next call.
#include <dlfcn.h>
#include <xgboost/c_api.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "predictor/models/booster.hpp"

namespace pgsteer::predictor {
namespace {

constexpr const char* predict_config =
    R"({"type":0,"training":false,"iteration_begin":0,"iteration_end":0,"missing":NaN,"strict_shape":false,"cache_id":0})";

/// Parts of XGBoost (making a matrix, setting labels) ask OpenMP for all cores whatever nthread says: teams that spin
/// on a busy machine, and a pool of threads that hangs the child of a later fork. OpenMP's own limit is per calling
/// thread; it is found at run time because only libxgboost is linked with OpenMP.
void one_thread() {
  using SetThreads = void (*)(int);
  static const auto set_threads = reinterpret_cast<SetThreads>(::dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
  thread_local bool done = false;
  if (!done && set_threads) set_threads(1);
  done = true;
}

/// First line of XGBoost's message, which otherwise carries a stack trace.
std::string last_error() {
  const std::string text = XGBGetLastError();
  const auto end = text.find("\nStack trace");
  return text.substr(0, std::min(end, text.find_last_not_of('\n', end) + 1));
}

struct Matrix {
  DMatrixHandle handle = nullptr;
  Matrix() = default;
  Matrix(const Matrix&) = delete;
  Matrix& operator=(const Matrix&) = delete;
  ~Matrix() {
    if (handle) XGDMatrixFree(handle);
  }
  bool fill(const TrainingRows& rows, std::size_t columns) {
    return XGDMatrixCreateFromMat(rows.values.data(), rows.rows, columns, std::nanf(""), &handle) == 0 &&
           XGDMatrixSetFloatInfo(handle, "label", rows.target.data(), rows.rows) == 0 &&
           XGDMatrixSetFloatInfo(handle, "weight", rows.weight.data(), rows.rows) == 0;
  }
};

struct Handle {
  BoosterHandle handle = nullptr;
  Handle() = default;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (handle) XGBoosterFree(handle);
  }
  bool set(const char* name, const std::string& value) const { return XGBoosterSetParam(handle, name, value.c_str()) == 0; }
};

bool configure(const Handle& booster, const BoostOptions& options, double base_score) {
  return booster.set("verbosity", "0") && booster.set("nthread", "1") && booster.set("tree_method", "hist") &&
         booster.set("objective", options.objective) && booster.set("eval_metric", "mae") &&
         booster.set("max_depth", fmt::to_string(options.max_depth)) && booster.set("eta", fmt::to_string(options.eta)) &&
         booster.set("seed", fmt::to_string(options.seed & 0x7FFFFFFF)) && booster.set("subsample", "0.9") &&
         booster.set("colsample_bytree", "0.8") && booster.set("min_child_weight", "3") && booster.set("lambda", "1") &&
         booster.set("base_score", fmt::format("{}", base_score));
}

double weighted_mean(const TrainingRows& rows) {
  double sum = 0, weight = 0;
  for (std::size_t i = 0; i < rows.rows; ++i) {
    sum += double(rows.target[i]) * rows.weight[i];
    weight += rows.weight[i];
  }
  return weight > 0 ? sum / weight : 0;
}

/// "[12]\tvalid-mae:0.512345" -> 0.512345
double read_metric(const char* text) {
  const char* colon = text ? std::strrchr(text, ':') : nullptr;
  return colon ? std::strtod(colon + 1, nullptr) : std::nan("");
}

bool serialise(BoosterHandle handle, std::string& out) {
  bst_ulong size = 0;
  const char* bytes = nullptr;
  if (XGBoosterSaveModelToBuffer(handle, R"({"format":"ubj"})", &size, &bytes) != 0) return false;
  out.assign(bytes, size);
  return true;
}

std::vector<std::pair<std::string, double>> read_gains(BoosterHandle handle) {
  bst_ulong names = 0, dimensions = 0;
  char const** name = nullptr;
  bst_ulong const* shape = nullptr;
  float const* score = nullptr;
  std::vector<std::pair<std::string, double>> out;
  if (XGBoosterFeatureScore(handle, R"({"importance_type":"total_gain"})", &names, &name, &dimensions, &shape, &score) != 0)
    return out;
  for (bst_ulong i = 0; i < names; ++i) out.emplace_back(name[i], double(score[i]));
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return out;
}

/// Adds trees until the limit, the validation error or go_on() ends it; the number of trees worth keeping.
int grow(const Handle& booster, const Matrix& train, const Matrix& validation, const BoostOptions& options, std::string* error) {
  int best = 0, made = 0;
  double best_error = INFINITY;
  for (; made < options.max_trees; ++made) {
    if (options.go_on && !options.go_on(made)) break;
    if (XGBoosterUpdateOneIter(booster.handle, made, train.handle) != 0) {
      *error = last_error();
      return 0;
    }
    if (!validation.handle) continue;
    DMatrixHandle matrices[] = {validation.handle};
    const char* names[] = {"valid"};
    const char* text = nullptr;
    if (XGBoosterEvalOneIter(booster.handle, made, matrices, names, 1, &text) != 0) {
      *error = last_error();
      return 0;
    }
    const double metric = read_metric(text);
    if (metric < best_error - 1e-4) {
      best_error = metric;
      best = made + 1;
    }
    if (made + 1 - best >= options.patience) break;
  }
  return validation.handle && best > 0 ? best : made;
}

}  // namespace

BoostResult boost(const TrainingRows& train, const TrainingRows& validation, std::size_t columns, const BoostOptions& options) {
  one_thread();
  BoostResult result;
  const auto fail = [&result](std::string text) {
    result.model.clear();
    result.error = std::move(text);
    return result;
  };
  Matrix train_matrix, validation_matrix;
  if (!train_matrix.fill(train, columns) || (validation.rows > 0 && !validation_matrix.fill(validation, columns)))
    return fail(last_error());
  if (options.copied) options.copied();
  Handle booster;
  DMatrixHandle known[] = {train_matrix.handle, validation_matrix.handle};
  if (XGBoosterCreate(known, validation.rows > 0 ? 2 : 1, &booster.handle) != 0 || !configure(booster, options, weighted_mean(train)))
    return fail(last_error());
  result.trees = grow(booster, train_matrix, validation_matrix, options, &result.error);
  if (!result.error.empty()) return fail(result.error);
  if (result.trees == 0) return fail("no tree was made within the time budget");
  Handle slice;
  if (XGBoosterSlice(booster.handle, 0, result.trees, 1, &slice.handle) != 0 || !serialise(slice.handle, result.model))
    return fail(last_error());
  result.gains = read_gains(slice.handle);
  return result;
}

Booster::~Booster() {
  if (handle_) XGBoosterFree(handle_);
}

std::unique_ptr<Booster> Booster::load(std::string_view model, std::size_t columns, std::string* error) {
  one_thread();
  std::unique_ptr<Booster> booster(new Booster);
  booster->columns_ = columns;
  bst_ulong found = 0;
  if (XGBoosterCreate(nullptr, 0, &booster->handle_) != 0 ||
      XGBoosterSetParam(booster->handle_, "verbosity", "0") != 0 ||
      XGBoosterLoadModelFromBuffer(booster->handle_, model.data(), model.size()) != 0 ||
      XGBoosterSetParam(booster->handle_, "nthread", "1") != 0 ||
      XGBoosterGetNumFeature(booster->handle_, &found) != 0) {
    *error = fmt::format("XGBoost refuses the model: {}", last_error());
    return nullptr;
  }
  if (found != columns) {
    *error = fmt::format("the model has {} features, expected {}", found, columns);
    return nullptr;
  }
  return booster;
}

bool Booster::predict(const float* rows, std::size_t n, float* out, std::string* error) const {
  thread_local Matrix proxy;
  if (n == 0) return true;
  one_thread();
  if (!proxy.handle && XGProxyDMatrixCreate(&proxy.handle) != 0) {
    if (error) *error = last_error();
    return false;
  }
  char array[160];
  std::snprintf(array, sizeof array, R"({"data":[%zu,true],"shape":[%zu,%zu],"typestr":"<f4","version":3})",
                reinterpret_cast<std::size_t>(rows), n, columns_);
  bst_ulong const* shape = nullptr;
  bst_ulong dimensions = 0;
  const float* result = nullptr;
  if (XGBoosterPredictFromDense(handle_, array, predict_config, proxy.handle, &shape, &dimensions, &result) != 0) {
    if (error) *error = last_error();
    return false;
  }
  if (dimensions < 1 || shape[0] != n) {
    if (error) *error = "XGBoost gave another number of rows than asked for";
    return false;
  }
  std::copy_n(result, n, out);
  return true;
}

bool Booster::contributions(const float* row, std::vector<float>* out, std::string* error) const {
  one_thread();
  Matrix matrix;
  bst_ulong const* shape = nullptr;
  bst_ulong dimensions = 0;
  const float* result = nullptr;
  constexpr const char* config = R"({"type":2,"training":false,"iteration_begin":0,"iteration_end":0,"strict_shape":false})";
  if (XGDMatrixCreateFromMat(row, 1, columns_, std::nanf(""), &matrix.handle) != 0 ||
      XGBoosterPredictFromDMatrix(handle_, matrix.handle, config, &shape, &dimensions, &result) != 0) {
    if (error) *error = last_error();
    return false;
  }
  std::size_t n = 1;
  for (bst_ulong i = 0; i < dimensions; ++i) n *= shape[i];
  if (n != columns_ + 1) {
    if (error) *error = "XGBoost gave another number of contributions than features";
    return false;
  }
  out->assign(result, result + n);
  return true;
}

}  // namespace pgsteer::predictor
