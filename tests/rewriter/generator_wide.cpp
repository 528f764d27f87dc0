#include "tests/rewriter/generator_wide.hpp"

// Each rule's pattern over any table and column: whether the guard holds is left to chance and to the schema.
namespace pgsteer::test {
namespace {

/// A filter in one of the places a filter can stand, over one FROM item.
Statement around(Random& r, const Item& a, const std::string& predicate) {
  const auto from = " from " + a.from();
  const auto other = condition(r, a);
  switch (r.below(8)) {
    case 0: return {"select " + a.key() + ", " + predicate + " as p" + from};
    case 1: return {"select " + a.key() + from + " where not (" + predicate + ")"};
    case 2: return {"select " + a.key() + from + " where " + predicate + " or " + other};
    case 3: return {"select count(*)" + from + " where " + predicate + " and " + other};
    case 4: return {"select *" + from + " where " + predicate + " order by " + a.key(), true};
    case 5: return {"select " + a.key() + from + " where " + predicate + " and " + other + " order by " + a.key() + " limit " + std::to_string(1 + r.below(4)), true};
    default: return {"select *" + from + " where " + predicate};
  }
}

struct Twin {
  AnyColumn left, right;
};
/// Columns of two items, mostly of one kind.
Twin twins(Random& r, const Item& a, const Item& b) {
  for (int i = 0; i < 4; ++i) {
    const auto left = any_column(r, a);
    const auto right = column_of_kind(r, b, std::string(1, left.kind));
    if (right) return {left, *right};
  }
  return {*column_of_kind(r, a, "i"), *column_of_kind(r, b, "i")};
}

std::string join_word(Random& r) { return r.pick({" join ", " join ", " join ", " left join ", " left join ", " right join ", " full join "}); }

std::string aggregate(Random& r, const Item& a) {
  const auto c = any_column(r, a);
  if (r.chance(40)) return r.pick({"count(*)", "count(" + a.column(c) + ")"});
  if (c.kind == 'i' || c.kind == 'n') return r.pick({"sum(", "max(", "min(", "avg("}) + a.column(c) + ")";
  if (c.kind == 'b') return r.pick({"bool_and(", "bool_or("}) + a.column(c) + ")";
  return c.kind == 'o' ? "count(" + a.column(c) + ")" : r.pick({"max(", "min(", "count(distinct "}) + a.column(c) + ")";
}

Statement count_to_exists(Random& r) {
  const auto a = any_item(r, "a"), b = any_item(r, "b");
  const auto what = r.chance(50) ? std::string("*") : b.column(any_column(r, b));
  const std::string count = "(select count(" + what + ") from " + b.from() + " where " + join_condition(r, b, a) + maybe(r, 50, " and ", condition(r, b)) +
                            maybe(r, 10, " ", r.pick({"having count(*) > 1", "limit 1", "group by " + b.column(any_column(r, b)) + " limit 1"})) + ")";
  return around(r, a, count + r.pick({" > 0", " >= 1", " <> 0", " = 0", " < 1", " <= 0", " > 1", " = 1"}));
}

Statement not_in_to_not_exists(Random& r) {
  const auto a = any_item(r, "a"), b = any_item(r, r.chance(95) ? "b" : "a");
  const auto [x, y] = twins(r, a, b);
  const auto key = r.chance(60) ? Twin{*column_of_kind(r, a, "i"), *column_of_kind(r, b, "i")} : Twin{x, y};
  return around(r, a, a.column(key.left) + r.pick({" not in (", " not in (", " <> all ("}) + "select " + maybe(r, 15, "", "distinct ") + b.column(key.right) +
                          " from " + b.from() + maybe(r, 60, " where ", condition(r, b)) + ")");
}

Statement literal_cast(Random& r) {
  const auto a = any_item(r, "a");
  const auto x = a.column(*column_of_kind(r, a, "i"));
  const auto n = std::to_string(r.below(12) - 2);
  switch (r.below(4)) {
    case 0: return around(r, a, x + r.pick({"::text = ", "::varchar = ", "::text <> ", "::text > ", "::varchar(1) = ", "::char(3) = "}) + r.pick({"'" + n + "'", "'0" + n + "'", "'" + n + " '", "'32767'", "'32768'", "'-0'"}));
    case 1: return around(r, a, x + "::text" + r.pick({" in ('", " not in ('"}) + n + "', '" + std::to_string(r.below(9)) + r.pick({"')", "')", "', null)", "', 'x')"}));
    case 2: return around(r, a, x + r.pick({" = ", " < ", " > ", " <= ", " >= ", " <> "}) + n + r.pick({".0", ".5", ".00", ".000001", ".99"}));
    default: return around(r, a, x + r.pick({" = ", " = ", " < ", " >= "}) + r.pick({n, std::string("9007199254740992"), std::string("9007199254740993"), std::string("32768")}) + r.pick({"::float8", "::float8", "::real", "::numeric"}));
  }
}

Statement left_join_null_test(Random& r) {
  const auto a = any_item(r, "a"), b = any_item(r, "b"), c = any_item(r, "c");
  const auto on = join_condition(r, a, b) + maybe(r, 30, " and ", condition(r, b, 1));
  const auto tested = b.column(any_column(r, b)) + r.pick({" is null", " is null", " is null", " is not null"});
  const auto join = r.pick({" left join ", " left join ", " left join ", " full join ", " right join "});
  if (r.chance(25))
    return {"select " + a.key() + " from " + c.from() + r.pick({" join ", " left join "}) + "(" + a.from() + join + b.from() + " on " + on + ") on " + join_condition(r, c, a) + " where " + tested};
  return {"select " + a.key() + maybe(r, 20, ", ", b.key()) + " from " + a.from() + join + b.from() + " on " + on + " where " + tested + maybe(r, 40, r.pick({" and ", " or "}), condition(r, a))};
}

Statement coalesce_equals(Random& r) {
  const auto a = any_item(r, "a");
  const auto c = any_column(r, a);
  if (c.kind == 'o' || r.chance(25))
    return around(r, a, "case when " + condition(r, a) + " then " + r.pick({"1", "0"}) + " else " + r.pick({"0", "1", "2"}) + " end = " + r.pick({"1", "0", "2"}));
  const auto k = literal(r, c.kind), v = r.chance(40) ? k : literal(r, c.kind);
  return around(r, a, r.chance(80) ? "coalesce(" + a.column(c) + ", " + k + ") = " + v : v + " = coalesce(" + a.column(c) + ", " + k + ")");
}

Statement keyset_row_comparison(Random& r) {
  const auto a = any_item(r, "a");
  const auto x = any_column(r, a), y = any_column(r, a), z = any_column(r, a);
  if (x.kind == 'o' || y.kind == 'o' || z.kind == 'o') return around(r, a, condition(r, a));
  const auto u = literal(r, x.kind), v = literal(r, y.kind), w = literal(r, z.kind);
  const auto op = r.pick({" < ", " > "});
  const auto final_op = r.chance(80) ? op : r.pick({" <= ", " >= ", " < "});
  const auto A = a.column(x), B = a.column(y), C = a.column(z);
  switch (r.below(3)) {
    case 0: return around(r, a, "(" + A + op + u + " or (" + A + " = " + (r.chance(95) ? u : v) + " and " + B + final_op + v + "))");
    case 1: return around(r, a, "(" + A + op + u + " or (" + A + " = " + u + " and (" + B + op + v + " or (" + B + " = " + v + " and " + C + final_op + w + "))))");
    default: return around(r, a, "(" + A + op + u + " or (" + A + " = " + u + " and " + B + op + v + ") or (" + A + " = " + u + " and " + B + " = " + v + " and " + C + final_op + w + "))");
  }
}

Statement correlated_in_to_exists(Random& r) {
  const auto a = any_item(r, "a"), b = any_item(r, r.chance(95) ? "b" : "a");
  const auto [x, y] = twins(r, a, b);
  return around(r, a, a.column(x) + r.pick({" in (", " in (", " in (", " not in (", " = any ("}) + "select " + maybe(r, 10, "", "distinct ") + b.column(y) + " from " + b.from() + " where " +
                          join_condition(r, b, a) + maybe(r, 40, " and ", condition(r, b)) + maybe(r, 5, " ", "limit 1") + ")");
}

Statement grouped_in_to_exists(Random& r) {
  const auto a = any_item(r, "a"), b = any_item(r, "b");
  const auto [x, y] = twins(r, a, b);
  const auto k = b.column(y);
  const auto more = b.column(any_column(r, b));
  return around(r, a, a.column(x) + r.pick({" in (", " in (", " in (", " not in ("}) + "select " + (r.chance(93) ? k : "max(" + more + ")") + " from " + b.from() + maybe(r, 50, " where ", condition(r, b)) +
                          " group by " + r.pick({k, k, k + ", " + more, more + ", " + k, "rollup(" + k + ")", "1"}) + maybe(r, 90, " having ", aggregate(r, b) + " is not null and count(*) " + r.pick({"> 1", ">= 1", "< 3"})) + ")");
}

Statement key_in_same_table(Random& r) {
  const auto a = any_item(r, "a");
  Item b = r.chance(90) ? a : any_item(r, "b");
  b.alias = "b";
  const auto& x = r.chance(60) ? a.table->columns.front() : any_column(r, a);
  const auto y = b.table == a.table && r.chance(95) ? x : any_column(r, b);
  const auto predicate = a.column(x) + r.pick({" in (", " in (", " not in ("}) + "select " + b.column(y) + " from " + b.from() + maybe(r, 85, " where ", condition(r, b, 3)) + maybe(r, 5, " ", r.pick({"limit 1", "group by " + b.column(y)})) + ")";
  if (r.chance(20)) {
    const auto c = any_item(r, "c");
    return {"select " + c.key() + " from " + c.from() + r.pick({" left join ", " full join ", " join "}) + a.from() + " on " + join_condition(r, c, a) + " where " + predicate};
  }
  return around(r, a, predicate);
}

Statement useless_order_by(Random& r) {
  const auto a = any_item(r, "a"), b = any_item(r, "b");
  const auto [x, y] = twins(r, a, b);
  const auto order = " order by " + b.column(any_column(r, b)) + r.pick({"", " desc", " nulls first"}) + maybe(r, 10, " ", r.pick({"limit 2", "offset 1"}));
  const auto sub = "select " + b.column(y) + " as k, " + b.key() + " from " + b.from() + maybe(r, 50, " where ", condition(r, b)) + order;
  switch (r.below(5)) {
    case 0: return {"select " + r.pick({"count(*)", "count(k)", "max(k)", "count(distinct k)"}) + " from (" + sub + ") s"};
    case 1: return around(r, a, a.column(x) + " in (select " + b.column(y) + " from " + b.from() + maybe(r, 50, " where ", condition(r, b)) + order + ")");
    case 2: return around(r, a, r.pick({"exists", "not exists"}) + " (select 1 from " + b.from() + " where " + join_condition(r, a, b) + order + ")");
    case 3: return {"select k from (" + sub + ") s"};
    default: return {"select k, count(*) from (" + sub + ") s group by k"};
  }
}

Statement count_not_null(Random& r) {
  const auto a = any_item(r, "a"), b = any_item(r, "b");
  const auto& of = r.chance(50) ? a : b;
  const auto x = r.chance(50) ? of.column(of.table->columns.front()) : of.column(any_column(r, of));
  const auto call = r.pick({"count(" + x + ")", "count(" + x + ")", "count(distinct " + x + ")"}) + maybe(r, 15, " filter (where ", condition(r, a, 1) + ")");
  const auto from = r.chance(40) ? (&of == &a ? a : b).from() : a.from() + join_word(r) + b.from() + " on " + join_condition(r, a, b);
  const bool one = from.find(" on ") == std::string::npos;
  const auto& visible = one ? of : a;
  const auto filtered = one && call.find("filter") != std::string::npos ? std::string("count(" + x + ")") : call;
  if (r.chance(60)) return {"select " + filtered + " from " + from + maybe(r, 50, " where ", condition(r, visible))};
  const auto g = visible.column(any_column(r, visible));
  return {"select " + g + ", " + filtered + " from " + from + maybe(r, 50, " where ", condition(r, visible)) + " group by " + g + maybe(r, 25, " having ", filtered + " > 1")};
}

Statement distinct_over_key(Random& r) {
  const auto a = any_item(r, "a"), b = any_item(r, "b");
  const auto some = [&](const Item& item) {
    std::string text = item.column(r.chance(60) ? item.table->columns.front() : any_column(r, item));
    for (int i = r.below(3); i > 0; --i) text += ", " + item.column(any_column(r, item));
    return r.chance(10) ? item.alias + ".*" : text;
  };
  switch (r.below(3)) {
    case 0: return {"select distinct " + some(a) + " from " + a.from() + maybe(r, 50, " where ", condition(r, a))};
    case 1: {
      const auto g = a.column(any_column(r, a)), h = a.column(any_column(r, a));
      return {"select distinct " + r.pick({g, g + ", " + h}) + ", " + aggregate(r, a) + " as n from " + a.from() + maybe(r, 40, " where ", condition(r, a)) + " group by " + r.pick({g + ", " + h, g + ", " + h, h})};
    }
    default: return {"select distinct " + some(a) + maybe(r, 60, ", ", some(b)) + " from " + a.from() + join_word(r) + b.from() + " on " + join_condition(r, a, b) + maybe(r, 40, " where ", condition(r, a))};
  }
}

Statement unused_left_join(Random& r) {
  const auto a = any_item(r, "a"), b = any_item(r, "b"), c = any_item(r, "c");
  const auto x = a.column(any_column(r, a)), y = a.column(any_column(r, a));
  const auto what = r.pick({"distinct " + x, "distinct " + x + ", " + y, "count(distinct " + x + ")", "count(distinct " + x + "), max(" + a.column(*column_of_kind(r, a, "i")) + ")", "count(*)", x, "distinct " + x + ", " + b.column(any_column(r, b))});
  const auto on = join_condition(r, a, b) + maybe(r, 30, " and ", condition(r, r.chance(50) ? a : b, 1));
  return {"select " + what + " from " + a.from() + r.pick({" left join ", " left join ", " left join ", " join ", " full join ", " right join "}) + b.from() + " on " + on +
          maybe(r, 25, " left join ", c.from() + " on " + join_condition(r, c, r.chance(60) ? a : b)) + maybe(r, 50, " where ", condition(r, r.chance(85) ? a : b))};
}

Statement foreign_key_join(Random& r) {
  struct Link {
    std::string child, parent, on;
  };
  const std::vector<Link> links{{"orders a", "customers b", "a.customer_id = b.id"}, {"orders a", "customers b", "a.customer_id = b.id"}, {"items a", "orders b", "a.order_id = b.id"},
                                {"weak a", "customers b", "a.customer_id = b.id"}, {"kids a", "customers b", "a.c = b.id"}, {"kids a", "customers b", "a.late = b.id"},
                                {"kids a", "pairs b", "a.x = b.x and a.y = b.y"}, {"kids a", "pairs b", "a.x = b.x"}, {"kids a", "kids b", "a.own = b.id"}, {"kids a", "customers b", "a.o = b.id"}};
  const auto& link = links[static_cast<std::size_t>(r.below(static_cast<int>(links.size())))];
  Item a{nullptr, "a"}, b{nullptr, "b"};
  for (const auto& table : all_tables()) {
    if (link.child == table.name + " a") a.table = &table;
    if (link.parent == table.name + " b") b.table = &table;
  }
  const auto what = r.pick({"count(*)", a.key(), "a.*", a.column(any_column(r, a)), a.column(any_column(r, a)) + ", " + a.column(any_column(r, a)), b.column(any_column(r, b)), a.key() + ", " + b.column(b.table->columns.front())});
  const auto on = link.on + maybe(r, 10, " and ", condition(r, b, 0));
  const auto where = maybe(r, 65, " where ", condition(r, r.chance(90) ? a : b, 3));
  const auto c = any_item(r, "c");
  switch (r.below(6)) {
    case 0: return {"select " + what + " from " + link.child + ", " + link.parent + " where " + on + maybe(r, 60, " and ", condition(r, a, 3))};
    case 1: return {"select " + what + " from " + c.from() + r.pick({" join ", " left join "}) + link.child + " on " + join_condition(r, c, a) + " join " + link.parent + " on " + on + where};
    case 2: return {"select " + what + " from " + c.from() + r.pick({" left join ", " full join "}) + "(" + link.child + " join " + link.parent + " on " + on + ") on " + join_condition(r, c, a) + where};
    case 3: return {"select " + what + " from " + link.parent + r.pick({" join ", " join ", " right join "}) + link.child + " on " + on + where};
    default: return {"select " + what + " from " + link.child + r.pick({" join ", " join ", " join ", " left join "}) + link.parent + " on " + on + where};
  }
}

Statement distinct_join_to_exists(Random& r) {
  const auto a = any_item(r, "a"), b = any_item(r, "b"), c = any_item(r, "c");
  const auto columns = r.pick({"a.*", a.key(), a.key() + ", " + a.column(any_column(r, a)), a.column(any_column(r, a)), a.key() + ", " + b.column(any_column(r, b)), "a.*"});
  std::string sql = "select distinct " + columns + " from " + a.from() + r.pick({" join ", " join ", " join ", " left join "}) + b.from() + " on " + join_condition(r, a, b) + maybe(r, 40, " and ", condition(r, b)) +
                    maybe(r, 20, " join ", c.from() + " on " + join_condition(r, c, r.chance(50) ? a : b)) + maybe(r, 60, " where ", condition(r, r.chance(50) ? a : b));
  if (r.chance(20) && columns == "a.*") return {sql + " order by " + a.key() + " limit 3", true};
  return {sql};
}

Statement self_join_on_key(Random& r) {
  const auto a = any_item(r, "a");
  Item b = r.chance(92) ? a : any_item(r, "b");
  b.alias = "b";
  const auto& x = r.chance(70) ? a.table->columns.front() : any_column(r, a);
  std::string on = b.table == a.table ? "a." + x.name + " = b." + x.name : join_condition(r, a, b);
  if (b.table == a.table && r.chance(30)) on += " and " + join_condition(r, a, b);
  const auto what = r.pick({a.key() + ", " + b.column(any_column(r, b)), "count(*)", b.key(), "a.*", "*", a.column(any_column(r, a)) + ", " + b.column(any_column(r, b))});
  const auto where = maybe(r, 50, " and ", condition(r, a, 3)) + maybe(r, 50, " and ", condition(r, b, 3));
  if (r.chance(40)) return {"select " + what + " from " + a.from() + ", " + b.from() + " where " + on + where};
  return {"select " + what + " from " + a.from() + r.pick({" join ", " join ", " left join "}) + b.from() + " on " + on + where + maybe(r, 40, " where ", condition(r, a))};
}

Statement union_to_union_all(Random& r) {
  const auto a = any_item(r, "a");
  const auto arm = [&](const std::string& alias) {
    Item item = r.chance(60) ? a : any_item(r, alias);
    item.alias = alias;
    const auto tag = any_column(r, item);
    const auto key = item.column(r.chance(75) ? item.table->columns.front() : any_column(r, item));
    if (tag.kind == 'o' || r.chance(40)) return "select " + key + ", " + r.pick({"'x'", "'y'", "'x'::text", "1", "2"}) + " from " + item.from() + maybe(r, 60, " where ", condition(r, item));
    return "select " + key + ", " + item.column(tag) + " from " + item.from() + " where " + item.column(tag) + " = " + literal(r, tag.kind) + maybe(r, 40, " and ", condition(r, item));
  };
  return {arm("a") + r.pick({" union ", " union ", " union ", " except ", " intersect "}) + arm("b")};
}

Statement date_range(Random& r) {
  const auto a = any_item(r, "a");
  const auto c = column_of_kind(r, a, "zzsd");
  if (!c) return around(r, a, condition(r, a));
  const auto x = a.column(*c);
  static const char* const years[] = {"2019", "2020", "2021", "2022", "1999"};
  const std::string year = years[r.below(5)];
  const auto two = [&](int n) { return std::string(n < 10 ? "0" : "") + std::to_string(n); };
  const auto day = "'" + year + "-" + two(1 + r.below(12)) + "-" + two(1 + r.below(29)) + "'";
  const auto op = r.pick({" = ", " = ", " < ", " > ", " <= ", " >= ", " <> "});
  const auto near = r.pick({day, "'2021-11-07'", "'2021-11-06'", "'2021-11-08'", "'2020-02-29'", "'2021-01-01'"});
  switch (r.below(5)) {
    case 0: return around(r, a, x + "::date" + op + near);
    case 1: return around(r, a, near + op + x + "::date");
    case 2: return around(r, a, "date_trunc('" + r.pick({"day", "month", "year", "week", "quarter", "hour", "decade"}) + "', " + x + ")" + op + r.pick({near, "'" + year + "-" + two(1 + r.below(12)) + "-01'"}));
    case 3: return around(r, a, r.pick({"extract(year from ", "date_part('year', "}) + x + ")" + op + r.pick({year, year + ".5", "-44"}));
    default: return around(r, a, x + "::date between " + near + " and " + r.pick({day, "'2021-11-07'", "'2022-02-01'"}));
  }
}

Statement lateral_group_by(Random& r) {
  const auto a = any_item(r, "a"), b = any_item(r, "b"), c = any_item(r, "c");
  const auto [x, y] = twins(r, a, b);
  const auto k = b.column(y);
  std::string sub = "select " + k + " as k, " + aggregate(r, b) + " as n from " + b.from() + maybe(r, 50, " where ", condition(r, b)) + " group by " + r.pick({k, k, "1", k + ", " + b.column(any_column(r, b)), "rollup(" + k + ")"}) + maybe(r, 25, " having ", "count(*) > 1");
  if (r.chance(25)) sub = "select distinct " + k + " as k, " + b.column(any_column(r, b)) + " as n from " + b.from() + maybe(r, 50, " where ", condition(r, b));
  const auto on = r.pick({"s.k = ", "s.k = ", "s.k = ", "s.k >= "}) + a.column(x);
  switch (r.below(4)) {
    case 0: return {"select " + a.key() + ", s.n from " + a.from() + ", (" + sub + ") s where " + on + maybe(r, 40, " and ", condition(r, a))};
    case 1: return {"select " + c.key() + ", " + a.key() + ", s.n from " + c.from() + r.pick({" left join ", " join "}) + a.from() + " on " + join_condition(r, c, a) + r.pick({" left join (", " join ("}) + sub + ") s on " + on};
    default: return {"select " + a.key() + ", s.k, s.n from " + a.from() + r.pick({" left join (", " join (", " join (", " full join ("}) + sub + ") s on " + on + maybe(r, 60, " where ", condition(r, a))};
  }
}

Statement cte_not_materialized(Random& r) {
  const auto a = any_item(r, "a"), b = any_item(r, "b");
  const auto x = a.column(*column_of_kind(r, a, "i")), y = a.column(any_column(r, a));
  const std::string cte = "with c as " + r.pick({"", "", "", "materialized "}) + "(select " + x + " as k, " + r.pick({y + " as v from " + a.from() + maybe(r, 60, " where ", condition(r, a)), "count(*) as v from " + a.from() + maybe(r, 60, " where ", condition(r, a)) + " group by " + x}) + ") ";
  return {cte + r.pick({"select p.k, q.v from c p join c q on p.k = q.k", "select * from c", "select * from c where k > (select min(k) from c)", "select k from c union all select k from c", "select k from c where k = " + literal(r, 'i'),
                        "select " + b.key() + " from " + b.from() + " where exists (select 1 from c where c.k = " + b.column(*column_of_kind(r, b, "i")) + ") and " + condition(r, b) + " and " + b.column(*column_of_kind(r, b, "i")) + " in (select k from c)"})};
}

Statement transitive_range(Random& r) {
  const auto a = any_item(r, "a"), b = any_item(r, "b");
  const auto [x, y] = twins(r, a, b);
  const auto side = r.chance(50) ? a.column(x) : b.column(y);
  const auto range = r.chance(25) ? side + " between " + literal(r, x.kind) + " and " + literal(r, x.kind) : r.chance(75) ? side + r.pick({" < ", " > ", " <= ", " >= ", " = "}) + literal(r, x.kind) : literal(r, x.kind) + " < " + side;
  return {"select " + r.pick({a.key() + ", " + b.key(), std::string("count(*)")}) + " from " + a.from() + r.pick({" join ", " join ", " join ", " left join "}) + b.from() + " on " + a.column(x) + " = " + b.column(y) + " where " + (x.kind == 'o' ? condition(r, a) : range) + maybe(r, 40, " and ", condition(r, a))};
}

Statement scalar_aggregates_to_filter(Random& r) {
  const auto a = any_item(r, "a");
  std::string sql = "select ";
  for (int i = 2 + r.below(2); i > 0; --i)
    sql += "(select " + aggregate(r, a) + " from " + a.from() + maybe(r, 80, " where ", condition(r, a, 1)) + ")" + (i > 1 ? ", " : "");
  return {sql};
}

Statement or_to_key_union(Random& r) {
  const auto a = any_item(r, "a"), b = any_item(r, "b");
  const auto [x, y] = twins(r, a, b);
  const auto same = a.column(x) + " = " + b.column(y);
  const auto either = r.pick({condition(r, a, 1) + " or " + condition(r, b, 1), condition(r, a, 1) + " or " + condition(r, b, 1), condition(r, a, 0) + " or " + condition(r, b, 0) + " or " + condition(r, a, 0),
                              same + " or (" + a.column(x) + " is null and " + b.column(y) + " is null)", same + " or " + join_condition(r, a, b)});
  const auto rest = maybe(r, 40, " and ", condition(r, a));
  const auto what = r.pick({a.key() + ", " + b.key(), "count(*)", "a.*", "*"});
  switch (r.below(4)) {
    case 0: return {"select " + what + " from " + a.from() + ", " + b.from() + " where (" + either + ")" + rest};
    case 1: return {"select " + what + " from " + a.from() + r.pick({" join ", " left join "}) + b.from() + " on (" + either + ")" + rest};
    case 2: {
      const auto c = any_item(r, "c");
      const auto [p, q] = twins(r, a, c);
      return around(r, a, "(" + condition(r, a, 0) + " or " + a.column(p) + " in (select " + c.column(q) + " from " + c.from() + maybe(r, 50, " where ", condition(r, c)) + "))");
    }
    default: return {"select " + what + " from " + a.from() + r.pick({" join ", " join ", " left join "}) + b.from() + " on " + same + " where (" + either + ")" + rest};
  }
}

Statement long_list_to_array(Random& r) {
  const auto a = any_item(r, "a");
  const auto c = column_of_kind(r, a, "iiinft");
  std::string list;
  const int count = r.chance(85) ? 100 + r.below(20) : 60 + r.below(40);
  const bool text = c->kind == 't';
  for (int i = 0; i < count; ++i) list += (i ? ", " : "") + (text ? "'" + std::to_string(r.below(99)) + "'" : std::to_string(r.below(400) - 3));
  list += r.pick({"", "", "", ", null", ", " + literal(r, c->kind), ", " + literal(r, c->kind), ", 1.5"});
  return around(r, a, a.column(*c) + r.pick({" in (", " in (", " not in ("}) + list + ")");
}

Statement shifted_column(Random& r) {
  const auto a = any_item(r, "a");
  const auto x = a.column(*column_of_kind(r, a, "iiin"));
  const auto k = r.pick({"1", "5", "-3", "30", "5000000000", "2147483000", "2.0", "0", "32767"}) ;
  const auto v = r.chance(50) ? std::to_string(r.below(40) - 5) : r.pick({"5000000000", "5000000002", "4999999999", "2147483001", "32768", "-4999999998"});
  const auto op = r.pick({" = ", " < ", " > ", " <= ", " >= ", " <> "});
  return around(r, a, r.pick({x + " + " + k, k + " + " + x, x + " - " + k, k + " - " + x, x + " * " + k}) + op + v);
}

}  // namespace

std::vector<Generator> wide_generators() {
  return {{"count_to_exists", count_to_exists},
          {"not_in_to_not_exists", not_in_to_not_exists},
          {"literal_cast", literal_cast},
          {"left_join_null_test", left_join_null_test},
          {"coalesce_equals", coalesce_equals},
          {"keyset_row_comparison", keyset_row_comparison},
          {"correlated_in_to_exists", correlated_in_to_exists},
          {"grouped_in_to_exists", grouped_in_to_exists},
          {"key_in_same_table", key_in_same_table},
          {"useless_order_by", useless_order_by},
          {"count_not_null", count_not_null},
          {"distinct_over_key", distinct_over_key},
          {"unused_left_join", unused_left_join},
          {"foreign_key_join", foreign_key_join},
          {"union_to_union_all", union_to_union_all},
          {"date_range", date_range},
          {"lateral_group_by", lateral_group_by},
          {"cte_not_materialized", cte_not_materialized},
          {"or_to_key_union", or_to_key_union},
          {"distinct_join_to_exists", distinct_join_to_exists},
          {"self_join_on_key", self_join_on_key},
          {"transitive_range", transitive_range},
          {"shifted_column", shifted_column},
          {"long_list_to_array", long_list_to_array},
          {"scalar_aggregates_to_filter", scalar_aggregates_to_filter}};
}

}  // namespace pgsteer::test
