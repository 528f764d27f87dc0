#include "tests/rewriter/generator_wide.hpp"

namespace pgsteer::test {

const std::vector<AnyTable>& all_tables() {
  static const std::vector<AnyTable> list{
      {"customers", {{"id", 'i', true}, {"name", 't'}, {"region", 'i'}, {"email", 't'}, {"city", 't'}, {"created", 'z'}}},
      {"orders", {{"id", 'i', true}, {"customer_id", 'i'}, {"status", 't'}, {"total", 'n'}, {"note", 't'}, {"created_at", 'z'},
                  {"placed", 's'}, {"shipped", 'd'}, {"parent_id", 'i'}, {"flag", 'b'}}},
      {"items", {{"id", 'i', true}, {"order_id", 'i'}, {"product_id", 'i'}, {"qty", 'i'}, {"price", 'n'}, {"weight", 'f'}}},
      {"products", {{"id", 'i', true}, {"code", 't', true}, {"category", 'i'}, {"tag", 't'}}},
      {"empty_table", {{"id", 'i', true}, {"ref", 'i'}, {"word", 't'}}},
      {"bare", {{"a", 'i'}, {"b", 'i'}, {"c", 't'}, {"d", 'f'}}},
      {"parts", {{"id", 'i'}, {"region", 'i'}, {"v", 'i'}}},
      {"animals", {{"id", 'i'}, {"legs", 'i'}}},
      {"late", {{"id", 'i'}, {"k", 'i'}}},
      {"weak", {{"id", 'i', true}, {"customer_id", 'i'}}},
      {"odd", {{"id", 'i', true}, {"ci", 't'}, {"cc", 't'}, {"cz", 't'}, {"ch", 't'}, {"vc", 't'}, {"n", 'n'}, {"n2", 'n'}, {"f", 'f'},
               {"r", 'f'}, {"iv", 'v'}, {"d", 'd'}, {"t", 'o'}, {"tt", 'o'}, {"u", 'o'}, {"by", 'o'}, {"b", 'b'}, {"i2", 'i'}, {"i8", 'i'},
               {"z", 'z'}, {"s", 's'}}},
      {"odd_nn", {{"id", 'i', true}, {"ci", 't', true}, {"cc", 't'}, {"n", 'n', true}, {"f", 'f'}, {"i2", 'i'}, {"i8", 'i'}, {"b", 'b'},
                  {"d", 'd'}, {"z", 'z'}, {"vc", 't'}, {"iv", 'v'}}},
      {"keys", {{"id", 'i'}, {"a", 'i'}, {"b", 'i'}, {"c", 'i'}, {"d", 'i'}, {"w", 't'}}},
      {"clash", {{"w", 't'}, {"v", 'i'}, {"k", 'i'}}},
      {"refs", {{"id", 'i'}, {"c", 'i'}}},
      {"pairs", {{"x", 'i'}, {"y", 'i'}, {"k", 'i'}, {"m", 't'}}},
      {"kids", {{"id", 'i', true}, {"x", 'i'}, {"y", 'i'}, {"c", 'i'}, {"o", 'i'}, {"late", 'i'}, {"own", 'i'}}},
  };
  return list;
}

std::string Item::key() const {
  for (const auto& c : table->columns)
    if (c.key) return column(c);
  std::string all;
  for (const auto& c : table->columns) all += (all.empty() ? "" : ", ") + column(c);
  return all;
}

Item any_item(Random& r, std::string alias) {
  const auto& list = all_tables();
  // Half of the time one of the two that hold most of the patterns.
  const auto index = r.chance(35) ? static_cast<std::size_t>(r.below(2)) : static_cast<std::size_t>(r.below(static_cast<int>(list.size())));
  return {&list[index], std::move(alias)};
}

const AnyColumn& any_column(Random& r, const Item& item) {
  const auto& columns = item.table->columns;
  return r.chance(25) ? columns.front() : columns[static_cast<std::size_t>(r.below(static_cast<int>(columns.size())))];
}

std::optional<AnyColumn> column_of_kind(Random& r, const Item& item, const std::string& kinds) {
  std::vector<AnyColumn> fit;
  for (const auto& c : item.table->columns)
    if (kinds.find(c.kind) != std::string::npos) fit.push_back(c);
  if (fit.empty()) return std::nullopt;
  return fit[static_cast<std::size_t>(r.below(static_cast<int>(fit.size())))];
}

std::string join_condition(Random& r, const Item& a, const Item& b) {
  auto left = any_column(r, a);
  auto right = column_of_kind(r, b, std::string(1, left.kind));
  if (!right || left.kind == 'o') {
    left = *column_of_kind(r, a, "i");
    right = column_of_kind(r, b, "i");
  }
  const auto op = r.chance(85) ? std::string(" = ") : r.pick({" < ", " >= ", " <> ", " is not distinct from "});
  return r.chance(50) ? a.column(left) + op + b.column(*right) : b.column(*right) + op + a.column(left);
}

std::string literal(Random& r, char kind) {
  switch (kind) {
    case 'i': return r.pick({"0", "1", "2", "3", "5", "-1", "4", "7", "'1'", "2147483647", "9007199254740993", "32767", "-32768"});
    case 't': return r.pick({"'a'", "'A'", "'b'", "''", "'a '", "'5'", "'é'", "'new'", "'chata'", "'d'", "'m1'"});
    case 'n': return r.pick({"0", "1", "1.0", "2.50", "-3.5", "5", "'NaN'", "99999999.99"});
    case 'f': return r.pick({"0", "'-0'", "1", "2.5", "'NaN'", "'Infinity'", "5", "1.5"});
    case 'b': return r.pick({"true", "false"});
    case 'd': return r.pick({"'2021-11-07'", "'2020-02-29'", "'infinity'", "'2021-01-01'", "'2020-12-31'"});
    case 'z': return r.pick({"'2021-11-07 00:30:00-04'", "'2021-11-07 00:30:00'", "'2021-11-07'", "'infinity'", "'2021-01-01'"});
    case 's': return r.pick({"'2020-02-29 00:00:00'", "'2021-11-07 00:30:00'", "'2021-01-01'", "'-infinity'"});
    case 'v': return r.pick({"'1 day'", "'24 hours'", "'30 days'", "'1 month'"});
    default: return "null";
  }
}

std::string maybe(Random& r, int percent, const std::string& lead, const std::string& text) {
  return r.chance(percent) ? lead + text : "";
}

namespace {

std::string comparison(Random& r, const Item& item) {
  const auto& c = any_column(r, item);
  const auto x = item.column(c);
  if (c.kind == 'o') return x + r.pick({" is null", " is not null"});
  switch (r.below(c.kind == 'b' ? 4 : 10)) {
    case 0: return x + r.pick({" is null", " is not null"});
    case 1: return x + r.pick({" is distinct from ", " is not distinct from "}) + literal(r, c.kind);
    case 2: return c.kind == 'b' ? x + r.pick({"", " is true", " is not true", " is unknown"}) : x + " between " + literal(r, c.kind) + " and " + literal(r, c.kind);
    case 3: return x + r.pick({" in (", " not in ("}) + literal(r, c.kind) + ", " + literal(r, c.kind) + ")";
    case 4: return "coalesce(" + x + ", " + literal(r, c.kind) + ") " + r.pick({"= ", "<> "}) + literal(r, c.kind);
    case 5: return literal(r, c.kind) + r.pick({" = ", " < ", " >= "}) + x;
    default: return x + r.pick({" = ", " = ", " <> ", " < ", " > ", " <= ", " >= "}) + literal(r, c.kind);
  }
}

}  // namespace

std::string condition(Random& r, const Item& item, int depth) {
  if (depth > 0 && r.chance(30)) {
    switch (r.below(6)) {
      case 0: return "(" + condition(r, item, depth - 1) + " and " + condition(r, item, depth - 1) + ")";
      case 1: return "(" + condition(r, item, depth - 1) + " or " + condition(r, item, depth - 1) + ")";
      case 2: return "not (" + condition(r, item, depth - 1) + ")";
      case 3: return "(" + condition(r, item, depth - 1) + ")" + r.pick({" is true", " is not true", " is not false"});
      case 4: {
        const auto inner = any_item(r, item.alias + "i");
        return r.pick({"exists", "not exists"}) + " (select 1 from " + inner.from() + " where " + join_condition(r, inner, item) + ")";
      }
      default: {
        const auto inner = any_item(r, item.alias + "j");
        const auto x = any_column(r, item);
        const auto y = column_of_kind(r, inner, std::string(1, x.kind));
        if (!y || x.kind == 'o') return comparison(r, item);
        return item.column(x) + r.pick({" in", " not in"}) + " (select " + inner.column(*y) + " from " + inner.from() + ")";
      }
    }
  }
  if (r.chance(4)) {  // may fail: division, a cast of text
    if (const auto c = column_of_kind(r, item, "in")) return "10 / " + item.column(*c) + " > 1";
  }
  return comparison(r, item);
}

}  // namespace pgsteer::test
