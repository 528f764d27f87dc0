#include "bench/workload/tpch.hpp"

#include <fmt/format.h>

#include "bench/workload/sql_file.hpp"

namespace pgsteer::workload {

std::vector<StatementClass> tpch_classes() { return sql_classes(std::string(tpch_queries_sql), "tpch/queries.sql", 1); }

void load_tpch(const std::string& url, double scale) {
  constexpr std::string_view placeholder = ":scale";
  const std::string number = fmt::format("{}", scale);
  std::string sql(tpch_schema_sql);
  for (auto at = sql.find(placeholder); at != std::string::npos; at = sql.find(placeholder, at + number.size())) sql.replace(at, placeholder.size(), number);
  Connection connection(url);
  connection.execute("DROP TABLE IF EXISTS lineitem, tpch_orders, customer, partsupp, supplier, part, nation, region;"
                     "DO $$ BEGIN PERFORM setseed(0.42); END $$");
  connection.execute(sql);
  for (const auto* table : {"region", "nation", "part", "supplier", "partsupp", "customer", "tpch_orders", "lineitem"}) connection.execute(fmt::format("VACUUM ANALYZE {}", table));
}

}  // namespace pgsteer::workload
