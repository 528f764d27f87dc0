#include "predictor/context.hpp"

#include <algorithm>
#include <cmath>

namespace pgsteer::predictor {
namespace {

struct Use {
  const sql::TableUse* use;
  const sql::Relation* relation;
  std::vector<std::int16_t> predicate_columns;
};

bool names(const Use& use, const sql::ColumnUse& column) {
  if (column.qualifier.empty()) return true;
  return column.qualifier == (use.use->alias.empty() ? use.use->name : use.use->alias);
}

void add_distinct(const sql::Column& column, double rows, CatalogContext& out) {
  double distinct = column.n_distinct;
  if (distinct < 0) distinct = -distinct * std::max(rows, 1.0);
  if (!(distinct > 0)) return;
  const double log_distinct = std::log1p(distinct);
  out.log_distinct_sum += log_distinct;
  out.log_distinct_max = std::max(out.log_distinct_max, log_distinct);
  ++out.distinct_known;
}

void resolve_predicates(const sql::Analysis& analysis, std::vector<Use>& uses, CatalogContext& out) {
  for (const sql::ColumnUse& column : analysis.columns) {
    if (!column.in_predicate) continue;
    for (Use& use : uses) {
      if (!names(use, column)) continue;
      const sql::Column* found = use.relation->column(column.name);
      if (!found) continue;
      const auto& seen = use.predicate_columns;
      if (std::find(seen.begin(), seen.end(), found->number) == seen.end()) {
        use.predicate_columns.push_back(found->number);
        ++out.predicate_columns;
        add_distinct(*found, use.relation->rows, out);
      }
      break;
    }
  }
}

struct Access {
  bool index_path = false, unique_lookup = false;
};

Access access_of(const Use& use, CatalogContext& out) {
  Access access;
  const auto in_predicates = [&use](std::int16_t column) {
    return column > 0 && std::find(use.predicate_columns.begin(), use.predicate_columns.end(), column) != use.predicate_columns.end();
  };
  std::vector<std::int16_t> leading;
  for (const sql::Index& index : use.relation->indexes) {
    ++out.indexes;
    if (!index.valid || index.partial || index.columns.empty() || !in_predicates(index.columns.front())) continue;
    access.index_path = true;
    leading.push_back(index.columns.front());
    if (index.unique && std::all_of(index.columns.begin(), index.columns.end(), in_predicates)) access.unique_lookup = true;
  }
  std::sort(leading.begin(), leading.end());
  out.indexed_predicate_columns += static_cast<int>(std::unique(leading.begin(), leading.end()) - leading.begin());
  return access;
}

/// Cost units as the planner's defaults count them: a page 1, a row 0.01, an index descent about 8.
double guess_cost(double rows, double pages, Access access) {
  if (access.unique_lookup) return 8.3;
  if (access.index_path) return 8.3 + 0.02 * pages + 0.005 * rows;
  return pages + 0.0125 * rows;
}

void add_relation(const Use& use, CatalogContext& out) {
  const double rows = std::max(use.relation->rows, 0.0);
  const double pages = std::max(use.relation->pages, 0.0);
  const Access access = access_of(use, out);
  out.rows_min = out.tables_found == 0 ? rows : std::min(out.rows_min, rows);
  out.rows_max = std::max(out.rows_max, rows);
  out.rows_sum += rows;
  out.pages_sum += pages;
  out.pages_max = std::max(out.pages_max, pages);
  out.tables_with_index_path += access.index_path;
  out.unique_lookups += access.unique_lookup;
  if (!access.index_path) out.unindexed_rows += rows;
  out.views += use.relation->kind == 'v';
  out.partitioned += use.relation->kind == 'p' || use.relation->has_children;
  out.guessed_cost += guess_cost(rows, pages, access);
  ++out.tables_found;
}

}  // namespace

CatalogContext catalog_context(const FeatureInput& input) {
  CatalogContext out;
  const sql::Analysis& analysis = *input.analysis;
  if (!input.catalog) return out;
  out.known = true;
  std::vector<Use> uses;
  uses.reserve(analysis.tables.size());
  for (const sql::TableUse& use : analysis.tables) {
    if (const sql::Relation* relation = input.catalog->find(use.schema, use.name, input.search_path, input.user))
      uses.push_back({&use, relation, {}});
    else
      ++out.tables_missing;
  }
  resolve_predicates(analysis, uses, out);
  for (const Use& use : uses) add_relation(use, out);
  return out;
}

}  // namespace pgsteer::predictor
