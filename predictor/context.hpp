#pragma once
#include <limits>

#include "predictor/estimate.hpp"

namespace pgsteer::predictor {

inline constexpr double unknown_value = std::numeric_limits<double>::quiet_NaN();

/// What the catalog says about the tables and predicate columns of one statement. The same for all candidates of a
/// statement, so a batch works it out once. NaN: unknown.
struct CatalogContext {
  bool known = false;
  int tables_found = 0, tables_missing = 0;
  double rows_sum = 0, rows_max = 0, rows_min = 0, pages_sum = 0, pages_max = 0;
  int indexes = 0;
  int predicate_columns = 0;          ///< of those the text names, found in a table
  int indexed_predicate_columns = 0;  ///< first column of a valid index
  double log_distinct_sum = 0, log_distinct_max = 0;  ///< of predicate columns with known statistics
  int distinct_known = 0;
  int tables_with_index_path = 0;     ///< some predicate column leads one of its indexes
  int unique_lookups = 0;             ///< all key columns of a unique index appear in predicates
  double unindexed_rows = 0;          ///< rows of tables with no index path
  double guessed_cost = 0;            ///< planner-like cost units from sizes and index paths alone; crude
  int views = 0, partitioned = 0;
};

CatalogContext catalog_context(const FeatureInput& input);

/// Writes one row (feature_names().size() floats) given the context.
void extract_row(const FeatureInput& input, const CatalogContext& context, float* out);

/// statement_class() of the statement that a row of features came from.
StatementClass class_of_row(const float* row);

/// Executions that a row of features has behind it; 0 when its history is hidden.
double executions_behind(const float* row);

/// Unit of a feature, as the table gives it.
std::string_view feature_unit(std::size_t index);

/// Position of a feature by name, -1 when there is none.
int feature_index(std::string_view name);

}  // namespace pgsteer::predictor
