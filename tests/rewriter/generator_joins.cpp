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

/// Inner joins on foreign keys, and what is almost one.
Statement limit_before_foreign_key_join(Random& r) {
  struct Way {
    std::string from, first, other;
  };
  const std::vector<Way> ways{{"orders a join customers b on b.id = a.customer_id", "orders", "customers"}, {"orders a join customers b on a.customer_id = b.id", "orders", "customers"},
                              {"orders a join customers b on a.customer_id = b.id left join orders c on c.id = a.parent_id", "orders", "customers"}, {"items a join orders b on b.id = a.order_id join customers c on c.id = b.customer_id", "items", "orders"},
                              {"orders a left join orders c on c.id = a.parent_id join customers b on b.id = c.customer_id", "orders", "customers"}, {"orders a join customers b on a.customer_id = b.id and b.region > 1", "orders", "customers"},
                              {"orders a join customers b on a.customer_id = b.region", "orders", "customers"}, {"orders a join customers b on a.parent_id = b.id", "orders", "customers"}, {"weak a join customers b on a.customer_id = b.id", "weak", "customers"},
                              {"kids a join customers b on a.c = b.id", "kids", "customers"}, {"kids a join customers b on a.late = b.id", "kids", "customers"}, {"kids a join kids b on b.id = a.own", "kids", "kids"}, {"kids a join kids b on b.id = a.own join kids c on c.id = b.own", "kids", "kids"}, {"refs a join customers b on b.id = a.c", "refs", "customers"},
                              {"customers a join orders b on a.id = b.customer_id", "customers", "orders"}, {"orders a join customers b on a.customer_id <> b.id", "orders", "customers"}};
  const auto& way = ways[static_cast<std::size_t>(r.below(r.chance(35) ? 4 : static_cast<int>(ways.size())))];
  Item a{nullptr, "a"}, b{nullptr, "b"};
  for (const auto& table : all_tables()) {
    if (way.first == table.name) a.table = &table;
    if (way.other == table.name) b.table = &table;
  }
  const auto order = r.pick({a.column(a.table->columns.front()), a.column(any_column(r, a)) + " desc, " + a.column(a.table->columns.front()), a.column(any_column(r, a)) + " nulls first, " + a.column(a.table->columns.front()),
                             b.column(any_column(r, b)) + ", " + a.column(a.table->columns.front())});
  return {"select " + r.pick({a.column(a.table->columns.front()) + ", " + b.column(any_column(r, b)), std::string("a.*, ") + b.column(any_column(r, b)), b.column(any_column(r, b)) + " as x, " + a.column(a.table->columns.front())}) +
              " from " + way.from + maybe(r, 60, " where ", condition(r, r.chance(88) ? a : b)) + " order by " + order + " limit " + std::to_string(r.below(6)) + maybe(r, 30, " offset ", std::to_string(r.below(3))),
          true};
}

Statement foreign_key_in(Random& r) {
  struct Way {
    std::string table, column, parent, key;
  };
  const std::vector<Way> ways{{"orders", "customer_id", "customers", "id"}, {"items", "order_id", "orders", "id"}, {"kids", "own", "kids", "id"}, {"orders", "parent_id", "orders", "id"}, {"orders", "customer_id", "customers", "region"},
                              {"weak", "customer_id", "customers", "id"}, {"kids", "c", "customers", "id"}, {"kids", "late", "customers", "id"}, {"refs", "c", "customers", "id"}};
  const auto& way = ways[static_cast<std::size_t>(r.below(r.chance(60) ? 3 : static_cast<int>(ways.size())))];
  Item a{nullptr, "a"}, b{nullptr, "p"};
  for (const auto& table : all_tables()) {
    if (way.table == table.name) a.table = &table;
    if (way.parent == table.name) b.table = &table;
  }
  const auto x = "a." + way.column, k = "p." + way.key;
  const auto more = maybe(r, 15, r.chance(60) ? " and " : " or ", condition(r, b, 1));
  const auto inner = r.chance(50) ? "select " + maybe(r, 20, "", "distinct ") + k + " from " + way.parent + " p" + maybe(r, 12, " where ", condition(r, b, 1)) + maybe(r, 5, " order by ", k + " limit 1") : std::string();
  const auto predicate = !inner.empty() ? x + r.pick({" in (", " in (", " in (", " not in (", " > any ("}) + inner + ")"
                                        : r.pick({"exists (", "exists (", "not exists ("}) + "select 1 from " + way.parent + " p where " + (r.chance(50) ? k + " = " + x : x + r.pick({" = ", " = ", " > ", " <> "}) + k) + more + ")";
  const auto other = r.pick({condition(r, a), x + " is null", condition(r, a)}), key = a.column(a.table->columns.front());
  if (r.chance(20)) return {"select p2.id, " + key + " from products p2 left join " + a.from() + " on " + key + " = p2.id where " + predicate};
  switch (r.below(6)) {
    case 0: return {"select " + key + ", " + predicate + " as q from " + a.from()};
    case 1: return {"select " + key + " from " + a.from() + " where not (" + predicate + ")"};
    case 2: return {"select " + key + " from " + a.from() + " where " + predicate + " or " + other};
    case 3: return {"select count(*) from " + a.from() + " where (" + predicate + ") is not true"};
    default: return {"select " + key + " from " + a.from() + " where " + predicate + " and " + other};
  }
}

Statement loose_index_scan(Random& r) {
  const auto a = any_item(r, "a");
  const auto c = any_column(r, a);
  const auto from = r.pick({a.from(), a.table->name});
  const auto x = from == a.table->name ? r.pick({c.name, a.table->name + "." + c.name}) : r.pick({a.column(c), c.name});
  const auto tail = maybe(r, 8, " where ", r.chance(50) ? x + " is not null" : "true");
  switch (r.below(6)) {
    case 0: case 1: case 2: {
      const bool ordered = r.chance(60);
      return {"select distinct " + x + maybe(r, 30, " as ", "z") + (ordered ? "" : maybe(r, 8, ", ", a.table->columns.front().name)) + " from " + from + tail + (ordered ? " order by " + r.pick({std::string("1"), x}) + r.pick({"", " desc", " nulls first"}) : "") + (ordered && r.chance(40) ? " limit " + std::to_string(r.below(4)) : ""), ordered};
    }
    case 3: return {"select s.z, b.name from customers b join (select distinct " + x + " as z from " + from + tail + ") s on s.z" + r.pick({" = b.id", " is not null"})};
    default: return {"select count(distinct " + x + ")" + r.pick({"", " as n", " filter (where " + x + " is not null)"}) + maybe(r, 5, ", ", "count(*)") + " from " + from + tail};
  }
}

}  // namespace

std::vector<Generator> join_generators() {
  return {{"limit_before_foreign_key_join", limit_before_foreign_key_join}, {"foreign_key_in", foreign_key_in}, {"loose_index_scan", loose_index_scan},
          {"except_to_anti_join", except_to_anti_join},   {"limit_before_left_join", limit_before_left_join},
          {"limit_into_union_all", limit_into_union_all}, {"lateral_union", lateral_union},
          {"lateral_window", lateral_window},             {"scalar_lookup_to_join", scalar_lookup_to_join},
          {"scalar_aggregate_to_join", scalar_aggregate_to_join}};
}

}  // namespace pgsteer::test
