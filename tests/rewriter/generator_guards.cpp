#include "tests/rewriter/generator_parts.hpp"
#include "tests/rewriter/generator_wide.hpp"

// For each rule the statements that look like its pattern and are not: the way in that one of its guards shuts. Taken out
// (guard_mutations.py) the guard must show here.
namespace pgsteer::test {
namespace ways_in {  // its names hide those of the other generators
namespace {

Statement coalesce_equals(Random& r) {
  if (r.chance(25)) return placed(r, "coalesce(a." + r.pick({"ci", "cz", "cc"}) + ", " + r.pick({"'a'", "'b'"}) + ") = " + r.pick({"'A'", "'a'", "'B'"}), "odd a", "a.id", r.pick({"a.b", "a.i2 > 0", "a.n is null"}));
  const auto p = on_orders(r), q = on_orders(r);
  const auto wanted = r.pick({"1", "0", "1", "2"});
  return placed(r, r.pick({"case when " + p + " then 1 when " + q + " then 1 else 0 end = " + wanted, "case o.parent_id when 1 then 1 else 0 end = " + wanted,
                           "case when " + p + " then 1 else 1 end = " + wanted, "case when " + p + " then 1 else 0 end " + r.pick({"<> ", "< ", ">= "}) + wanted,
                           "coalesce(o.parent_id, 1) " + r.pick({"<> ", "< ", ">= "}) + wanted}),
                "orders o", "o.id", on_orders(r));
}

Statement correlated_in_to_exists(Random& r) {
  return placed(r, "c.id" + r.pick({" > any (", " <> any (", " = any (", " < any ("}) + "select o.parent_id from orders o where o.customer_id " + r.pick({"= c.id", "<> c.id"}) + and_maybe(r, on_orders(r)) + ")",
                "customers c", "c.id", on_customers(r));
}

Statement grouped_in_to_exists(Random& r) {
  const auto key = r.pick({"o.customer_id", "o.parent_id"});
  return placed(r, "c.id" + r.pick({" > any (", " in (", " in (", " = any ("}) + "select " + key + " from orders o group by " + r.pick({key, key, "1", key + ", o.flag"}) + " having count(*) " + r.pick({"> 0", "> 1"}) +
                       r.pick({"", " order by " + key + " limit 1", " order by " + key + " desc limit 1", " order by " + key + " offset 1"}) + ")",
                "customers c", "c.id", on_customers(r));
}

Statement count_to_exists(Random& r) {
  const std::string count = "(select count(" + r.pick({"*", "*", "o.id", "distinct o.parent_id", "o.note"}) + ")" + maybe(r, 15, " filter (where ", "o.flag)") + " from orders o where " + r.pick({"o.customer_id = c.id", "o.parent_id = c.id"}) + and_maybe(r, on_orders(r)) +
                            r.pick({"", "", "", " having count(*) > 1", " limit 0", " offset 1"}) + ")";
  return placed(r, count + r.pick({" >= 0", " >= 2", " > 0", " <= 1", " > -1", " < 2", " <> 1", " = 1", " = 0"}), "customers c", "c.id", on_customers(r));
}

/// An aggregate of the outer query's column is the outer query's.
Statement count_of_outer(Random& r) {
  const auto call = r.pick({"count(c.id)", "count(c.id)", "max(c.id)", "count(distinct c.id)"});
  const auto sub = "(select " + call + r.pick({"", " > 0", " = 0"}) + " from products p" + r.pick({"", " where p.category = 1", " where p.id = 1"}) + ")";
  switch (r.below(3)) {
    case 0: return {"select " + sub + " from customers c" + where_maybe(r, on_customers(r))};
    case 1: return {"select c.region from customers c group by c.region having " + sub + r.pick({" is not null", " is null"})};
    default: return {"select distinct " + sub + " from customers c left join orders o on o.customer_id = c.id"};
  }
}

Statement date_range(Random& r) {
  const auto column = r.pick({"o.created_at", "o.placed"});
  const auto day = r.pick({"'2021-11-07'", "'2021-11-06'", "'2020-12-31'", "'2021-01-01'", "'2020-02-29'"}), other = r.pick({"'2020-02-29'", "'2021-01-01'", "'2022-01-01'"});
  return placed(r, r.pick({column + "::date" + r.pick({" not between ", " between symmetric ", " between ", " not between symmetric "}) + day + " and " + other,
                           day + r.pick({" < ", " >= ", " > ", " <= "}) + column + "::date", "date_trunc('" + r.pick({"month", "year", "quarter", "week"}) + "', " + column + ") = '" + r.pick({"2021-11-01", "2020-01-01", "2021-10-01", "2021-11-01", "2020-02-01"}) + "'",
                           "extract(year from " + column + ") = 2020"}),
                "orders o", "o.id", on_orders(r));
}

Statement distinct_join_to_exists(Random& r) {
  const auto join = "customers c join orders o on o.customer_id = c.id";
  switch (r.below(6)) {
    case 5: return {std::string("select distinct c.id, ") + r.pick({"rank()", "dense_rank()", "rank()"}) + " over (order by c.id) from " + join + where_maybe(r, "o.flag")};
    case 0: return {std::string("select distinct on (c.city) c.* from ") + join + and_maybe(r, "o.flag") + " order by c.city, c.id", true};
    case 1: return {std::string("select distinct count(*) from ") + join + " where c.id = " + r.pick({"0", "1", "2"}) + and_maybe(r, on_orders(r))};
    case 2: return {std::string("select distinct c.id, c.name from ") + join + " group by grouping sets ((c.id, c.name), (c.name))"};
    case 3: return {"select distinct p.id, p.code, c.id from products p left join (" + std::string(join) + and_maybe(r, "o.flag") + ") on c.id = p.id" + where_maybe(r, "p.category > 0")};
    default: return {std::string("select distinct c.id, c.name from ") + join + " where o.total > 0"};
  }
}

Statement distinct_over_key(Random& r) {
  switch (r.below(4)) {
    case 0: return {"select distinct on (o.status) o.* from orders o" + where_maybe(r, on_orders(r)) + " order by o.status, o.id", true};
    case 1: return {"select distinct o.status from orders o group by " + r.pick({"grouping sets ((o.status), (o.flag))", "rollup (o.status)", "o.status"})};
    case 2: return {"select distinct w" + r.pick({"", ", k"}) + " from clash"};
    default: return {"select distinct o.id, o.note from orders o" + where_maybe(r, on_orders(r))};
  }
}

Statement foreign_key_join(Random& r) {
  switch (r.below(4)) {
    case 0: return {"select count(*), max(o.id) from orders o join customers c on " + r.pick({"o.customer_id = c.region", "o.customer_id >= c.id", "o.parent_id = c.id", "o.customer_id <> c.id", "o.customer_id = c.id"}) + where_maybe(r, on_orders(r))};
    case 1: return {"select count(*) from orders o, customers c where " + r.pick({"o.customer_id = c.region", "o.customer_id < c.id", "o.customer_id = c.id"}) + " and " + on_orders(r)};
    case 2: return {"select f.id, f.c from refs f join customers c on f.c = c.id"};
    default: return {"select o.id from orders o join customers c on o.customer_id = c.id" + where_maybe(r, on_orders(r))};
  }
}

Statement key_in_same_table(Random& r) {
  const auto in = r.pick({" in (", " in (", " not in ("});
  switch (r.below(10)) {
    case 0: return placed(r, "t.id" + in + "select o.id from orders o, " + r.pick({"empty_table e", "items i where i.order_id = o.id", "products p"}) + ")", "orders t", "t.id", "t.flag");
    case 1: return placed(r, "t.id" + in + "select o.id from orders o join items i on i.order_id = o.id and i.qty > 5)", "orders t", "t.id", "t.flag");
    case 2: return placed(r, "t.id" + in + "select u.n from odd_nn u where u.b)", "odd_nn t", "t.id", "t.b");
    case 3: return placed(r, "t.id" + in + "select o.id from orders o where exists (select 1 from items t where t.order_id = o.id))", "orders t", "t.id", "t.flag");
    case 4: return placed(r, "t.id" + r.pick({" > any (", " = any (", " <> any ("}) + "select o.id from orders o where o.flag)", "orders t", "t.id", "t.note = 'a'");
    case 5: return {"select o.y from kids o where exists (select 1 from pairs o where id in (select u.id from kids u where u.x = " + r.pick({"1", "2", "0"}) + "))"};
    default: return placed(r, "t.w" + in + "select u.w from clash u where u.k " + r.pick({"> 1", "= 2", "< 2", "<> 1", "> 2"}) + ")", "clash t", "t.w", "t.v > 0");
  }
}

/// Almost a row comparison: one part too many, another value or column, or an operator that has no place there.
Statement keyset_row_comparison(Random& r) {
  const auto op = r.pick({"<", ">"});
  const auto a = r.pick({"o.customer_id", "o.parent_id"}), b = r.pick({"o.id", "o.total"}), c = r.pick({"o.shipped", "o.note"});
  const auto x = r.pick({"1", "2", "3"}), y = r.pick({"2", "5", "3"}), z = c == "o.note" ? r.pick({"'a'", "'b'"}) : "'2021-01-01'";
  const auto first = r.chance(70) ? a + " " + op + " " + x : x + " " + (r.chance(60) ? (op == "<" ? ">" : "<") : op) + " " + a;
  const auto extra = maybe(r, 30, " and ", "o.flag"), arm = maybe(r, 25, " or ", on_orders(r));
  const auto equal = (r.chance(85) ? a : r.pick({"o.id", "o.customer_id"})) + " = " + (r.chance(85) ? x : y);
  const auto last = r.chance(75) ? b + " " + op + r.pick({"", "="}) + " " + y : r.pick({b + " <> " + y, y + " " + op + " " + b, y + " <> " + b});
  if (r.chance(50)) return placed(r, "(" + first + " or (" + equal + " and " + last + extra + ")" + arm + ")", "orders o", "o.id", on_orders(r));
  const auto middle = b + " " + op + r.pick({"", "", "", "="}) + " " + y;
  const auto again = (r.chance(85) ? b : std::string("o.parent_id")) + " = " + (r.chance(85) ? y : x);
  return placed(r, "(" + first + " or (" + equal + " and " + middle + maybe(r, 20, " and ", "o.flag") + ") or (" + equal + " and " + again + " and " + c + " " + op + " " + z + maybe(r, 20, " and ", "o.flag") + ")" + arm + ")", "orders o", "o.id", on_orders(r));
}

Statement lateral_group_by(Random& r) {
  const auto sub = r.pick({"select distinct on (o.status) o.status as n, o.customer_id as k, o.id as i from orders o order by o.status, o.id", "select o.customer_id as k, o.status as n from orders o group by o.customer_id, o.status having count(*) > 1",
                           "select distinct o.customer_id as k, o.status as n from orders o", "select distinct on (o.flag) o.flag as n, o.customer_id as k from orders o order by o.flag, o.customer_id"});
  return {"select c.id, s.k, s.n from customers c " + r.pick({"join", "left join"}) + " (" + sub + ") s on s.k = c.id" + where_maybe(r, on_customers(r))};
}

Statement lateral_window(Random& r) {
  const auto call = r.pick({"lag(o.id)", "first_value(o.id)", "ntile(2)", "row_number()", "last_value(o.total)", "rank()"});
  const auto over = r.pick({"partition by o.customer_id order by o.status", "partition by o.customer_id order by o.id", "partition by o.customer_id"});
  return {"select c.id, s.i, s.n from customers c join (select o.customer_id as k, o.id as i, " + call + " over (" + over + ") as n from orders o" + where_maybe(r, on_orders(r)) + r.pick({"", "", " order by o.id limit 3", " order by o.id desc limit 2", " order by o.id offset 2"}) + ") s on s.k = c.id" + where_maybe(r, on_customers(r))};
}

Statement left_join_null_test(Random& r) {
  const auto join = r.pick({"full join", "full join", "left join", "right join"});
  return {"select c.id, o.id from customers c " + join + " orders o on " + r.pick({"o.parent_id = c.region", "o.note = c.name", "o.parent_id = c.id"}) + " where " + r.pick({"o.id is null", "o.status is null", "c.id is null", "c.name is null"})};
}

Statement limit_before_left_join(Random& r) {
  const std::string from = " from orders o left join customers c on c.id = o." + r.pick({"customer_id", "parent_id"});
  const auto limit = " limit " + std::to_string(1 + r.below(4)) + maybe(r, 30, " offset ", "1");
  switch (r.below(6)) {
    case 4: return {"select a.id, b.k from orders a left join late b on b.id = a." + r.pick({"parent_id", "customer_id"}) + " and b.k = a." + r.pick({"parent_id", "customer_id"}) + " order by a.id" + limit, true};
    case 5: return {"select a.id, b.legs from customers a left join animals b on b.id = a.id and b.legs = a." + r.pick({"region", "id"}) + " order by a.id" + limit, true};
    case 0: return {"select distinct o.status" + r.pick({"", ", c.name"}) + from + " order by o.status" + limit};
    case 1: return {"select o.status" + r.pick({"", ", o.flag"}) + from + " group by o.status, o.flag order by o.status, o.flag" + limit, true};
    case 2: return {"select o.id, c.name" + from + " order by c." + r.pick({"name", "region", "id"}) + ", o.id" + limit, true};
    default: return {"select o.id, c.name" + from + where_maybe(r, on_orders(r)) + " order by o.total, o.id" + limit, true};
  }
}

/// The second key starts from a table that the first one found: a NULL there cannot be asked for before the join.
Statement limit_before_foreign_key_join(Random& r) {
  return {"select a.id, b.id as y, c.id as z from kids a join kids b on b.id = a.own join kids c on c.id = b.own" + maybe(r, 30, " where ", "a.x > 0") + " order by a.id" + r.pick({"", " desc"}) + " limit " + std::to_string(1 + r.below(3)), true};
}

Statement limit_into_union_all(Random& r) {
  const auto arm = [&] {
    const std::string plain = "select o.id, o.parent_id from orders o" + where_maybe(r, on_orders(r));
    return r.chance(50) ? plain : "(" + plain + " order by o.id" + r.pick({" desc", ""}) + r.pick({" limit 1", " limit 2", " offset 2"}) + ")";
  };
  return {arm() + " union all " + arm() + " order by 1, 2 limit " + std::to_string(1 + r.below(5)) + maybe(r, 30, " offset ", "1"), true};
}

Statement literal_cast(Random& r) {
  const auto x = r.pick({"o.id", "o.parent_id", "o.total", "o.note", "o.customer_id"});
  if (r.chance(40)) return placed(r, x + r.pick({"::text < ", "::text > ", "::text <= ", "::varchar(1) = ", "::varchar(1) <> "}) + r.pick({"'1'", "'2'", "'5'", "'10'", "'9'"}), "orders o", "o.id", on_orders(r));
  if (x == "o.note") return placed(r, x + "::text" + r.pick({" = ", " <> "}) + r.pick({"'5'", "'1'"}), "orders o", "o.id", on_orders(r));
  return placed(r, x + r.pick({" > ", " < ", " >= ", " <= ", " = "}) + r.pick({"2.5", "2.4", "0.5", "1.5", "5::float8", "9007199254740992::float8"}), "orders o", "o.id", on_orders(r));
}

Statement long_list_to_array(Random& r) {
  std::string list;
  for (int i = 0; i < 110; ++i) list += (i ? ", " : "") + std::to_string(r.below(12) - 2);
  return placed(r, r.pick({"o.id", "o.parent_id", "o.customer_id"}) + r.pick({" in (", " not in ("}) + list + r.pick({"", ", 9007199254740993", ", 5000000000"}) + ")", "orders o", "o.id", on_orders(r));
}

Statement not_in_to_not_exists(Random& r) {
  const auto list = "select o.customer_id from orders o" + where_maybe(r, on_orders(r)) + r.pick({"", "", " order by o.customer_id, o.id limit 1", " group by o.customer_id having count(*) > 1", " order by o.customer_id, o.id offset 2"});
  return placed(r, "c.id" + r.pick({" > all (", " < all (", " = all (", " not in (", " <> all ("}) + list + ")", "customers c", "c.id", on_customers(r));
}

Statement not_any(Random& r) {
  return placed(r, "not (c.id" + r.pick({" > any (", " < any (", " <> any (", " = any ("}) + "select o.customer_id from orders o" + where_maybe(r, on_orders(r)) + "))", "customers c", "c.id", on_customers(r));
}

Statement scalar_aggregates_to_filter(Random& r) {
  std::string sql = "select ";
  for (int i = 0; i < 2; ++i)
    sql += (i ? ", (select " : "(select ") + r.pick({"count(*)", "max(o.id)", "count(o.note)"}) + maybe(r, 40, " filter (where ", "o.flag)") + " from orders o where " + r.pick({"o.status = 'new'", "o.id > 3", "o.note is null"}) + ")";
  return {sql};
}

Statement scalar_lookup_to_join(Random& r) {
  const std::string look = "(select c.name from customers c where c.id = o.customer_id)";
  return {r.chance(40) ? "select o.customer_id, " + look + " from orders o group by o.customer_id" : "select o.id, " + look + " from orders o" + where_maybe(r, on_orders(r)) + r.pick({"", " group by o.id"})};
}

Statement self_join_on_key(Random& r) {
  switch (r.below(4)) {
    case 0: return {"select o.id from orders o join orders b on o.id = b.id and exists (select 1 from items o where o.order_id = b.id)" + where_maybe(r, "o.flag")};
    case 1: return {"select p.id, o.id from products p left join (orders o join orders b on b.id = o.id and " + r.pick({"b.flag", "b.note = 'a'", "b.total > 0"}) + ") on o.id = p.id"};
    case 2: return {"select a.w, b.v from clash a join clash b on a.w = b.w"};
    default: return {"select o.id, b.note from orders o join orders b on " + r.pick({"o.id = b.id", "o.id >= b.id", "o.id = b.parent_id"}) + where_maybe(r, "b.flag")};
  }
}

Statement transitive_range(Random& r) {
  const auto bound = r.pick({" > 1", " < 3", " >= 2", " between 1 and 3"});
  return {"select c.id, o.id from customers c join orders o on o.customer_id " + r.pick({"= ", "> ", "< ", "<> ", "= "}) + "c.id where " + r.pick({"c.id", "o.customer_id"}) + bound + and_maybe(r, on_orders(r))};
}

Statement useless_order_by(Random& r) {
  return {"select count(*), max(s." + r.pick({"id", "parent_id"}) + ") from (select " + r.pick({"distinct on (o.status) ", "distinct on (o.customer_id) ", ""}) + "o.id, o.parent_id from orders o" + where_maybe(r, on_orders(r)) + " order by o.status, o.customer_id, o.id" +
          r.pick({"", " desc"}) + ") s"};
}

Statement useless_order_by_partial(Random& r) {
  return {"select count(*), max(s.id) from (select distinct on (o.status) o.id, o.parent_id from orders o" + where_maybe(r, on_orders(r)) + " order by o.status, o.id" + r.pick({"", " desc"}) + ") s"};
}

/// Aggregates and DISTINCT that show which of several equal values came first.
Statement equal_but_different(Random& r) {
  const auto x = r.pick({"n", "ci", "f", "iv", "n2"});
  switch (r.below(3)) {
    case 0: return {"select distinct a." + x + " from odd a left join odd_nn b on b.i2 = a.i2"};
    case 1: return {"select min(a." + x + "), max(a." + x + ") from odd a left join odd_nn b on b.i2 = a.i2"};
    default: return {"select a." + x + " from odd a left join odd_nn b on b.i2 = a.i2 group by a." + x};
  }
}

std::vector<Generator> all() {
  return {{"coalesce_equals", coalesce_equals},
          {"correlated_in_to_exists", correlated_in_to_exists},
          {"grouped_in_to_exists", grouped_in_to_exists},
          {"count_to_exists", count_of_outer},
          {"count_to_exists", count_to_exists},
          {"count_not_null", count_of_outer},
          {"unused_left_join", count_of_outer},
          {"unused_left_join", equal_but_different},
          {"date_range", date_range},
          {"distinct_join_to_exists", distinct_join_to_exists},
          {"distinct_over_key", distinct_over_key},
          {"foreign_key_join", foreign_key_join},
          {"key_in_same_table", key_in_same_table},
          {"keyset_row_comparison", keyset_row_comparison},
          {"lateral_group_by", lateral_group_by},
          {"lateral_window", lateral_window},
          {"left_join_null_test", left_join_null_test},
          {"limit_before_left_join", limit_before_left_join},
          {"limit_before_foreign_key_join", limit_before_foreign_key_join},
          {"limit_into_union_all", limit_into_union_all},
          {"literal_cast", literal_cast},
          {"long_list_to_array", long_list_to_array},
          {"not_in_to_not_exists", not_in_to_not_exists},
          {"not_in_to_not_exists", not_any},
          {"scalar_aggregates_to_filter", scalar_aggregates_to_filter},
          {"scalar_lookup_to_join", scalar_lookup_to_join},
          {"self_join_on_key", self_join_on_key},
          {"transitive_range", transitive_range},
          {"useless_order_by", useless_order_by},
          {"useless_order_by", useless_order_by_partial}};
}

}  // namespace
}  // namespace ways_in

std::vector<Generator> guard_generators() { return ways_in::all(); }

}  // namespace pgsteer::test
