#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rewriter/sql/analysis.hpp"
#include "rewriter/sql/catalog.hpp"

namespace pgsteer::predictor {

/// What one EXPLAIN (FORMAT JSON) said. `disabled` costs (1e10 per node, PG <= 17) are stripped.
struct PlanFacts {
  bool known = false;
  double total_cost = 0, startup_cost = 0, rows = 0, width = 0;
  int nodes = 0, joins = 0, nested_loops = 0, hash_joins = 0, merge_joins = 0, seq_scans = 0, index_scans = 0,
      bitmap_scans = 0, sorts = 0, aggregates = 0, materializes = 0, subplans = 0, limits = 0, disabled = 0;
  double seq_scan_rows = 0, index_scan_rows = 0, join_rows = 0, sort_rows = 0, aggregate_rows = 0,
         max_rows = 0, sum_rows = 0, nested_loop_inner_rows = 0, self_cost_max = 0;
  /// Cost of all nodes of a sort, their inputs' taken off, times how often the plan runs them and the share of them that a
  /// LIMIT lets run: what an operator costs in all, which neither a node's own total nor its rows say.
  struct Work {
    double seq = 0, index = 0, bitmap = 0, nested_loop = 0, hash = 0, merge = 0, sort = 0, aggregate = 0, other = 0;
    double join_rows = 0, aggregated_rows = 0, sorted_rows = 0, scanned_rows = 0, inner_loops = 0, filter_terms = 0;
  } work;
  std::uint64_t shape = 0;       ///< hash of the plan tree: node types, relations, indexes, join types; no numbers
  std::string text;              ///< outline for people, one node per line
};

/// Parses the JSON text of EXPLAIN (FORMAT JSON) or of EXPLAIN (ANALYZE, FORMAT JSON). `known` is false on bad input.
PlanFacts parse_plan(std::string_view json);

/// What is remembered of a statement's past executions (exponentially weighted; milliseconds).
struct History {
  std::uint64_t count = 0;
  double ewma_log_ms = 0;      ///< of log(ms)
  double ewma_var_log_ms = 0;  ///< variance of log(ms)
  double ewma_rows = 0, ewma_bytes = 0;
  double last_ms = 0;
  double last_unix_seconds = 0;  ///< when that was; 0: not known
  /// The latest executions with the plan each was expected to have: other parameters, other plan, other time.
  struct Recent {
    float log_cost = 0, log_plan_rows = 0, log_ms = 0;
    std::uint32_t shape = 0;
  };
  static constexpr std::size_t kRecent = 24;
  std::array<Recent, kRecent> recent{};
  /// `plan`: of these parameters or the nearest known; null: unknown.
  void add(double milliseconds, double rows, double bytes, const PlanFacts* plan = nullptr);
  std::size_t recents() const { return count < kRecent ? static_cast<std::size_t>(count) : kRecent; }
  /// Seconds since the latest execution; 0 when that or `unix_seconds` is not known.
  double age(double unix_seconds) const { return last_unix_seconds > 0 && unix_seconds > last_unix_seconds ? unix_seconds - last_unix_seconds : 0; }
};

/// What kind of work a statement is; intervals are calibrated for each.
enum class StatementClass : unsigned char { lookup, list, aggregate, join, join_aggregate, other };
inline constexpr std::size_t statement_classes = 6;
StatementClass statement_class(const sql::Analysis& analysis);
std::string_view to_string(StatementClass c);

struct Load {
  int in_flight = 0;
  double recent_p95_ms = 0;
};

struct FeatureInput {
  const sql::Analysis* analysis = nullptr;  ///< never null
  const sql::Catalog* catalog = nullptr;    ///< null: unknown
  const PlanFacts* plan = nullptr;          ///< null or !known: unknown
  const History* history = nullptr;         ///< null: first sight
  Load load;
  double unix_seconds = 0; ///< now, by the second; 0: not known
  double hour_of_day = 0;  ///< 0..24, UTC
  int day_of_week = 0;     ///< 0 = Sunday
  bool extended = false;
  std::string_view search_path = {}, user = {};
};

/// One row of features in the order of feature_names(); missing values are NaN.
using FeatureVector = std::vector<float>;
FeatureVector extract(const FeatureInput& input);
const std::vector<std::string>& feature_names();
/// Hash of names, units and extractor versions: the schema a model must have been trained on.
std::uint64_t feature_schema();

enum class EstimateSource : unsigned char { cold_start, history, model };
std::string_view to_string(EstimateSource source);

struct Estimate {
  double ms = 0, ms_low = 0, ms_high = 0;  ///< median and 90 % interval
  double rows = 0, bytes = 0;
  EstimateSource source = EstimateSource::cold_start;
  std::string model_version;  ///< "" when no model took part
};

}  // namespace pgsteer::predictor
