// EXPLAIN (FORMAT JSON) -> PlanFacts. The estimates are read, never the actual figures of ANALYZE: features must be
// known before the statement runs.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "predictor/estimate.hpp"
#include "predictor/hash.hpp"

namespace pgsteer::predictor {
namespace {

using Json = nlohmann::json;

constexpr double disable_cost = 1e10;  // costsize.c of PostgreSQL <= 17
constexpr int max_depth = 200;
constexpr int max_nodes = 5000;
constexpr std::size_t max_bytes = 8u << 20;
constexpr std::size_t max_outline_bytes = 16u << 10;

double number(const Json& node, const char* key) {
  const auto it = node.find(key);
  if (it == node.end() || !it->is_number()) return 0;
  const double value = it->get<double>();
  return std::isfinite(value) && value > 0 ? value : 0;
}

std::string_view text(const Json& node, const char* key) {
  const auto it = node.find(key);
  if (it == node.end() || !it->is_string()) return {};
  return it->get_ref<const std::string&>();
}

const Json* children(const Json& node) {
  const auto it = node.find("Plans");
  return it != node.end() && it->is_array() ? &*it : nullptr;
}

double disabled_units(double cost) { return std::floor(cost / disable_cost); }

/// Disabling adds 1e10 to a node's *start-up* cost, so a node that brings more such units than its inputs' totals is a
/// disabled one; a cost that is huge by itself grows in the total and is left alone.
bool is_disabled(const Json& node) {
  if (const auto it = node.find("Disabled"); it != node.end() && it->is_boolean()) return it->get<bool>();  // PG 18
  double inputs = 0;
  if (const Json* plans = children(node))
    for (const Json& child : *plans) inputs += disabled_units(number(child, "Total Cost"));
  return disabled_units(number(node, "Startup Cost")) > inputs;
}

class Walker {
 public:
  explicit Walker(PlanFacts& facts) : facts_(facts) {}

  /// False when the tree is not one a server prints: too deep, too many nodes, a node without a type.
  bool scan_disabled(const Json& node, int depth) {
    if (!node.is_object() || depth > max_depth || ++seen_ > max_nodes || text(node, "Node Type").empty()) return false;
    const bool pg18 = node.contains("Disabled");
    if (is_disabled(node)) {
      ++facts_.disabled;
      strip_ = strip_ || !pg18;
    }
    if (const Json* plans = children(node))
      for (const Json& child : *plans)
        if (!scan_disabled(child, depth + 1)) return false;
    return true;
  }

  /// `times`: how often the plan runs this node, less than one under a LIMIT.
  void visit(const Json& node, int depth, double times) {
    ++facts_.nodes;
    count(node);
    add_shape(node, depth);
    add_outline(node, depth);
    const double total = cost(node, "Total Cost");
    double inputs = 0;
    if (const Json* plans = children(node))
      for (const Json& child : *plans) {
        if (text(child, "Parent Relationship") != "InitPlan") inputs += cost(child, "Total Cost");
        visit(child, depth + 1, times * repeats(node, child));
      }
    facts_.self_cost_max = std::max(facts_.self_cost_max, total - inputs);
    add_work(node, times);
  }

  /// How often a node runs one of its inputs, read from the costs: PostgreSQL charges a nested loop its inner side for
  /// every outer row (less where a Memoize or Materialize answers), a filter its SubPlan for every row, a LIMIT the share it takes.
  double repeats(const Json& node, const Json& child) const {
    const Json* plans = children(node);
    const double own = cost(child, "Total Cost");
    if (!plans || !(own > 0)) return 1;
    const double total = cost(node, "Total Cost");
    if (text(node, "Node Type") == "Limit") return std::clamp(total / own, 1e-6, 1.0);
    const bool inner = text(node, "Node Type") == "Nested Loop" && text(child, "Parent Relationship") == "Inner";
    if (!inner && text(child, "Parent Relationship") != "SubPlan") return 1;
    double others = 0;
    for (const Json& sibling : *plans)
      if (&sibling != &child) others += cost(sibling, "Total Cost");
    return std::clamp((total - others) / own, 1.0, 1e7);
  }

  void add_work(const Json& node, double times) {
    const std::string_view type = text(node, "Node Type");
    double inputs = 0, input_rows = 0;
    if (const Json* plans = children(node))
      for (const Json& child : *plans) {
        if (text(child, "Parent Relationship") == "InitPlan") continue;
        inputs += cost(child, "Total Cost") * repeats(node, child);
        input_rows += number(child, "Plan Rows");
      }
    const double self = std::max(0.0, cost(node, "Total Cost") - inputs) * times, rows = number(node, "Plan Rows") * times;
    const auto ends = [type](std::string_view tail) { return type.ends_with(tail); };
    PlanFacts::Work& w = facts_.work;
    if (type == "Seq Scan" || type == "Sample Scan") w.seq += self;
    else if (type.starts_with("Bitmap")) w.bitmap += self;
    else if (type.starts_with("Index")) w.index += self;
    else if (type == "Nested Loop") w.nested_loop += self;
    else if (type.starts_with("Hash") && type != "HashAggregate") w.hash += self;
    else if (type == "Merge Join") w.merge += self;
    else if (ends("Sort")) w.sort += self;
    else if (type == "Aggregate" || type == "WindowAgg" || type == "Group" || type == "Unique") w.aggregate += self;
    else w.other += self;
    if (ends("Join") || type == "Nested Loop") w.join_rows += rows;
    if (ends("Scan")) w.scanned_rows += rows;
    if (type == "Aggregate" || type == "WindowAgg" || type == "Group" || type == "Unique") w.aggregated_rows += input_rows * times;
    if (ends("Sort")) w.sorted_rows += input_rows * times;
    if (text(node, "Parent Relationship") == "Inner") w.inner_loops += std::max(0.0, times - 1);
    for (const char* key : {"Filter", "Join Filter", "Recheck Cond"})
      if (const std::string_view condition = text(node, key); !condition.empty()) {
        ++w.filter_terms;
        for (std::size_t at = 0; (at = condition.find(" AND ", at)) != std::string_view::npos; ++at) ++w.filter_terms;
      }
  }

  double cost(const Json& node, const char* key) const {
    const double value = number(node, key);
    return strip_ ? std::fmod(value, disable_cost) : value;
  }
  std::uint64_t shape() const { return shape_.value(); }

 private:
  void count(const Json& node) {
    const std::string_view type = text(node, "Node Type");
    const double rows = number(node, "Plan Rows");
    facts_.max_rows = std::max(facts_.max_rows, rows);
    facts_.sum_rows += rows;
    const auto is = [type](std::string_view name) { return type == name; };
    if (is("Nested Loop") || is("Hash Join") || is("Merge Join")) {
      ++facts_.joins;
      facts_.join_rows += rows;
      if (is("Nested Loop")) count_nested_loop(node);
      facts_.hash_joins += is("Hash Join");
      facts_.merge_joins += is("Merge Join");
    } else if (is("Seq Scan") || is("Sample Scan")) {
      ++facts_.seq_scans;
      facts_.seq_scan_rows += rows;
    } else if (is("Index Scan") || is("Index Only Scan")) {
      ++facts_.index_scans;
      facts_.index_scan_rows += rows;
    } else if (is("Bitmap Heap Scan")) {
      ++facts_.bitmap_scans;
      facts_.index_scan_rows += rows;
    } else if (is("Sort") || is("Incremental Sort")) {
      ++facts_.sorts;
      facts_.sort_rows += rows;
    } else if (is("Aggregate") || is("WindowAgg") || is("Group") || is("Unique")) {
      ++facts_.aggregates;
      facts_.aggregate_rows += rows;
    } else if (is("Materialize") || is("Memoize")) {
      ++facts_.materializes;
    } else if (is("Limit")) {
      ++facts_.limits;
    }
    const std::string_view relationship = text(node, "Parent Relationship");
    facts_.subplans += relationship == "SubPlan" || relationship == "InitPlan";
  }

  void count_nested_loop(const Json& node) {
    ++facts_.nested_loops;
    const Json* plans = children(node);
    if (!plans || plans->size() < 2) return;
    facts_.nested_loop_inner_rows += std::max(1.0, number((*plans)[0], "Plan Rows")) * std::max(1.0, number((*plans)[1], "Plan Rows"));
  }

  void add_shape(const Json& node, int depth) {
    shape_.add(fmt::to_string(depth));
    for (const char* key : {"Node Type", "Parent Relationship", "Join Type", "Strategy", "Partial Mode", "Operation",
                            "Relation Name", "Alias", "Index Name", "Scan Direction", "CTE Name", "Function Name"})
      shape_.add(text(node, key));
  }

  void add_outline(const Json& node, int depth) {
    if (facts_.text.size() > max_outline_bytes) return;
    std::string& out = facts_.text;
    out.append(static_cast<std::size_t>(depth) * 2, ' ');
    out += text(node, "Node Type");
    if (const auto join = text(node, "Join Type"); !join.empty() && join != "Inner") out += fmt::format(" ({})", join);
    if (const auto index = text(node, "Index Name"); !index.empty()) out += fmt::format(" using {}", index);
    if (const auto relation = text(node, "Relation Name"); !relation.empty()) out += fmt::format(" on {}", relation);
    if (const auto alias = text(node, "Alias"); !alias.empty() && alias != text(node, "Relation Name"))
      out += fmt::format(" {}", alias);
    out += fmt::format("  rows={:.0f} cost={:.2f}\n", number(node, "Plan Rows"), cost(node, "Total Cost"));
  }

  PlanFacts& facts_;
  StableHash shape_;
  bool strip_ = false;
  int seen_ = 0;
};

}  // namespace

PlanFacts parse_plan(std::string_view json) {
  if (json.size() > max_bytes) return {};
  const Json document = Json::parse(json.begin(), json.end(), nullptr, /*allow_exceptions=*/false);
  const Json* top = &document;
  if (top->is_array() && !top->empty()) top = &top->front();
  if (!top->is_object()) return {};
  const auto plan = top->find("Plan");
  if (plan == top->end()) return {};

  PlanFacts facts;
  Walker walker(facts);
  if (!walker.scan_disabled(*plan, 0)) return {};
  walker.visit(*plan, 0, 1);
  facts.known = true;
  facts.total_cost = walker.cost(*plan, "Total Cost");
  facts.startup_cost = walker.cost(*plan, "Startup Cost");
  facts.rows = number(*plan, "Plan Rows");
  facts.width = number(*plan, "Plan Width");
  facts.shape = walker.shape();
  return facts;
}

}  // namespace pgsteer::predictor
