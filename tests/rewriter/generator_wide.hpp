#pragma once
#include <optional>
#include <string>
#include <vector>

#include "tests/rewriter/generator.hpp"

/// Any table, any column, any condition: the material of the wide generators, which take a rule's pattern and put in
/// whatever the schema has, fit for the guard or not.
namespace pgsteer::test {

struct AnyColumn {
  std::string name;
  char kind;  ///< i(nteger) t(ext) n(umeric) f(loat) b(oolean) d(ate) z (timestamptz) s (timestamp) o(ther)
  bool key = false;  ///< a NOT NULL key by itself
};
struct AnyTable {
  std::string name;
  std::vector<AnyColumn> columns;
};

const std::vector<AnyTable>& all_tables();

/// A FROM item with an alias, and what may be said about it.
struct Item {
  const AnyTable* table;
  std::string alias;
  std::string from() const { return table->name + " " + alias; }
  std::string column(const AnyColumn& c) const { return alias + "." + c.name; }
  std::string key() const;  ///< its key column, or all columns: an ORDER BY that fixes every row
};
Item any_item(Random& r, std::string alias);

const AnyColumn& any_column(Random& r, const Item& item);
/// A column of one of these kinds, when it has one.
std::optional<AnyColumn> column_of_kind(Random& r, const Item& item, const std::string& kinds);
/// Columns of both that compare, mostly of one kind.
std::string join_condition(Random& r, const Item& a, const Item& b);

std::string literal(Random& r, char kind);
std::string condition(Random& r, const Item& item, int depth = 2);
std::string maybe(Random& r, int percent, const std::string& lead, const std::string& text);

std::vector<Generator> wide_generators();
std::vector<Generator> join_generators();  ///< likewise; their rules have no others
std::vector<Generator> guard_generators();  ///< what a rule's guards must refuse: one way in for each of guards.txt

}  // namespace pgsteer::test
