#include "tests/rewriter/generator_parts.hpp"

namespace pgsteer::test {

std::string on_orders(Random& r) {
  return r.pick({"o.status = 'new'", "o.flag", "not o.flag", "o.note is null", "o.total > 0", "o.id > 3",
                 "o.parent_id in (1, 2, 3)", "(o.flag or o.note = 'a')", "o.customer_id <> 2", "o.shipped < '2021-01-01'",
                 "exists (select 1 from items i9 where i9.order_id = o.id)", "lower(o.status) = 'new'"});
}
std::string on_customers(Random& r) {
  return r.pick({"c.region = 1", "c.region is null", "c.name = 'a'", "c.id > 1", "c.email is not null", "c.city = 'b'",
                 "coalesce(c.region, 0) = 5", "not (c.region > 2)", "(c.region = 1 or c.name = 'b')"});
}
std::string and_maybe(Random& r, std::string condition) { return r.chance(40) ? " and " + std::move(condition) : ""; }
std::string where_maybe(Random& r, std::string condition) {
  return r.chance(60) ? " where " + std::move(condition) : "";
}

Statement placed(Random& r, const std::string& predicate, const std::string& from, const std::string& key,
                 const std::string& other) {
  switch (r.below(8)) {
    case 0: return {"select " + key + ", " + predicate + " as p from " + from};
    case 1: return {"select " + key + " from " + from + " where not (" + predicate + ")"};
    case 2: return {"select " + key + " from " + from + " where " + predicate + " or " + other};
    case 3: return {"select count(*) from " + from + " where " + predicate + " and " + other};
    case 4: return {"select * from " + from + " where " + predicate + " order by " + key, true};
    case 5: return {"select " + key + " from " + from + " where (" + predicate + ")" + r.pick({" is not true", " is not true", " is unknown", " is false", " is not false"})};
    case 6:
      return {"select " + key + " from " + from + " where " + predicate + " and " + other + " order by " + key + " limit " +
                  std::to_string(r.below(4)), true};
    default: return {"select * from " + from + " where " + predicate};
  }
}

namespace {

Statement count_to_exists(Random& r) {
  const auto what = r.pick({"*", "*", "*", "o.id", "1", "o.total", "distinct o.id", "o.note"});
  const auto compare = r.pick({"> 0", ">= 1", "<> 0", "= 0", "< 1", "<= 0", "> 1", "= 1", "< 0", "!= 0"});
  const auto tail = r.chance(15) ? r.pick({" group by o.status", " having count(*) > 1", " limit 1", " limit 0",
                                           " order by count(*)", " offset 1"})
                                 : "";
  if (r.chance(20))
    return {"select count(" + what + ") " + compare + r.pick({"", " as any"}) + " from orders o" +
            where_maybe(r, on_orders(r)) + tail};
  const auto correlated = r.pick({"o.customer_id = c.id", "o.customer_id = c.id", "o.parent_id = c.region", "true"});
  const std::string count = "(select count(" + what + ") from orders o where " + correlated + and_maybe(r, on_orders(r)) +
                            tail + ")";
  std::string predicate = count + " " + compare;
  if (r.chance(20)) predicate = r.pick({"0 < ", "1 <= ", "0 = ", "0 >= ", "1 > ", "0 <> "}) + count;
  return placed(r, predicate, "customers c", "c.id", on_customers(r));
}

Statement not_in_to_not_exists(Random& r) {
  const auto x = r.pick({"c.id", "c.id", "c.id", "c.region", "c.name", "id"});
  const auto inner = r.pick({"select o.customer_id from orders o", "select o.customer_id from orders o",
                             "select distinct o.customer_id from orders o", "select o.parent_id from orders o",
                             "select o.id from orders o", "select ref from empty_table o", "select o.status from orders o",
                             "select customer_id from weak o", "select o.legs from animals o",
                             "select c.id from customers c", "select o.region from parts o",
                             "select o.customer_id from items i left join orders o on o.id = i.order_id",
                             "select i.order_id from orders o join items i on i.order_id = o.id"});
  const bool orders = inner.find("orders o") != std::string::npos;
  const auto not_in = r.chance(80) ? " not in (" : " <> all (";
  const std::string predicate = x + not_in + inner + (orders ? where_maybe(r, on_orders(r)) : "") + ")";
  if (r.chance(15))
    return {"select c.id from orders p left join customers c on c.id = p.parent_id where " + predicate};
  return placed(r, predicate, "customers c", "c.id", on_customers(r));
}

Statement literal_cast(Random& r) {
  const auto column = r.pick({"o.id", "o.customer_id", "o.parent_id"});
  std::string predicate;
  switch (r.below(5)) {
    case 0:
      predicate = column + r.pick({"::text = ", "::text <> ", "::varchar = ", "::text < "}) +
                  r.pick({"'5'", "'0'", "'05'", "'+1'", "'-1'", "'9007199254740993'", "'x'", "''", "' 1'", "'2'", "'-0'"});
      break;
    case 1:
      predicate = column + r.pick({"::text in ", "::text not in "}) + r.pick({"('1', '2')", "('1', '02')", "('3')",
                                                                             "('1', null)", "('0', '9', '4')"});
      break;
    case 2:
      predicate = column + " " + r.pick({"=", "<", ">", "<=", ">=", "<>"}) + " " +
                  r.pick({"5.0", "2.5", "0.0", "1.000", "3.99", "0.5", "99999999999999999999.0", ".5", "2."});
      break;
    case 3:
      predicate = r.pick({"5::float8", "1::float8", "2.5", "3.0", "9007199254740992::float8", "2::float8"}) + " " +
                  r.pick({"=", "=", "<", ">"}) + " " + column;
      break;
    default: predicate = r.pick({"'1'", "'3'", "'07'"}) + " = " + column + "::text";
  }
  return placed(r, predicate, "orders o", "o.id", on_orders(r));
}

Statement left_join_null_test(Random& r) {
  const auto join = r.pick({"left join", "left join", "left join", "full join", "right join", "join"});
  const auto on = r.pick({"o.customer_id = c.id", "c.id = o.customer_id", "o.parent_id = c.region",
                          "o.customer_id = c.id and o.flag", "o.customer_id > c.id", "o.parent_id is not distinct from c.region",
                          "o.customer_id = c.id or o.flag", "o.note = c.name"});
  const auto test = r.pick({"o.id is null", "o.id is null", "o.status is null", "o.note is null", "o.customer_id is null",
                            "c.id is null", "o.id is not null", "o.parent_id is null"});
  const std::string from = "customers c " + join + " orders o on " + on;
  std::string sql = "select c.id, c.name from " + from + " where " + test;
  if (r.chance(40)) sql += r.pick({" and ", " or "}) + on_customers(r);
  if (r.chance(20)) sql = "select count(*) from " + from + " where " + test;
  if (r.chance(20))
    sql = "select c.id, o.id from items i left join (customers c " + join + " orders o on " + on +
          ") on i.product_id = c.id where " + test;
  return {sql};
}

Statement coalesce_equals(Random& r) {
  std::string predicate;
  const auto both = [&](const std::string& call, const std::string& value) {
    return r.chance(75) ? call + " = " + value : value + " = " + call;
  };
  switch (r.below(5)) {
    case 0:
      predicate = both("coalesce(" + r.pick({"o.parent_id", "o.id", "o.customer_id"}) + ", " + r.pick({"0", "1", "2"}) + ")",
                       r.pick({"0", "1", "2", "5"}));
      break;
    case 1: predicate = both("coalesce(o.note, " + r.pick({"''", "'a'"}) + ")", r.pick({"''", "'a'", "'b'", "'A'"})); break;
    case 2:
      predicate = both("case when " + on_orders(r) + " then " + r.pick({"1", "0"}) + " else " + r.pick({"0", "1", "2"}) +
                       " end", r.pick({"1", "0"}));
      break;
    case 3: predicate = both("coalesce(o.total, 1.0)", r.pick({"1.00", "0"})); break;
    default: predicate = "coalesce(o.parent_id, 1) " + r.pick({"<>", "=", ">"}) + " " + r.pick({"1", "2"});
  }
  return placed(r, predicate, "orders o", "o.id", on_orders(r));
}

Statement keyset_row_comparison(Random& r) {
  struct Pair {
    std::string column, value;
  };
  const auto pair = [&] {
    switch (r.below(7)) {
      case 0: return Pair{"o.created_at", r.pick({"'2021-01-01'", "'2021-11-07 00:30:00-05'", "'infinity'"})};
      case 1: return Pair{"o.parent_id", r.pick({"1", "5", "3"})};
      case 2: return Pair{"o.note", r.pick({"'a'", "'A'", "''"})};
      case 3: return Pair{"o.total", r.pick({"1.00", "0.0"})};
      case 4: return Pair{"o.shipped", "'2021-01-01'"};
      case 5: return Pair{"o.customer_id", r.pick({"1", "2"})};
      default: return Pair{"o.id", r.pick({"3", "8"})};
    }
  };
  const Pair a = pair(), b = pair(), c = pair();
  const auto op = r.pick({"<", ">"});
  const auto other = r.chance(85) ? op : r.pick({"<", ">"});
  const auto last = other + r.pick({"", "", "="});
  const auto strict = r.chance(90) ? op : op + "=";
  const auto a2 = r.chance(92) ? a : pair();
  const std::string equal = r.chance(90) ? a.column + " = " + a2.value : a2.value + " = " + a.column;
  std::string predicate;
  switch (r.below(3)) {
    case 0:
      predicate = a.column + " " + strict + " " + a.value + " or (" + equal + " and " + b.column + " " + last + " " + b.value + ")";
      break;
    case 1:
      predicate = a.column + " " + strict + " " + a.value + " or (" + equal + " and (" + b.column + " " + other + " " + b.value +
                  " or (" + b.column + " = " + b.value + " and " + c.column + " " + last + " " + c.value + ")))";
      break;
    default:
      predicate = a.column + " " + strict + " " + a.value + " or (" + equal + " and " + b.column + " " + other + " " + b.value +
                  ") or (" + equal + " and " + b.column + " = " + b.value + " and " + c.column + " " + last + " " + c.value + ")";
  }
  return placed(r, "(" + predicate + ")", "orders o", "o.id", on_orders(r));
}

Statement correlated_in_to_exists(Random& r) {
  const auto x = r.pick({"c.id", "c.region", "c.id", "id", "c.name"});
  const auto y = r.pick({"o.customer_id", "o.parent_id", "o.id", "o.status", "max(o.customer_id)"});
  const auto link = r.pick({"o.customer_id = c.id", "o.parent_id = c.region", "o.note = c.name", "o.flag"});
  const auto tail = r.chance(10) ? r.pick({" order by o.id", " order by o.id limit 1", " group by o.customer_id"}) : "";
  const std::string predicate = x + r.pick({" in (", " in (", " in (", " not in ("}) + r.pick({"select ", "select distinct "}) + y +
                                " from " + r.pick({"orders o", "orders o", "orders c"}) + " where " + link +
                                and_maybe(r, on_orders(r)) + tail + ")";
  return placed(r, predicate, "customers c", "c.id", on_customers(r));
}

Statement grouped_in_to_exists(Random& r) {
  const auto x = r.pick({"c.id", "c.region", "c.id", "c.name"});
  const auto key = r.pick({"o.customer_id", "o.parent_id", "o.customer_id", "o.status"});
  const auto group = r.chance(70) ? key : r.pick({"o.customer_id, o.status", "o.parent_id, o.customer_id", "1", "o.flag"});
  const auto having = r.pick({" having count(*) > 1", " having max(o.id) > 3", " having bool_and(o.flag)",
                              " having count(o.note) = 0", " having min(o.total) < 2", ""});
  const std::string predicate = x + r.pick({" in (", " in (", " in (", " not in ("}) + "select " + key + " from orders o" +
                                where_maybe(r, on_orders(r)) + " group by " + group + having + ")";
  return placed(r, predicate, "customers c", "c.id", on_customers(r));
}

Statement key_in_same_table(Random& r) {
  const auto key = r.pick({"id", "id", "id", "id", "customer_id", "parent_id"});
  const auto inner = r.pick({"orders o", "orders o", "orders o", "orders", "customers o", "items o"});
  const bool named = inner == "orders o";
  const std::string predicate = "t." + key + r.pick({" in (", " in (", " not in ("}) + "select " + key + " from " + inner +
                                (named ? where_maybe(r, on_orders(r)) : "") +
                                (r.chance(8) ? " order by id limit 1" : "") + ")";
  if (r.chance(20)) return {"select c.id from customers c left join orders t on t.customer_id = c.id where " + predicate};
  return placed(r, predicate, "orders t", "t.id", r.pick({"t.flag", "t.note = 'a'", "t.total is null"}));
}

Statement useless_order_by(Random& r) {
  const auto order = " order by " + r.pick({"o.note", "o.id desc", "o.status, o.id", "o.total", "2"});
  const auto tail = r.chance(15) ? r.pick({" limit 2", " offset 1"}) : "";
  const std::string inner = "select o.id, o.customer_id, o.status from orders o" + where_maybe(r, on_orders(r)) + order + tail;
  switch (r.below(5)) {
    case 0: return {"select count(*), min(s.id) from (" + inner + ") s"};
    case 1:
      return placed(r, "c.id in (select o.customer_id from orders o" + where_maybe(r, on_orders(r)) + " order by o.customer_id)",
                    "customers c", "c.id", on_customers(r));
    case 2: return {"select s.id from (" + inner + ") s"};
    case 3: return {"select s.id, s.status from (" + inner + ") s order by s.id, s.status, s.customer_id", true};
    default:
      return placed(r, "exists (select 1 from orders o where o.customer_id = c.id order by o.note)", "customers c", "c.id",
                    on_customers(r));
  }
}

Statement count_not_null(Random& r) {
  const auto what = r.pick({"o.id", "o.customer_id", "o.status", "o.note", "o.parent_id", "distinct o.id", "c.id", "c.region"});
  const auto from = r.pick({"orders o join customers c on c.id = o.customer_id", "customers c left join orders o on o.customer_id = c.id",
                            "orders o left join customers c on c.id = o.parent_id", "orders o cross join customers c",
                            "orders o full join customers c on c.id = o.parent_id"});
  const auto filter = r.chance(25) ? " filter (where " + on_orders(r) + ")" : "";
  if (r.chance(50)) return {"select count(" + what + ")" + filter + " from " + from + where_maybe(r, on_orders(r))};
  return {"select o.flag, count(" + what + ")" + filter + ", count(*) from " + from + where_maybe(r, on_orders(r)) +
          " group by o.flag" + r.pick({"", " having count(o.id) > 1", " having count(c.id) > 0"})};
}

Statement distinct_over_key(Random& r) {
  const auto from = r.pick({"orders o", "orders o join customers c on c.id = o.customer_id",
                            "orders o left join customers c on c.id = o.customer_id",
                            "customers c join orders o on o.customer_id = c.id", "customers c left join orders o on o.customer_id = c.id",
                            "orders o full join customers c on c.id = o.parent_id",
                            "items i join orders o on o.id = i.order_id", "orders o, products p",
                            "orders o left join orders p on p.id = o.parent_id"});
  if (r.chance(25))
    return {"select distinct " + r.pick({"o.status, count(*)", "count(*)", "o.status", "o.status, o.flag, max(o.id)"}) + " from orders o" +
            where_maybe(r, on_orders(r)) + " group by " + r.pick({"o.status", "o.status, o.flag"})};
  if (r.chance(20))
    return {"select distinct " + r.pick({"*", "id", "region, id", "v", "region"}) + " from " + r.pick({"parts", "parts where region = 1", "parts where id = 2"})};
  if (r.chance(12)) return {"select distinct " + r.pick({"id, legs from animals", "* from bare", "id from late", "order_id, qty from items", "qty from items where order_id = 1", "email from customers"})};
  const auto columns = r.pick({"o.id", "o.id, o.status", "o.customer_id", "o.id, o.note", "o.note, o.flag", "o.*"});
  return {"select distinct " + columns + " from " + from + where_maybe(r, on_orders(r))};
}

Statement unused_left_join(Random& r) {
  const auto what = r.pick({"distinct c.region", "distinct c.id, c.name", "count(distinct c.id)", "count(distinct c.region), max(c.id)", "count(*)",
                            "distinct c.region, o.flag", "count(distinct c.name), sum(c.id)", "c.name", "min(c.name)"});
  const auto join = r.pick({"left join", "left join", "left join", "join", "full join"});
  const auto on = r.pick({"o.customer_id = c.id", "o.parent_id = c.region", "o.customer_id = c.id and o.flag", "true", "o.note = c.name or o.flag"});
  std::string sql = "select " + what + " from customers c " + join + " orders o on " + on;
  if (r.chance(25)) sql += " left join items i on i.order_id = " + r.pick({"o.id", "c.id"});
  if (r.chance(40)) sql += " where " + (r.chance(75) ? on_customers(r) : on_orders(r));
  if (r.chance(15) && what.find("(") == std::string::npos) sql += " group by " + r.pick({"c.region", "c.region, o.flag", "c.id, c.name"});
  return {sql};
}

Statement foreign_key_join(Random& r) {
  const auto what = r.pick({"count(*)", "o.id", "o.status, o.note", "max(o.id)", "*", "o.*"});
  const auto extra = where_maybe(r, r.chance(80) ? on_orders(r) : "c.name = 'a'");
  switch (r.below(6)) {
    case 0: return {"select " + what + " from orders o join customers c on " + r.pick({"o.customer_id = c.id", "c.id = o.customer_id", "o.parent_id = c.id"}) + extra};
    case 1: return {"select " + what + " from orders o, customers c where c.id = o.customer_id and " + on_orders(r)};
    case 2: return {"select i.id, i.qty from items i join orders o on o.id = i.order_id join customers c on c.id = o.customer_id" + where_maybe(r, "i.qty > 5")};
    case 3: return {"select w.id from weak w join customers c on c.id = w.customer_id"};
    case 4: return {"select p.id from products p " + r.pick({"left join", "join"}) + " (orders o join customers c on o.customer_id = c.id) on p.id = o.id"};
    default: return {"select p.id, o.id from products p " + r.pick({"left join", "join"}) + " orders o on p.id = o.id join customers c on o.customer_id = c.id" + extra};
  }
}

Statement union_to_union_all(Random& r) {
  const auto arm = [&] {
    switch (r.below(6)) {
      case 0: return "select o.id, o.status from orders o where o.status = " + r.pick({"'a'", "'new'"}) + and_maybe(r, on_orders(r));
      case 1: return "select o.id, " + r.pick({"'x'", "'y'"}) + " from orders o" + where_maybe(r, on_orders(r));
      case 2: return "select c.id, " + r.pick({"'x'", "'y'"}) + " from customers c" + where_maybe(r, on_customers(r));
      case 3: return "select o.customer_id, " + r.pick({"'x'", "'y'"}) + " from orders o" + where_maybe(r, on_orders(r));
      case 4: return "select c.id, c.name from customers c where c.name = " + r.pick({"'a'", "'A'", "'b'"});
      default: return "select p.id, p.tag from products p where p.tag = " + r.pick({"'a'", "'a '", "'b'"});
    }
  };
  const std::string both = arm() + r.pick({" union ", " union ", " union ", " except ", " union all "}) + arm();
  if (r.chance(25)) return {"select count(*) from (" + both + ") s"};
  return {both + r.pick({"", " order by 1, 2"})};
}

Statement date_range(Random& r) {
  const auto column = r.pick({"o.created_at", "o.created_at", "o.placed"});
  const auto day = r.pick({"'2021-11-07'", "'2021-11-06'", "'2020-02-29'", "'2021-01-01'", "'2020-12-31'", "'1999-12-31'", "'2000-01-01'"});
  const auto op = r.pick({"=", "=", "<", ">", "<=", ">=", "<>"});
  std::string predicate;
  switch (r.below(5)) {
    case 0: predicate = column + "::date " + op + " " + day; break;
    case 1: predicate = "date " + day + " " + op + " " + column + "::date"; break;
    case 2: predicate = "date_trunc('" + r.pick({"day", "month", "year", "week", "quarter", "hour"}) + "', " + column + ") " + op + " " + r.pick({day, "'2021-11-01'", "'2021-01-01'", "'2020-01-01'"}); break;
    case 3: predicate = "extract(" + r.pick({"year", "year", "month"}) + " from " + column + ") " + op + " " + r.pick({"2020", "2021", "1999", "11"}); break;
    default: predicate = column + "::date between " + r.pick({"'2020-01-01'", "'2021-11-06'"}) + " and " + day;
  }
  return placed(r, predicate, "orders o", "o.id", on_orders(r));
}

Statement lateral_group_by(Random& r) {
  const auto key = r.pick({"o.customer_id", "o.parent_id", "o.customer_id", "o.status"});
  const auto aggregate = r.pick({"count(*)", "max(o.id)", "sum(o.total)", "count(o.note)", "bool_or(o.flag)"});
  const auto group = r.chance(70) ? key : r.pick({"1", "o.customer_id, o.flag", "o.parent_id, o.status", "rollup(" + key + ")"});
  std::string sub = "select " + key + " as k, " + aggregate + " as n from orders o" + where_maybe(r, on_orders(r)) + " group by " + group +
                    r.pick({"", "", " having count(*) > 1"});
  if (r.chance(20)) sub = "select distinct " + key + " as k, o.flag as n from orders o" + where_maybe(r, on_orders(r));
  const auto partner = key == "o.status" ? "c.name" : r.pick({"c.id", "c.region", "c.id"});
  const auto on = r.pick({"s.k = " + partner, partner + " = s.k", "s.k = " + partner + " and c.region = 1", "s.k > " + partner});
  switch (r.below(5)) {
    case 0: return {"select c.id, s.n from customers c, (" + sub + ") s where s.k = " + partner + and_maybe(r, on_customers(r))};
    case 1: return {"select c.id, s.k, s.n from customers c left join (" + sub + ") s on " + on + where_maybe(r, on_customers(r))};
    case 2: return {"select c.id, s.n from customers c " + r.pick({"right join", "full join"}) + " (" + sub + ") s on s.k = " + partner};
    case 3: return {"select p.id, c.id, s.n from products p left join customers c on c.id = p.category left join (" + sub + ") s on " + on};
    default: return {"select c.id, s.n from customers c join (" + sub + ") s on " + on + where_maybe(r, on_customers(r))};
  }
}

Statement cte_not_materialized(Random& r) {
  const std::string cte = "with c as " + r.pick({"", "", "", "materialized "}) + "(select o.customer_id, o.status, count(*) as n from orders o" +
                          where_maybe(r, on_orders(r)) + " group by o.customer_id, o.status) ";
  return {cte + r.pick({"select a.n, b.n from c a join c b on a.customer_id = b.customer_id", "select * from c",
                        "select * from c where n > (select min(n) from c)", "select n from c union all select n from c",
                        "select x.id from customers x where exists (select 1 from c where c.customer_id = x.id) and x.id in (select customer_id from c)"})};
}

Statement or_to_key_union(Random& r) {
  const auto first = r.pick({"c.name = 'a'", "c.region = 1", "c.email = 'm1'", "c.id > 2", "c.region is null"});
  const auto second = r.pick({"o.note = 'a'", "o.flag", "o.parent_id = 3", "not o.flag", "o.status = 'new'", "o.total > 0",
                              "exists (select 1 from items i where i.order_id = o.id)",
                              "o.parent_id in (select x.id from products x where x.category = 1)",
                              "o.parent_id not in (select x.id from products x)", "1 / o.customer_id = 1"});
  const std::string either = r.chance(80) ? "(" + first + " or " + second + ")" : "(" + second + " or " + first + " or o.id = 3)";
  const auto from = r.pick({"customers c join orders o on o.customer_id = c.id", "customers c join orders o on o.customer_id = c.id",
                            "customers c, orders o", "customers c left join orders o on o.customer_id = c.id",
                            "parts c, orders o"});
  if (from == "parts c, orders o")
    return {"select c.v, o.id from parts c, orders o where (c.v = 1 or " + second + ") and c.id = o.id"};
  if (r.chance(25))
    return {"select o.id, o.note from orders o where o.note = 'a' or " + second + (r.chance(30) ? " order by o.id limit 3" : "")};
  if (r.chance(25)) {
    const auto same = r.pick({"o.parent_id = c.region or (o.parent_id is null and c.region is null)", "o.note = c.city or (c.city is null and o.note is null)",
                              "o.parent_id = c.id or o.customer_id = c.id", "o.parent_id > c.id or o.flag"});
    return {"select c.id, o.id from customers c " + (r.chance(50) ? ", orders o where (" + same + ")" : r.pick({"join", "join", "left join"}) + " orders o on (" + same + ")") + and_maybe(r, on_orders(r))};
  }
  switch (r.below(4)) {
    case 0: return {"select c.name, o.status, count(*) from " + from + " where " + either + and_maybe(r, on_orders(r)) + " group by c.name, o.status"};
    case 1: return {"select count(*) from " + from + " where " + either + and_maybe(r, on_customers(r))};
    case 2: return {"select * from " + from + " where " + either + " order by o.id, c.id limit 4", true};
    default: return {"select c.id, o.id from " + from + " where " + either + and_maybe(r, on_customers(r))};
  }
}

}  // namespace

const std::vector<Generator>& generators() {
  static const std::vector<Generator> list{
      {"count_to_exists", count_to_exists},
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
      {"scalar_aggregates_to_filter", scalar_aggregates_to_filter},
  };
  return list;
}

}  // namespace pgsteer::test
