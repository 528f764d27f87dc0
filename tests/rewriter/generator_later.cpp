#include "tests/rewriter/generator_parts.hpp"

// Generators of the rules that came later; see generator.cpp.
namespace pgsteer::test {

Statement distinct_join_to_exists(Random& r) {
  const auto columns = r.pick({"c.*", "c.id", "c.id, c.name", "c.id, c.city, c.region", "c.*", "c.name", "c.id, o.flag", "c.email"});
  const auto join = r.pick({"join", "join", "join", "join", "left join"});
  const auto on = r.pick({"o.customer_id = c.id", "o.customer_id = c.id", "o.parent_id = c.region", "o.customer_id > c.id",
                          "o.note = c.name", "o.parent_id = c.id or o.flag"});
  std::string sql = "select distinct " + columns + " from customers c " + join + " orders o on " + on + and_maybe(r, on_orders(r));
  if (r.chance(25)) sql += " join products p on p.id = " + r.pick({"o.id", "c.id", "o.customer_id"}) + and_maybe(r, "p.category > 0");
  if (r.chance(50)) sql += " where " + (r.chance(50) ? on_customers(r) : on_orders(r));
  if (r.chance(25) && columns.find("c.id") != std::string::npos) return {sql + " order by c.id limit " + std::to_string(r.below(5)), true};
  return {sql};
}

Statement self_join_on_key(Random& r) {
  const auto what = r.pick({"o.id, b.status", "b.id", "count(*)", "b.note, o.note", "o.*", "max(b.id), count(o.note)", "*"});
  const auto link = r.pick({"o.id = b.id", "b.id = o.id", "o.id = b.id", "o.id = b.id", "o.parent_id = b.id", "o.customer_id = b.customer_id"});
  const auto other = r.pick({"b.flag", "b.note = 'a'", "b.total > 0", "not b.flag", "b.customer_id <> 1", "b.parent_id is null",
                             "b.status <> o.status", "exists (select 1 from items i9 where i9.order_id = b.id)"});
  switch (r.below(4)) {
    case 0: return {"select " + what + " from orders o, orders b where " + link + and_maybe(r, other) + and_maybe(r, on_orders(r))};
    case 1: return {"select " + what + " from orders o " + r.pick({"join", "left join", "join"}) + " orders b on " + link + and_maybe(r, other) + where_maybe(r, on_orders(r))};
    case 2: return {"select " + r.pick({"c.name, b.status", "b.id, c.id", "c.id, b.note"}) + " from customers c join orders o on o.customer_id = c.id join orders b on " + link + and_maybe(r, other) + where_maybe(r, on_customers(r))};
    default: return {"select o.id, b.note from orders b join orders o on " + link + " where " + other + " order by o.id, b.id", true};
  }
}

Statement transitive_range(Random& r) {
  const auto join = r.pick({"join", "join", "join", "left join"});
  const auto equal = r.pick({"o.customer_id = c.id", "o.parent_id = c.region", "o.id = c.id", "o.note = c.name", "o.note = c.city"});
  const bool text = equal.find("note") != std::string::npos;
  const auto side = r.chance(50) ? equal.substr(0, equal.find(' ')) : equal.substr(equal.rfind(' ') + 1);
  const auto low = text ? r.pick({"'a'", "'A'", "''", "'é'"}) : r.pick({"0", "1", "2", "-1", "'1'", "2.5", "2147483647", "5000000000"});
  const auto high = text ? r.pick({"'b'", "'é'"}) : r.pick({"3", "5", "2"});
  const auto range = r.chance(20) ? side + " between " + low + " and " + high
                     : r.chance(75) ? side + r.pick({" < ", " > ", " <= ", " >= ", " = ", " <> "}) + low
                                    : low + r.pick({" < ", " >= "}) + side;
  const std::string from = "customers c " + join + " orders o on " + equal;
  switch (r.below(3)) {
    case 0: return {"select c.id, o.id from " + from + " where " + range + and_maybe(r, on_orders(r))};
    case 1: return {"select c.id, o.id, i.id from " + from + " join items i on i.order_id = o.id where " + range + and_maybe(r, on_customers(r))};
    default: return {"select count(*) from " + from + " and " + range};
  }
}

Statement shifted_column(Random& r) {
  const auto column = r.pick({"i.qty", "i.qty", "i.qty", "i.product_id", "i.order_id", "i.id"});
  const bool wide = column != "i.qty" || r.chance(20);
  const auto shift = wide ? r.pick({"5000000000", "5000000000", "1", "9000000000"}) : r.pick({"0", "1", "5", "-3", "30", "2147483000", "2.0"});
  const auto value = wide ? r.pick({"5000000005", "5000000001", "-5000000000", "4999999999", "9000000003", "2"}) : r.pick({"5", "10", "0", "-5", "31", "15"});
  const auto sum = r.pick({column + " + " + shift, shift + " + " + column, column + " - " + shift, shift + " - " + column});
  const auto op = r.pick({" = ", " < ", " > ", " <= ", " >= ", " <> "});
  return placed(r, r.chance(70) ? sum + op + value : value + op + sum, "items i", "i.id", r.pick({"i.weight > 1", "i.product_id is null", "i.qty > 5"}));
}

Statement long_list_to_array(Random& r) {
  std::string list;
  const int count = r.chance(85) ? 100 + r.below(30) : 1 + r.below(99);
  for (int i = 0; i < count; ++i) list += (i ? ", " : "") + std::to_string(r.chance(10) ? -r.below(9) : r.below(60) * r.below(3));
  list += r.pick({"", "", "", "", ", 2147483647", ", 9007199254740993", ", null", ", 1.5", ", o.parent_id"});
  const auto column = r.pick({"o.id", "o.parent_id", "o.customer_id", "o.id", "o.parent_id", "o.total"});
  return placed(r, column + r.pick({" in (", " in (", " not in ("}) + list + ")", "orders o", "o.id", on_orders(r));
}

Statement scalar_aggregates_to_filter(Random& r) {
  std::string sql = "select ";
  const int count = 2 + r.below(3);
  const bool one_table = r.chance(90);
  for (int i = 0; i < count; ++i) {
    const auto call = r.pick({"count(*)", "count(o.note)", "sum(o.total)", "max(o.id)", "min(o.shipped)", "count(distinct o.customer_id)", "bool_and(o.flag)", "avg(o.parent_id)"});
    const auto condition = r.pick({"o.status = 'new'", "o.flag", "o.total > 0", "o.note is null", "not o.flag", "o.id > 3", "o.parent_id in (1, 2, 3)", "(o.flag or o.note = 'a')", "o.shipped < '2021-01-01'"});
    const auto table = one_table || i == 0 ? "orders o" : "(select * from orders) o";
    sql += (i ? ", " : "") + std::string("(select ") + call + r.pick({"", " as x"}) + " from " + table +
           where_maybe(r, r.chance(96) ? condition : on_orders(r)) + (r.chance(3) ? r.pick({" having count(*) > 2", " limit 0", " group by o.flag limit 1"}) : "") +
           ")" + r.pick({"", " as y"});
  }
  return {sql};
}

}  // namespace pgsteer::test
