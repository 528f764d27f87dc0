#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "bench/workload/classes.hpp"

namespace pgsteer::workload {

extern const std::string_view tpch_schema_sql, tpch_queries_sql;  ///< tpch/schema.sql, tpch/queries.sql

/// The 22 shapes of TPC-H on data of its shape: names, joins, predicates and distributions of its kind, not its generator. No result of the
/// benchmark of that name can be claimed from it.
std::vector<StatementClass> tpch_classes();
/// Drops, creates and fills its eight tables, about 0.4 million rows at scale 1 (a twentieth of TPC-H's scale factor 1); any scale above 0.
/// Same scale, same rows. Throws std::runtime_error.
void load_tpch(const std::string& url, double scale);

}  // namespace pgsteer::workload
