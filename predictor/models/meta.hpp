#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "predictor/estimate.hpp"
#include "predictor/models/base.hpp"

namespace pgsteer::predictor {

/// meta.json of a model version: what it was made from, and how to tell that its file is whole.
struct ModelMeta {
  std::string name, version, parent;
  std::uint64_t schema = 0, seed = 0;
  std::size_t features = 0, trees = 0;
  std::int64_t rows = 0, from_unix_us = 0, to_unix_us = 0;
  double interval_log = 0, interval_young_log = 0, interval_unseen_log = 0;
  /// Half-widths by StatementClass, of statements with a past and without; 0: not enough evidence, take the one of all.
  std::array<double, statement_classes> seen_by_class{}, unseen_by_class{};
  Base base;
  std::vector<std::pair<float, float>> ranges;  ///< least and greatest of every feature in training; (1, -1): none known, never outside
  std::string objective;
  std::vector<std::string> masked;  ///< features hidden from this training (time of day with too little time seen)
  std::uint64_t model_bytes = 0, model_hash = 0;
};

std::string to_json(const ModelMeta& meta);
/// False with *error on anything missing, of a wrong type, or of a format this build does not know.
bool from_json(std::string_view text, ModelMeta* meta, std::string* error);

std::uint64_t model_hash(std::string_view bytes);

/// Whole file, refused above max_bytes.
bool read_file(const std::string& path, std::size_t max_bytes, std::string* out, std::string* error);

/// 64 bits as 16 hex digits.
std::string hex64(std::uint64_t value);

}  // namespace pgsteer::predictor
