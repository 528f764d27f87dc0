#include "predictor/join_sizes.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

namespace pgsteer::predictor {
namespace {

using Json = nlohmann::json;

constexpr int max_depth = 100;

struct Side {
  std::vector<std::string> tables;
  std::string order;
};

bool plain_name(const std::string& name) {
  return !name.empty() && !std::isdigit(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::islower(c) || std::isdigit(c) || c == '_'; });
}

std::string word(const Json& node, const char* key) {
  const auto it = node.find(key);
  return it != node.end() && it->is_string() ? it->get<std::string>() : std::string();
}

double number(const Json& node, const char* key) {
  const auto it = node.find(key);
  return it != node.end() && it->is_number() ? it->get<double>() : 0;
}

class Walker {
 public:
  /// What the node joins together; nullopt: something in it is not plain.
  std::optional<Side> visit(const Json& node, int depth) {
    if (depth > max_depth || !node.is_object()) return std::nullopt;
    const std::string type = word(node, "Node Type"), parent = word(node, "Parent Relationship");
    if (parent == "InitPlan" || parent == "SubPlan" || parent == "Subquery" || type == "CTE Scan" || type == "Append" || type == "SetOp") return std::nullopt;
    std::vector<Side> sides;
    if (const auto plans = node.find("Plans"); plans != node.end() && plans->is_array()) {
      for (const auto& child : *plans) {
        if (word(child, "Parent Relationship") == "Member") continue;  // of a bitmap: no table of its own
        auto side = visit(child, depth + 1);
        if (!side) return std::nullopt;
        if (!side->tables.empty()) sides.push_back(std::move(*side));
      }
    }
    if (const std::string alias = word(node, "Alias"); !alias.empty()) {
      if (!sides.empty() || !plain_name(alias) || !seen_.insert(alias).second) return std::nullopt;
      return Side{{alias}, alias};
    }
    if (sides.empty()) return Side{};
    if (sides.size() == 1) return std::move(sides[0]);
    if (sides.size() != 2) return std::nullopt;
    Side joined{std::move(sides[0].tables), fmt::format("({} {})", sides[0].order, sides[1].order)};
    joined.tables.insert(joined.tables.end(), sides[1].tables.begin(), sides[1].tables.end());
    std::sort(joined.tables.begin(), joined.tables.end());
    if (number(node, "Actual Loops") == 1) found_.sizes.push_back({joined.tables, number(node, "Plan Rows"), number(node, "Actual Rows")});
    return joined;
  }
  Joins take() { return std::move(found_); }

 private:
  std::set<std::string> seen_;
  Joins found_;
};

bool has_limit(const Json& node, int depth) {
  if (depth > max_depth || word(node, "Node Type") == "Limit") return true;  // what is below did not run to its end
  const auto plans = node.find("Plans");
  return plans != node.end() && plans->is_array() && std::any_of(plans->begin(), plans->end(), [&](const Json& child) { return has_limit(child, depth + 1); });
}

}  // namespace

std::optional<Joins> join_sizes(std::string_view json) {
  const Json document = Json::parse(json.begin(), json.end(), nullptr, false);
  const Json* top = document.is_array() && !document.empty() ? &document.front() : &document;
  if (!top->is_object()) return std::nullopt;
  const auto plan = top->find("Plan");
  if (plan == top->end() || !plan->is_object()) return std::nullopt;
  Walker walker;
  const auto all = walker.visit(*plan, 0);
  if (!all || all->tables.size() < 2) return std::nullopt;
  Joins joins = walker.take();
  if (has_limit(*plan, 0)) joins.sizes.clear();
  joins.order = all->order;
  return joins;
}

std::string rows_hints(const std::vector<JoinSize>& sizes, double least) {
  std::vector<std::string> hints;
  for (const auto& size : sizes) {
    const double expected = std::max(1.0, size.expected), actual = std::max(1.0, size.actual);
    if (std::max(expected, actual) < least * std::min(expected, actual)) continue;
    hints.push_back(fmt::format("Rows({} #{:.0f})", fmt::join(size.tables, " "), actual));
  }
  return fmt::format("{}", fmt::join(hints, " "));
}

}  // namespace pgsteer::predictor
