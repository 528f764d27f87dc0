#pragma once
#include <cstdint>
#include <string>

#include "rewriter/sql/catalog.hpp"

/// The shop schema of all rewriter tests: keys, nullable and NOT NULL columns, foreign keys, odd types, a partitioned
/// table, an inheritance parent, a view, and tables without any constraint.
namespace pgsteer::test {

/// CREATE statements for a real server.
std::string shop_ddl();

/// The same schema as a Catalog built by hand, for tests without a server. A server test holds both equal.
sql::Catalog shop_catalog();

/// A Catalog read from a real server (the tests' own small loader; the product's lives in proxy/learner).
/// `pretend_large`: statistics of a million rows with five values a column, for rules that ask for that.
sql::Catalog load_catalog(const std::string& url, bool pretend_large = false);

/// INSERTs of a few random rows per table: NULLs, duplicates, empty tables, odd values. Same seed, same rows.
std::string random_rows(std::uint64_t seed);

/// Further tables for the differential test alone: odd types and collations, and keys that are none.
std::string odd_ddl();
std::string odd_rows(std::uint64_t seed);

}  // namespace pgsteer::test
