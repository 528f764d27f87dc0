#include "predictor/train/dataset.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "predictor/context.hpp"
#include "predictor/hash.hpp"

namespace pgsteer::predictor {
namespace {

constexpr double held_out_share = 0.15, largest_held_out = 0.2, older_share = 0.12;
constexpr std::int64_t day_us = 86'400'000'000;

class Loader {
 public:
  Loader(Dataset& data, std::size_t max_rows) : data_(data), max_rows_(max_rows) {}

  void add(const Feedback& f) {
    const bool cut_off = f.censored && f.source == "error";  // a time-out ends with an error, and is a lower bound all the same
    if (f.source != "server" && !cut_off) {
      ++(f.source == "cache" ? data_.excluded_cache : f.source == "error" ? data_.excluded_errors : data_.excluded_other_source);
      return;
    }
    if (!f.sqlstate.empty() && !f.censored) {
      ++data_.excluded_errors;
      return;
    }
    if (f.features.size() != data_.width || !std::isfinite(f.server_ms) || f.server_ms <= 0) {
      ++data_.excluded_invalid;
      return;
    }
    data_.values.insert(data_.values.end(), f.features.begin(), f.features.end());
    data_.log_ms.push_back(static_cast<float>(std::log(std::max(f.server_ms, 1e-3))));
    data_.cost.push_back(std::isfinite(f.plan_cost) ? f.plan_cost : -1);
    data_.templates.push_back(template_of(f));
    data_.unix_us.push_back(f.unix_microseconds);
    data_.censored.push_back(f.censored);
    if (data_.rows() >= 2 * max_rows_) keep_newest();
  }

  void finish() {
    if (data_.rows() > max_rows_) keep_newest();
    data_.values.shrink_to_fit();
  }

 private:
  std::uint32_t template_of(const Feedback& f) {
    const auto [it, fresh] = index_.try_emplace(f.fingerprint, static_cast<std::uint32_t>(data_.fingerprints.size()));
    if (fresh) {
      data_.fingerprints.push_back(f.fingerprint);
      data_.kinds.push_back(f.kind);
    }
    return it->second;
  }

  void keep_newest() {
    const std::size_t drop = data_.rows() - max_rows_;
    const auto cut = [](auto& list, std::size_t n) { list.erase(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(n)); };
    cut(data_.values, drop * data_.width);
    cut(data_.log_ms, drop);
    cut(data_.cost, drop);
    cut(data_.templates, drop);
    cut(data_.unix_us, drop);
    cut(data_.censored, drop);
  }

  Dataset& data_;
  std::size_t max_rows_;
  std::unordered_map<std::string, std::uint32_t> index_;
};

/// The hour says nothing when one day was seen: a tree would learn "the newest rows" from it.
void mask_time(Dataset& data) {
  if (data.rows() == 0) return;
  const std::int64_t window = data.unix_us.back() - data.unix_us.front();
  const auto mask = [&data](const char* name) {
    const int column = feature_index(name);
    if (column < 0) return;
    for (std::size_t i = 0; i < data.rows(); ++i)
      data.values[i * data.width + static_cast<std::size_t>(column)] = std::numeric_limits<float>::quiet_NaN();
    data.masked.emplace_back(name);
  };
  if (window < 2 * day_us) mask("time_hour");
  if (window < 14 * day_us) mask("time_weekday");
}

/// Templates to hold out: about 15 % by a hash that does not change with the data, none that owns a fifth of the rows;
/// at least one when there are five to choose from.
std::vector<bool> hold_out(const Dataset& data, std::uint64_t seed) {
  const std::size_t n = data.fingerprints.size();
  std::vector<std::size_t> rows(n);
  for (const std::uint32_t t : data.templates) ++rows[t];
  std::vector<bool> out(n);
  std::size_t chosen = 0, lowest = n;
  std::uint64_t lowest_hash = std::numeric_limits<std::uint64_t>::max();
  for (std::size_t t = 0; t < n; ++t) {
    if (rows[t] == 0 || double(rows[t]) > largest_held_out * double(data.rows())) continue;
    const std::uint64_t hash = StableHash().add(data.fingerprints[t]).add(fmt::to_string(seed)).value();
    if (double(hash % 10'000) < held_out_share * 10'000) {
      out[t] = true;
      ++chosen;
    } else if (hash < lowest_hash) {
      lowest_hash = hash;
      lowest = t;
    }
  }
  if (chosen == 0 && n >= 5 && lowest < n) out[lowest] = true;
  return out;
}

}  // namespace

bool load_dataset(const FeedbackReader& feedback, std::size_t max_rows, Dataset* out, std::string* error) {
  out->width = feature_names().size();
  Loader loader(*out, max_rows);
  if (!feedback(feature_schema(), [&loader](const Feedback& f) { loader.add(f); }, error)) return false;
  loader.finish();
  mask_time(*out);
  return true;
}

void split(Dataset& data, std::uint64_t seed, double test_share) {
  const std::vector<bool> held_out = hold_out(data, seed);
  data.parts.assign(data.rows(), Part::fit);
  std::vector<std::size_t> known;
  for (std::size_t i = 0; i < data.rows(); ++i) {
    if (held_out[data.templates[i]] && data.censored[i]) {
      data.parts[i] = Part::later;
    } else if (held_out[data.templates[i]]) {
      const bool half = StableHash().add(data.fingerprints[data.templates[i]]).add("half").value() & 1;
      data.parts[i] = half ? Part::unseen_calibrate : Part::unseen_test;
    } else if (!data.censored[i]) {
      known.push_back(i);
    }
  }
  const auto test = static_cast<std::size_t>(double(known.size()) * test_share);
  const auto older = static_cast<std::size_t>(double(known.size() - test) * older_share);
  std::unordered_set<std::uint32_t> trained;
  for (std::size_t k = 0; k < known.size(); ++k) {
    const std::size_t left = known.size() - k;
    Part& part = data.parts[known[k]];
    if (left > test + 2 * older) {
      part = Part::fit;
    } else if (left > test + older) {
      part = Part::stop;
    } else if (left > test) {
      part = Part::calibrate;
    } else {
      part = trained.contains(data.templates[known[k]]) ? Part::test_seen : Part::unseen_test;
      continue;
    }
    trained.insert(data.templates[known[k]]);
  }
  if (test == 0) return;
  const std::size_t first_test = known[known.size() - test];
  for (std::size_t i = first_test; i < data.rows(); ++i)
    if (data.censored[i] && data.parts[i] == Part::fit) data.parts[i] = Part::later;
}

void forget_history(float* row) {
  static const std::vector<std::size_t> columns = [] {
    std::vector<std::size_t> list;
    const auto& names = feature_names();
    for (std::size_t i = 0; i < names.size(); ++i)
      if (names[i].starts_with("history_") && names[i] != "history_count") list.push_back(i);
    return list;
  }();
  static const int count = feature_index("history_count");
  for (const std::size_t column : columns) row[column] = std::numeric_limits<float>::quiet_NaN();
  if (count >= 0) row[count] = 0;
}

}  // namespace pgsteer::predictor
