#pragma once
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "predictor/feedback.hpp"

/// For tests that train: rows into a store, and a training of a moment.
namespace pgsteer::predictor {

inline void store_rows(const std::string& dir, const std::vector<Feedback>& rows) {
  std::string error;
  const auto store = FeedbackStore::open(dir, false, &error);
  REQUIRE_MESSAGE(store, error);
  REQUIRE_MESSAGE(store->append(rows, &error), error);
}

inline TrainOptions quick(const std::string& dir, int trees = 40) {
  TrainOptions options;
  options.state_dir = dir;
  options.feedback = embedded_feedback(dir);
  options.max_trees = trees;
  options.max_depth = 4;
  return options;
}

}  // namespace pgsteer::predictor
