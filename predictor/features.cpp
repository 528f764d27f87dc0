// The table of features. A model is bound to this table by feature_schema(): change a meaning -> raise its version.
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <type_traits>

#include <fmt/format.h>

#include "predictor/context.hpp"
#include "predictor/hash.hpp"

namespace pgsteer::predictor {
namespace {

/// The latest executions weighed by how near their plans were to this one: in cost, in rows, in shape.
struct Near {
  double log_ms = 0, gap = 0, spread = 0, same_shape = 0;
};

struct Source {
  const FeatureInput& in;
  const sql::Analysis& analysis;
  const sql::SyntaxFeatures& syntax;
  const CatalogContext& catalog;
  const PlanFacts* plan;       ///< null when unknown
  const History* history;      ///< null when nothing was seen
  mutable std::optional<Near> near = std::nullopt;
};

struct Feature {
  const char* name;
  const char* unit;
  int version;
  double (*extract)(const Source&);
};

double log_of(double value) { return std::log1p(std::max(value, 0.0)); }

Near weigh(const History& h, const PlanFacts* plan) {
  constexpr double bandwidth = 0.3, other_shape = 2.0;
  const std::size_t n = h.recents();
  Near out;
  out.gap = plan ? 1e9 : 0;
  double weights = 0, squares = 0;
  const double cost = plan ? std::log1p(plan->total_cost) : 0, rows = plan ? std::log1p(plan->rows) : 0;
  for (std::size_t i = 0; i < n; ++i) {
    const History::Recent& r = h.recent[i];
    double distance = 0;
    if (plan) {
      const bool same = r.shape == static_cast<std::uint32_t>(plan->shape);
      out.same_shape += double(same) / double(n);
      distance = std::abs(cost - r.log_cost) + 0.5 * std::abs(rows - r.log_plan_rows) + (same ? 0 : other_shape);
      out.gap = std::min(out.gap, distance);
    }
    // Heavy tails: with nothing near, the mean of all is better than the single nearest.
    const double weight = 1 / (1 + (distance / bandwidth) * (distance / bandwidth) * (distance / bandwidth));
    weights += weight;
    out.log_ms += weight * r.log_ms;
    squares += weight * double(r.log_ms) * r.log_ms;
  }
  out.log_ms /= weights;
  out.spread = std::sqrt(std::max(0.0, squares / weights - out.log_ms * out.log_ms));
  return out;
}

/// Four features read it: worked out once a row.
const Near& near(const Source& s, const History& h) {
  if (!s.near) s.near = weigh(h, s.plan);
  return *s.near;
}

double recent_quantile(const History& h, double share) {
  std::array<float, History::kRecent> values{};
  const std::size_t n = h.recents();
  for (std::size_t i = 0; i < n; ++i) values[i] = h.recent[i].log_ms;
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(share * double(n - 1) + 0.5);
  std::nth_element(values.begin(), at, values.begin() + static_cast<std::ptrdiff_t>(n));
  return *at;
}

// The macros keep one feature on one line; each expands to a captureless lambda.
#define SYNTAX(field) {"syntax_" #field, "count", 1, [](const Source& s) { return double(s.syntax.field); }}
#define KIND(label, value) {"kind_" label, "bool", 1, [](const Source& s) { return double(s.analysis.kind == sql::StatementKind::value); }}
#define CATALOG(name, unit, expression) \
  {"catalog_" name, unit, 1, [](const Source& s) { const CatalogContext& c = s.catalog; return c.known ? double(expression) : unknown_value; }}
#define PLAN(name, unit, expression) \
  {"plan_" name, unit, 1, [](const Source& s) { if (!s.plan) return unknown_value; const PlanFacts& p = *s.plan; return double(expression); }}
#define HISTORY(name, unit, expression) \
  {"history_" name, unit, 1, [](const Source& s) { if (!s.history) return unknown_value; const History& h = *s.history; return double(expression); }}

const Feature table[] = {
    KIND("select", select), KIND("insert", insert), KIND("update", update), KIND("delete", delete_),
    KIND("copy_from", copy_from), KIND("copy_to", copy_to), KIND("execute", execute), KIND("unparsed", unparsed),
    {"kind_data", "bool", 1, [](const Source& s) {
       using K = sql::StatementKind;
       const K k = s.analysis.kind;
       return double(k == K::select || k == K::insert || k == K::update || k == K::delete_ || k == K::merge); }},
    SYNTAX(tables), SYNTAX(joins), SYNTAX(outer_joins), SYNTAX(subqueries), SYNTAX(correlated_hint), SYNTAX(ctes),
    SYNTAX(set_operations), SYNTAX(aggregates), SYNTAX(window_functions), SYNTAX(group_by), SYNTAX(order_by),
    SYNTAX(distinct), SYNTAX(having), SYNTAX(predicates), SYNTAX(equalities), SYNTAX(ranges), SYNTAX(likes),
    SYNTAX(in_lists), SYNTAX(in_list_items), SYNTAX(ors), SYNTAX(nots), SYNTAX(exists_sublinks), SYNTAX(in_sublinks),
    SYNTAX(functions), SYNTAX(casts), SYNTAX(case_expressions), SYNTAX(parameters), SYNTAX(constants),
    SYNTAX(target_columns), SYNTAX(stars), SYNTAX(values_rows), SYNTAX(has_limit), SYNTAX(has_offset), SYNTAX(returning),
    SYNTAX(lateral), SYNTAX(depth),
    {"syntax_bytes", "log bytes", 1, [](const Source& s) { return log_of(s.syntax.bytes); }},
    {"syntax_limit", "log rows", 1, [](const Source& s) { return s.syntax.limit_value < 0 ? unknown_value : log_of(s.syntax.limit_value); }},
    {"syntax_locking", "bool", 1, [](const Source& s) { return double(s.analysis.flags.locking_clause); }},

    CATALOG("tables_missing", "count", c.tables_missing),
    CATALOG("rows_sum", "log rows", log_of(c.rows_sum)),
    CATALOG("rows_max", "log rows", log_of(c.rows_max)),
    CATALOG("rows_min", "log rows", log_of(c.rows_min)),
    CATALOG("pages_sum", "log pages", log_of(c.pages_sum)),
    CATALOG("indexes", "count", c.indexes),
    CATALOG("predicate_columns", "count", c.predicate_columns),
    CATALOG("indexed_predicate_share", "share", c.predicate_columns ? double(c.indexed_predicate_columns) / c.predicate_columns : unknown_value),
    CATALOG("distinct_sum", "log values", c.distinct_known ? c.log_distinct_sum : unknown_value),
    CATALOG("distinct_max", "log values", c.distinct_known ? c.log_distinct_max : unknown_value),
    CATALOG("index_path_share", "share of tables", c.tables_found ? double(c.tables_with_index_path) / c.tables_found : unknown_value),
    CATALOG("unique_lookups", "count", c.unique_lookups),
    CATALOG("unindexed_rows", "log rows", log_of(c.unindexed_rows)),
    CATALOG("guessed_cost", "log cost", log_of(c.guessed_cost)),
    CATALOG("views", "count", c.views),
    CATALOG("partitioned", "count", c.partitioned),

    PLAN("total_cost", "log cost", log_of(p.total_cost)),
    PLAN("startup_cost", "log cost", log_of(p.startup_cost)),
    PLAN("rows", "log rows", log_of(p.rows)),
    PLAN("width", "bytes", p.width),
    PLAN("nodes", "count", p.nodes),
    PLAN("joins", "count", p.joins),
    PLAN("nested_loops", "count", p.nested_loops),
    PLAN("hash_joins", "count", p.hash_joins),
    PLAN("merge_joins", "count", p.merge_joins),
    PLAN("seq_scans", "count", p.seq_scans),
    PLAN("index_scans", "count", p.index_scans),
    PLAN("bitmap_scans", "count", p.bitmap_scans),
    PLAN("sorts", "count", p.sorts),
    PLAN("aggregates", "count", p.aggregates),
    PLAN("materializes", "count", p.materializes),
    PLAN("subplans", "count", p.subplans),
    PLAN("limits", "count", p.limits),
    PLAN("disabled", "count", p.disabled),
    PLAN("seq_scan_rows", "log rows", log_of(p.seq_scan_rows)),
    PLAN("index_scan_rows", "log rows", log_of(p.index_scan_rows)),
    PLAN("join_rows", "log rows", log_of(p.join_rows)),
    PLAN("sort_rows", "log rows", log_of(p.sort_rows)),
    PLAN("aggregate_rows", "log rows", log_of(p.aggregate_rows)),
    PLAN("max_rows", "log rows", log_of(p.max_rows)),
    PLAN("sum_rows", "log rows", log_of(p.sum_rows)),
    PLAN("nested_loop_inner_rows", "log rows", log_of(p.nested_loop_inner_rows)),
    PLAN("self_cost_max", "log cost", log_of(p.self_cost_max)),
    PLAN("work_seq", "log cost", log_of(p.work.seq)),
    PLAN("work_index", "log cost", log_of(p.work.index)),
    PLAN("work_bitmap", "log cost", log_of(p.work.bitmap)),
    PLAN("work_nested_loop", "log cost", log_of(p.work.nested_loop)),
    PLAN("work_hash", "log cost", log_of(p.work.hash)),
    PLAN("work_merge", "log cost", log_of(p.work.merge)),
    PLAN("work_sort", "log cost", log_of(p.work.sort)),
    PLAN("work_aggregate", "log cost", log_of(p.work.aggregate)),
    PLAN("work_other", "log cost", log_of(p.work.other)),
    PLAN("work_join_rows", "log rows", log_of(p.work.join_rows)),
    PLAN("work_aggregated_rows", "log rows", log_of(p.work.aggregated_rows)),
    PLAN("work_sorted_rows", "log rows", log_of(p.work.sorted_rows)),
    PLAN("work_scanned_rows", "log rows", log_of(p.work.scanned_rows)),
    PLAN("work_inner_loops", "log loops", log_of(p.work.inner_loops)),
    PLAN("work_filter_terms", "count", p.work.filter_terms),
    PLAN("output_bytes", "log bytes", log_of(p.rows * p.width)),

    {"history_count", "log count", 1, [](const Source& s) { return s.history ? log_of(double(s.history->count)) : 0.0; }},
    HISTORY("ewma", "log ms", h.ewma_log_ms),
    HISTORY("spread", "log ms", std::sqrt(std::max(h.ewma_var_log_ms, 0.0))),
    HISTORY("last", "log ms", std::log(std::max(h.last_ms, 1e-4))),
    {"history_age", "log seconds", 2, [](const Source& s) { return s.history ? log_of(s.history->age(s.in.unix_seconds)) : unknown_value; }},
    HISTORY("rows", "log rows", log_of(h.ewma_rows)),
    HISTORY("bytes", "log bytes", log_of(h.ewma_bytes)),
    HISTORY("near", "log ms", near(s, h).log_ms),
    HISTORY("near_gap", "log cost", near(s, h).gap),
    HISTORY("near_spread", "log ms", near(s, h).spread),
    HISTORY("same_shape", "share", near(s, h).same_shape),
    HISTORY("median", "log ms", recent_quantile(h, 0.5)),
    HISTORY("low", "log ms", recent_quantile(h, 0.1)),
    HISTORY("high", "log ms", recent_quantile(h, 0.9)),

    {"load_in_flight", "statements", 1, [](const Source& s) { return double(s.in.load.in_flight); }},
    {"load_p95", "log ms", 1, [](const Source& s) { return log_of(s.in.load.recent_p95_ms); }},
    {"time_hour", "hour", 1, [](const Source& s) { return s.in.hour_of_day; }},
    {"time_weekday", "day", 1, [](const Source& s) { return double(s.in.day_of_week); }},
    {"extended", "bool", 1, [](const Source& s) { return double(s.in.extended); }},
};
#undef SYNTAX
#undef KIND
#undef CATALOG
#undef PLAN
#undef HISTORY

constexpr std::size_t feature_count = std::extent_v<decltype(table)>;

}  // namespace

void extract_row(const FeatureInput& input, const CatalogContext& context, float* out) {
  const Source source{input,
                      *input.analysis,
                      input.analysis->features,
                      context,
                      input.plan && input.plan->known ? input.plan : nullptr,
                      input.history && input.history->count > 0 ? input.history : nullptr};
  for (const Feature& feature : table) {
    const auto value = static_cast<float>(feature.extract(source));
    *out++ = std::isinf(value) ? std::numeric_limits<float>::quiet_NaN() : value;
  }
}

FeatureVector extract(const FeatureInput& input) {
  FeatureVector row(feature_count);
  extract_row(input, catalog_context(input), row.data());
  return row;
}

const std::vector<std::string>& feature_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const Feature& feature : table) list.emplace_back(feature.name);
    return list;
  }();
  return names;
}

std::uint64_t feature_schema() {
  static const std::uint64_t schema = [] {
    StableHash hash;
    for (const Feature& feature : table) hash.add(feature.name).add(feature.unit).add(fmt::to_string(feature.version));
    return hash.value();
  }();
  return schema;
}

double executions_behind(const float* row) {
  static const auto count = static_cast<std::size_t>(std::max(0, feature_index("history_count")));
  return row[count] > 0 ? std::expm1(double(row[count])) : 0;
}

std::string_view feature_unit(std::size_t index) { return index < feature_count ? table[index].unit : ""; }

int feature_index(std::string_view name) {
  const auto& names = feature_names();
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) return static_cast<int>(i);
  return -1;
}

namespace {

struct ClassCounts {
  double tables, subqueries, aggregates, group_by, distinct, equalities, in_lists, ranges, likes, order_by;
};

/// One rule for a statement and for the row of features that is left of it.
StatementClass classify(bool select, const ClassCounts& n) {
  if (!select || n.tables <= 0) return StatementClass::other;
  const bool aggregates = n.aggregates > 0 || n.group_by > 0 || n.distinct > 0;
  if (n.tables + n.subqueries > 1) return aggregates ? StatementClass::join_aggregate : StatementClass::join;
  if (aggregates) return StatementClass::aggregate;
  const bool keyed = n.equalities + n.in_lists > 0 && n.ranges + n.likes <= 0 && n.order_by <= 0;
  return keyed ? StatementClass::lookup : StatementClass::list;
}

}  // namespace

StatementClass statement_class(const sql::Analysis& analysis) {
  const sql::SyntaxFeatures& s = analysis.features;
  return classify(analysis.kind == sql::StatementKind::select,
                  {double(s.tables), double(s.subqueries), double(s.aggregates), double(s.group_by), double(s.distinct),
                   double(s.equalities), double(s.in_lists), double(s.ranges), double(s.likes), double(s.order_by)});
}

StatementClass class_of_row(const float* row) {
  static const auto select = static_cast<std::size_t>(feature_index("kind_select"));
  static const auto at = [] {
    std::array<std::size_t, 10> columns{};
    std::size_t next = 0;
    for (const char* name : {"tables", "subqueries", "aggregates", "group_by", "distinct", "equalities", "in_lists", "ranges", "likes", "order_by"})
      columns[next++] = static_cast<std::size_t>(feature_index("syntax_" + std::string(name)));
    return columns;
  }();
  return classify(row[select] > 0, {row[at[0]], row[at[1]], row[at[2]], row[at[3]], row[at[4]], row[at[5]], row[at[6]], row[at[7]],
                                    row[at[8]], row[at[9]]});
}

}  // namespace pgsteer::predictor
