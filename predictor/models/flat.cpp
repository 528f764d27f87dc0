#include "predictor/models/flat.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace pgsteer::predictor {
namespace {

using Json = nlohmann::json;

constexpr std::size_t max_trees = 5000, max_total_nodes = 4'000'000;
constexpr int max_tree_depth = 32, max_json_depth = 32;

/// First pass over a file from disk: every event must be paid for by a byte, so that a container that claims 2^60
/// nulls is refused before anything is built, and nesting cannot overflow the parser's stack.
class Budget : public nlohmann::json_sax<Json> {
 public:
  explicit Budget(std::size_t bytes) : left_(bytes) {}
  bool null() override { return spend(); }
  bool boolean(bool) override { return spend(); }
  bool number_integer(number_integer_t) override { return spend(); }
  bool number_unsigned(number_unsigned_t) override { return spend(); }
  bool number_float(number_float_t, const string_t&) override { return spend(); }
  bool string(string_t&) override { return spend(); }
  bool binary(binary_t&) override { return false; }
  bool key(string_t&) override { return spend(); }
  bool start_object(std::size_t) override { return ++depth_ <= max_json_depth && spend(); }
  bool end_object() override { return --depth_ >= 0; }
  bool start_array(std::size_t) override { return ++depth_ <= max_json_depth && spend(); }
  bool end_array() override { return --depth_ >= 0; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  bool spend() { return left_-- > 0; }
  std::size_t left_;
  int depth_ = 0;
};

const Json* find(const Json* node, std::initializer_list<const char*> path) {
  for (const char* key : path) {
    if (!node->is_object()) return nullptr;
    const auto it = node->find(key);
    if (it == node->end()) return nullptr;
    node = &*it;
  }
  return node;
}

bool refuse(std::string* error, std::string text) {
  if (error) *error = std::move(text);
  return false;
}

template <class T>
bool read_array(const Json& tree, const char* key, std::size_t n, std::vector<T>& out) {
  const auto it = tree.find(key);
  if (it == tree.end() || !it->is_array() || it->size() != n) return false;
  out.clear();
  out.reserve(n);
  for (const Json& item : *it) {
    if (!item.is_number() && !item.is_boolean()) return false;
    if constexpr (std::is_floating_point_v<T>) {
      out.push_back(item.get<T>());
    } else {
      const double value = item.is_boolean() ? double(item.get<bool>()) : item.get<double>();
      if (!(value >= double(std::numeric_limits<T>::min()) && value <= double(std::numeric_limits<T>::max()))) return false;
      out.push_back(static_cast<T>(value));
    }
  }
  return true;
}

struct SourceTree {
  std::vector<std::int32_t> left, right;
  std::vector<std::uint32_t> feature;
  std::vector<float> value;
  std::vector<std::int32_t> default_left, split_type;
};

bool read_tree(const Json& tree, SourceTree& out) {
  if (!tree.is_object()) return false;
  const auto it = tree.find("left_children");
  if (it == tree.end() || !it->is_array() || it->empty()) return false;
  const std::size_t n = it->size();
  if (!read_array(tree, "left_children", n, out.left) || !read_array(tree, "right_children", n, out.right) ||
      !read_array(tree, "split_indices", n, out.feature) || !read_array(tree, "split_conditions", n, out.value) ||
      !read_array(tree, "default_left", n, out.default_left))
    return false;
  return !tree.contains("split_type") || read_array(tree, "split_type", n, out.split_type);
}

}  // namespace

bool FlatTrees::add_tree(const void* json, std::size_t features, std::string* error) {
  SourceTree source;
  const std::size_t number = roots_.size();
  if (!read_tree(*static_cast<const Json*>(json), source)) return refuse(error, fmt::format("tree {}: malformed", number));
  const auto n = static_cast<std::int32_t>(source.left.size());
  if (nodes_.size() + source.left.size() > max_total_nodes) return refuse(error, "too many nodes");

  struct Item {
    std::int32_t from;
    std::uint32_t to;
    int depth;
  };
  std::vector<bool> seen(source.left.size());
  const auto root = static_cast<std::uint32_t>(nodes_.size());
  nodes_.push_back({});
  values_.push_back(0);
  std::vector<Item> work{{0, root, 0}};
  int deepest = 0;
  while (!work.empty()) {
    const Item item = work.back();
    work.pop_back();
    const auto at = static_cast<std::size_t>(item.from);
    if (seen[at]) return refuse(error, fmt::format("tree {}: node {} is reached twice", number, item.from));
    seen[at] = true;
    if (item.depth > max_tree_depth) return refuse(error, fmt::format("tree {}: deeper than {}", number, max_tree_depth));
    deepest = std::max(deepest, item.depth);
    if (!std::isfinite(source.value[at])) return refuse(error, fmt::format("tree {}: node {} is not finite", number, item.from));
    const std::int32_t left = source.left[at], right = source.right[at];
    if (left == -1 && right == -1) {
      nodes_[item.to] = {std::numeric_limits<float>::quiet_NaN(), item.to, 0, 1};
      values_[item.to] = source.value[at];
      continue;
    }
    if (left < 1 || right < 1 || left >= n || right >= n)
      return refuse(error, fmt::format("tree {}: node {} has children {} and {} of {}", number, item.from, left, right, n));
    if (source.feature[at] >= features)
      return refuse(error, fmt::format("tree {}: node {} splits on feature {} of {}", number, item.from, source.feature[at], features));
    if (!source.split_type.empty() && source.split_type[at] != 0) return refuse(error, "categorical splits are not supported");
    const auto child = static_cast<std::uint32_t>(nodes_.size());
    nodes_.resize(nodes_.size() + 2);
    values_.resize(values_.size() + 2);
    nodes_[item.to] = {source.value[at], child, source.feature[at], source.default_left[at] ? 1u : 0u};
    work.push_back({right, child + 1, item.depth + 1});
    work.push_back({left, child, item.depth + 1});
  }
  roots_.push_back(root);
  depths_.push_back(deepest);
  return true;
}

bool FlatTrees::parse(std::string_view ubj, std::size_t features, FlatTrees* out, std::string* error) {
  Budget budget(ubj.size());
  if (!Json::sax_parse(ubj.begin(), ubj.end(), &budget, Json::input_format_t::ubjson, true))
    return refuse(error, "not a UBJSON model, or cut short");
  const Json model = Json::from_ubjson(ubj.begin(), ubj.end(), true, /*allow_exceptions=*/false);
  const Json* objective = find(&model, {"learner", "objective", "name"});
  const Json* base = find(&model, {"learner", "learner_model_param", "base_score"});
  const Json* booster = find(&model, {"learner", "gradient_booster", "name"});
  const Json* trees = find(&model, {"learner", "gradient_booster", "model", "trees"});
  if (!objective || !objective->is_string() || !base || !base->is_string() || !booster || !booster->is_string() || !trees || !trees->is_array())
    return refuse(error, "not an XGBoost model: expected learner.objective, base_score and trees");
  if (*booster != "gbtree") return refuse(error, "booster is not gbtree");
  const auto& name = objective->get_ref<const std::string&>();
  if (name != "reg:squarederror" && name != "reg:pseudohubererror" && name != "reg:absoluteerror")
    return refuse(error, fmt::format("objective {} is not a regression on log(ms)", name));
  if (trees->empty() || trees->size() > max_trees) return refuse(error, fmt::format("{} trees", trees->size()));
  FlatTrees flat;
  flat.base_ = std::strtof(base->get_ref<const std::string&>().c_str(), nullptr);
  if (!std::isfinite(flat.base_)) return refuse(error, "base_score is not finite");
  for (const Json& tree : *trees)
    if (!flat.add_tree(&tree, features, error)) return false;
  *out = std::move(flat);
  return true;
}

float FlatTrees::predict(const float* row) const {
  constexpr std::size_t lanes = 8;
  const Node* nodes = nodes_.data();
  float sum = base_;  // summed tree by tree in order, as XGBoost does: float addition is not associative
  std::size_t tree = 0;
  for (; tree + lanes <= roots_.size(); tree += lanes) {
    std::uint32_t at[lanes];
    int depth = 0;
    for (std::size_t i = 0; i < lanes; ++i) {
      at[i] = roots_[tree + i];
      depth = std::max(depth, depths_[tree + i]);
    }
    for (int step = 0; step < depth; ++step)
      for (std::uint32_t& position : at) {
        const Node& node = nodes[position];
        const float value = row[node.feature];
        const std::uint32_t not_less = !(value < node.threshold), at_least = value >= node.threshold;
        position = node.left + (not_less & (at_least | (node.missing_left ^ 1u)));
      }
    for (const std::uint32_t position : at) sum += values_[position];
  }
  for (; tree < roots_.size(); ++tree) {
    std::uint32_t position = roots_[tree];
    for (int step = 0; step < depths_[tree]; ++step) {
      const Node& node = nodes[position];
      const float value = row[node.feature];
      const std::uint32_t not_less = !(value < node.threshold), at_least = value >= node.threshold;
      position = node.left + (not_less & (at_least | (node.missing_left ^ 1u)));
    }
    sum += values_[position];
  }
  return sum;
}

std::vector<std::pair<std::uint32_t, float>> FlatTrees::splits(std::size_t limit) const {
  std::vector<std::pair<std::uint32_t, float>> out;
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (nodes_[i].left != i) out.emplace_back(nodes_[i].feature, nodes_[i].threshold);
  if (out.size() <= limit) return out;
  for (std::size_t i = 0; i < limit; ++i) out[i] = out[i * out.size() / limit];
  out.resize(limit);
  return out;
}

}  // namespace pgsteer::predictor
