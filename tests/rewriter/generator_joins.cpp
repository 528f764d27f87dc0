#include "tests/rewriter/generator_wide.hpp"

// Wide generators of the rules that turn set operations, LIMIT, windows and scalar subqueries into joins.
namespace pgsteer::test {
namespace {

AnyColumn of_kind_or_any(Random& r, const Item& item, char kind) {
  const auto found = column_of_kind(r, item, std::string(1, kind));
  return found ? *found : any_column(r, item);
}

Statement except_to_anti_join(Random& r) {
  const auto a = any_item(r, "a");
  Item b = r.chance(60) ? a : any_item(r, "b");
  const auto x = r.chance(70) ? a.table->columns.front() : any_column(r, a);
  const auto y = any_column(r, a);
  const bool two = r.chance(40);
  const auto u = b.table == a.table && r.chance(70) ? x : of_kind_or_any(r, b, x.kind);
  const auto v = b.table == a.table ? y : of_kind_or_any(r, b, y.kind);
  std::string sql = "select " + a.column(x) + (two ? ", " + a.column(y) : "") + " from " + a.from() + maybe(r, 60, " where ", condition(r, a)) +
                    r.pick({" except ", " except ", " intersect ", " intersect ", " except all ", " intersect all "}) + "select " + maybe(r, 10, "", "distinct ") +
                    b.column(u) + (two ? ", " + b.column(v) : "") + " from " + b.from() + maybe(r, 70, " where ", condition(r, b));
  if (r.chance(20)) return {"select count(*) from (" + sql + ") s"};
  if (r.chance(20)) return {sql + " order by 1" + (two ? ", 2" : "") + maybe(r, 50, " limit ", "3"), true};
  return {sql};
}

Statement limit_before_left_join(Random& r) {
  const auto a = any_item(r, "a"), b = any_item(r, "b"), c = any_item(r, "c");
  const auto x = *column_of_kind(r, a, "i");
  const auto on = r.chance(70) ? b.column(b.table->columns.front()) + " = " + a.column(x) : join_condition(r, a, b);
  const auto order = r.pick({a.key(), a.column(any_column(r, a)) + " desc, " + a.key(), a.column(any_column(r, a)) + " nulls first, " + a.key(), a.column(any_column(r, a)), b.column(any_column(r, b)) + ", " + a.key()});
  const auto what = r.pick({a.key() + ", " + b.column(any_column(r, b)), "a.*, " + b.column(any_column(r, b)), "*", b.column(any_column(r, b)) + " as x, " + a.key()});
  return {"select " + what + " from " + a.from() + r.pick({" left join ", " left join ", " left join ", " join "}) + b.from() + " on " + on + maybe(r, 20, " and ", condition(r, b, 0)) +
              maybe(r, 30, " left join ", c.from() + " on " + c.column(c.table->columns.front()) + " = " + (r.chance(50) ? a : b).alias + "." + column_of_kind(r, r.chance(50) ? a : a, "i")->name) +
              maybe(r, 60, " where ", condition(r, r.chance(90) ? a : b)) + " order by " + order + " limit " + std::to_string(r.below(6)) + maybe(r, 30, " offset ", std::to_string(r.below(3))),
          false};
}

Statement limit_into_union_all(Random& r) {
  const auto arm = [&](const std::string& alias, char kind) {
    const auto a = any_item(r, alias), b = any_item(r, alias + "b");
    const auto x = a.column(a.table->columns.front()), y = r.chance(30) ? literal(r, kind) : a.column(of_kind_or_any(r, a, kind));
    return "select " + std::string(r.chance(15) ? "distinct " : "") + x + " as x, " + y + " as y from " + a.from() + maybe(r, 40, " join ", b.from() + " on " + join_condition(r, a, b)) + maybe(r, 60, " where ", condition(r, a));
  };
  const char kind = "iitnd"[r.below(5)];
  return {arm("a", kind) + r.pick({" union all ", " union all ", " union all ", " union "}) + arm("c", kind) + maybe(r, 20, " union all ", arm("e", kind)) + " order by " + r.pick({"1, 2", "1 desc, 2", "y, x", "2 desc nulls last, x", "1"}) +
              " limit " + std::to_string(r.below(6)) + maybe(r, 30, " offset ", std::to_string(r.below(4))),
          true};
}

Statement lateral_union(Random& r) {
  const auto a = any_item(r, "a"), b = any_item(r, "b"), c = any_item(r, "c"), d = any_item(r, "d");
  const auto x = any_column(r, a);
  const auto arm = [&](const Item& item) {
    return "select " + item.column(of_kind_or_any(r, item, x.kind)) + " as k, " + item.column(of_kind_or_any(r, item, 'i')) + " as v from " + item.from() + maybe(r, 50, " where ", condition(r, item));
  };
  const auto sub = arm(b) + r.pick({" union ", " union ", " union all ", " except ", " intersect "}) + arm(c) + maybe(r, 25, r.pick({" union ", " union all "}), arm(d)) + maybe(r, 6, " ", "limit 2");
  const auto on = r.pick({"s.k = ", "s.k = ", "s.k = ", "s.k >= "}) + a.column(x);
  if (r.chance(30)) return {"select " + a.key() + ", s.v from " + a.from() + ", (" + sub + ") s where " + on + maybe(r, 50, " and ", condition(r, a))};
  return {"select " + a.key() + ", s.k, s.v from " + a.from() + r.pick({" left join (", " join (", " join ("}) + sub + ") s on " + on + maybe(r, 60, " where ", condition(r, a))};
}

Statement lateral_window(Random& r) {
  const auto a = any_item(r, "a"), b = any_item(r, "b");
  const auto x = any_column(r, a);
  const auto k = b.column(of_kind_or_any(r, b, x.kind));
  const auto other = b.column(any_column(r, b));
  const auto over = [&] {
    return " over (" + r.pick({"partition by " + k, "partition by " + k, "partition by " + k + ", " + other, "partition by " + other, ""}) + " order by " + r.pick({other + ", " + b.key(), b.key(), other}) + r.pick({"", " desc"}) + ")";
  };
  const auto sub = "select " + k + " as k, " + other + " as v, " + r.pick({"row_number()", "row_number()", "rank()", "dense_rank()", "count(*)"}) + over() + " as n" + maybe(r, 15, ", rank()", over() + " as m") + " from " + b.from() + maybe(r, 50, " where ", condition(r, b)) + maybe(r, 5, " ", "limit 3");
  const auto on = r.pick({"s.k = ", "s.k = ", "s.k = ", "s.k <= "}) + a.column(x);
  const auto few = r.pick({"s.n <= 2", "s.n = 1", "s.n > 1", "s.v is not null"});
  if (r.chance(30)) return {"select " + a.key() + ", s.v, s.n from " + a.from() + ", (" + sub + ") s where " + on + " and " + few + maybe(r, 50, " and ", condition(r, a))};
  return {"select " + a.key() + ", s.k, s.n from " + a.from() + r.pick({" left join (", " join (", " join ("}) + sub + ") s on " + on + maybe(r, 40, " and ", few) + maybe(r, 60, " where ", condition(r, a))};
}

Statement scalar_lookup_to_join(Random& r) {
  const auto a = any_item(r, "a"), b = any_item(r, "b");
  const auto key = r.chance(75) ? b.table->columns.front() : any_column(r, b);
  const auto x = of_kind_or_any(r, a, key.kind);
  const auto two = b.table->name == "pairs" && r.chance(70) ? " and b.y = " + a.column(*column_of_kind(r, a, "i")) : "";
  const auto look = "(select " + b.column(any_column(r, b)) + " from " + b.from() + " where " + b.column(key) + " = " + a.column(x) + two + maybe(r, 20, " and ", condition(r, b, 0)) + maybe(r, 4, " ", "limit 1") + ")";
  return {"select " + r.pick({a.key(), std::string("a.*")}) + ", " + look + maybe(r, 40, " as ", "z") + " from " + a.from() + maybe(r, 60, " where ", condition(r, a)) + maybe(r, 10, " group by ", a.key())};
}

Statement scalar_aggregate_to_join(Random& r) {
  const auto a = any_item(r, "a"), b = any_item(r, "b"), c = any_item(r, "c");
  const auto k = r.chance(60) ? *column_of_kind(r, b, "i") : any_column(r, b);
  const auto x = of_kind_or_any(r, a, k.kind);
  const auto n = of_kind_or_any(r, b, "in"[r.below(2)]);
  const auto call = n.kind == 'i' || n.kind == 'n' ? r.pick({"max(", "min(", "sum(", "avg(", "count("}) + b.column(n) + ")" : std::string("count(*)");
  const auto sub = "(select " + r.pick({call, call, std::string("count(*)")}) + " from " + b.from() + " where " + b.column(k) + r.pick({" = ", " = ", " = ", " = ", " < "}) + a.column(x) + maybe(r, 50, " and ", condition(r, b, 1)) + maybe(r, 6, " ", r.pick({"limit 0", "having count(*) > 1"})) + ")";
  const auto predicate = r.pick({sub + " > 1", sub + " is null", sub + " = 0", "coalesce(" + sub + ", 0) < 3", a.column(*column_of_kind(r, a, "i")) + " >= " + sub});
  const auto from = r.chance(70) ? a.from() : c.from() + r.pick({" left join ", " join "}) + a.from() + " on " + join_condition(r, c, a);
  switch (r.below(4)) {
    case 0: return {"select " + a.key() + ", " + sub + maybe(r, 40, " as ", "z") + " from " + from + maybe(r, 60, " where ", condition(r, a, 1))};
    case 1: return {"select count(*) from " + from + " where " + predicate + maybe(r, 60, " and ", condition(r, a, 1))};
    case 2: return {"select " + r.pick({std::string("*"), a.key()}) + " from " + from + " where " + predicate + r.pick({" or ", " and "}) + condition(r, a, 1)};
    default: return {"select " + a.key() + " from " + from + " where " + predicate + maybe(r, 70, " and ", condition(r, a, 1))};
  }
}

}  // namespace

std::vector<Generator> join_generators() {
  return {{"except_to_anti_join", except_to_anti_join},   {"limit_before_left_join", limit_before_left_join},
          {"limit_into_union_all", limit_into_union_all}, {"lateral_union", lateral_union},
          {"lateral_window", lateral_window},             {"scalar_lookup_to_join", scalar_lookup_to_join},
          {"scalar_aggregate_to_join", scalar_aggregate_to_join}};
}

}  // namespace pgsteer::test
