#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pgsteer::predictor {

/// The trees of a model file as flat arrays, walked without branches, eight trees at a time (STEERING.md 4: 2.5 us
/// against XGBoost's 14). Immutable, thread-safe.
///
///     nodes_   [tree 0: root, pairs of children ...][tree 1 ...]     right child = left child + 1
///     leaves point at themselves, so that every tree of a group takes the same number of steps
class FlatTrees {
 public:
  /// Parses and checks the structure of a model in XGBoost's UBJSON: child indices form trees, features exist,
  /// thresholds and leaves are finite. Nothing but plain regression trees is accepted. False with *error.
  static bool parse(std::string_view ubj, std::size_t features, FlatTrees* out, std::string* error);

  float predict(const float* row) const;
  std::size_t trees() const { return roots_.size(); }
  std::size_t nodes() const { return nodes_.size(); }
  /// (feature, threshold) of split nodes, to make rows that probe the edges; at most `limit`, evenly chosen.
  std::vector<std::pair<std::uint32_t, float>> splits(std::size_t limit) const;

 private:
  struct Node {
    float threshold;             ///< of a leaf: NaN, with missing_left set, so that the walk stays
    std::uint32_t left;
    std::uint32_t feature;
    std::uint32_t missing_left;  ///< 1: NaN goes left
  };
  bool add_tree(const void* json, std::size_t features, std::string* error);

  std::vector<Node> nodes_;
  std::vector<float> values_;           ///< leaf value by node
  std::vector<std::uint32_t> roots_;
  std::vector<int> depths_;
  float base_ = 0;
};

}  // namespace pgsteer::predictor
