#include <doctest/doctest.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdlib>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "rewriter/sql/canonical.hpp"
#include "rewriter/sql/json.hpp"
#include "rewriter/sql/tree.hpp"
#include "tests/sql/corpus.hpp"

// What a rewrite rule does, at random: a legal expression is put in the place of another one. The printer must write a
// text that reads back as that tree, or refuse; never a text that means something else or is no SQL.

using namespace pgsteer;
using boost::json::value;
using sql::Tree;

namespace {

const std::set<std::string, std::less<>> expression_types = {
    "A_Const",      "A_Expr",        "ColumnRef",    "BoolExpr",     "FuncCall",    "TypeCast",    "SubLink",
    "CaseExpr",     "RowExpr",       "NullTest",     "BooleanTest",  "CoalesceExpr", "MinMaxExpr", "A_ArrayExpr",
    "A_Indirection", "CollateClause", "ParamRef",     "GroupingFunc", "XmlExpr",     "XmlSerialize",
    "SQLValueFunction", "SetToDefault"};

bool is_expression(const value& v) { return expression_types.contains(sql::json::node_of(v).type); }

/// Places whose content the grammar restricts to less than any expression.
bool is_restricted(std::string_view type, const boost::json::object& fields, std::string_view key) {
  if (key == "typeName" || key == "functions" || key == "source" || key == "opclassopts") return true;
  if (type == "FuncCall" && key == "args") return sql::json::text(fields, "funcformat") == "COERCE_SQL_SYNTAX";
  if (type == "XmlExpr" && key == "args") {
    const std::string_view op = sql::json::text(fields, "op");
    return op == "IS_XMLPARSE" || op == "IS_XMLROOT";
  }
  if (type == "A_Expr" && key == "rexpr") return sql::json::text(fields, "kind") == "AEXPR_SIMILAR";
  return type == "WhereCurrent";
}

/// Pointers to every expression of `v` that may be replaced by any other.
void collect(value& v, bool replaceable, std::vector<value*>& slots) {
  if (v.is_array()) {
    for (value& item : v.get_array()) collect(item, replaceable, slots);
    return;
  }
  if (!v.is_object()) return;
  if (replaceable && is_expression(v)) slots.push_back(&v);
  const sql::json::Node node = sql::json::node_of(v);
  boost::json::object& fields = node ? v.get_object().begin()->value().get_object() : v.get_object();
  if (node.type == "List") {  // passes on what its owner said
    collect(fields["items"], replaceable, slots);
    return;
  }
  for (auto& member : fields) {
    const bool restricted = is_restricted(node.type, fields, member.key());
    if (member.key() == "typeName") continue;
    // A restricted place itself stays; what hangs below its expressions is free again.
    collect(member.value(), !restricted, slots);
  }
}

std::vector<value> source_expressions() {
  std::vector<value> sources;
  for (const std::string_view text : sql::test::expressions()) {
    const auto tree = Tree::parse("SELECT " + std::string(text));
    REQUIRE(tree);
    const value& target = tree->root().at("SelectStmt").at("targetList").at(0).at("ResTarget").at("val");
    const std::string json = boost::json::serialize(target);
    if (json.find("A_Star") != std::string::npos) continue;
    sources.push_back(target);
  }
  return sources;
}

/// Integers of both signs: the library's own output loses those below zero.
value integer(std::mt19937_64& random) {
  const std::int64_t numbers[] = {0, 1, -1, -5, 7, -2147483647, 2147483647, static_cast<std::int64_t>(random() % 2000) - 1000};
  const std::int64_t number = numbers[random() % std::size(numbers)];
  boost::json::object whole;
  if (number != 0) whole["ival"] = number;
  return {{"A_Const", {{"ival", whole}, {"location", -1}}}};
}

std::size_t wanted_mutants() {
  const char* text = std::getenv("PGSTEER_MUTANTS");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 20000;
}

}  // namespace

TEST_CASE("printer: expressions in foreign places print as what they are, or not at all") {
  const std::vector<value> sources = source_expressions();
  std::vector<Tree> hosts;
  for (const auto corpus : {sql::test::statements(), sql::test::expressions()})
    for (const std::string_view text : corpus) {
      const bool whole = corpus.data() == sql::test::statements().data();
      hosts.push_back(*Tree::parse((whole ? "" : "SELECT ") + std::string(text)));
    }
  const char* seed_text = std::getenv("PGSTEER_SEED");
  std::mt19937_64 random(seed_text != nullptr ? std::strtoull(seed_text, nullptr, 10) : 20240229);
  const auto pick = [&](std::size_t size) { return static_cast<std::size_t>(random() % size); };
  std::size_t made = 0, refused = 0, reported = 0;
  while (made < wanted_mutants()) {
    Tree mutant = hosts[pick(hosts.size())];
    for (std::size_t changes = 1 + pick(3); changes > 0; --changes) {
      std::vector<value*> slots;
      collect(mutant.root(), true, slots);
      if (slots.empty()) continue;
      *slots[pick(slots.size())] = pick(8) == 0 ? integer(random) : value(sources[pick(sources.size())]);
    }
    sql::make_canonical(mutant.root());
    ++made;
    const auto text = mutant.print();
    if (!text) {
      ++refused;
      continue;
    }
    const auto again = Tree::parse(*text);
    if (again && again->same_as(mutant)) continue;
    if (++reported < 40) {
      const std::string tree = boost::json::serialize(mutant.root());
      CHECK_MESSAGE(false, (again ? "DIFFERENT " : "INVALID "), *text, "\n", (again ? tree : std::string()));
    }
  }
  MESSAGE(made, " mutants, ", refused, " refused, ", reported, " wrong");
  CHECK(reported == 0);
  CHECK(refused * 20 < made);
}
