#include "tests/rewriter/generator.hpp"

namespace pgsteer::test {
namespace {

/// A further condition on orders (alias o), of any kind: it must survive every rewrite untouched.
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

/// A predicate in one of the positions a filter can have; only some of them let NULL pass for false.
Statement placed(Random& r, const std::string& predicate, const std::string& from, const std::string& key,
                 const std::string& other) {
  switch (r.below(8)) {
    case 0: return {"select " + key + ", " + predicate + " as p from " + from};
    case 1: return {"select " + key + " from " + from + " where not (" + predicate + ")"};
    case 2: return {"select " + key + " from " + from + " where " + predicate + " or " + other};
    case 3: return {"select count(*) from " + from + " where " + predicate + " and " + other};
    case 4: return {"select * from " + from + " where " + predicate + " order by " + key, true};
    case 5: return {"select " + key + " from " + from + " where (" + predicate + ") is not true"};
    case 6:
      return {"select " + key + " from " + from + " where " + predicate + " and " + other + " order by " + key + " limit " +
                  std::to_string(r.below(4)), true};
    default: return {"select * from " + from + " where " + predicate};
  }
}

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

}  // namespace

const std::vector<Generator>& generators() {
  static const std::vector<Generator> list{
      {"count_to_exists", count_to_exists},
      {"not_in_to_not_exists", not_in_to_not_exists},
      {"literal_cast", literal_cast},
      {"left_join_null_test", left_join_null_test},
      {"coalesce_equals", coalesce_equals},
      {"keyset_row_comparison", keyset_row_comparison},
  };
  return list;
}

}  // namespace pgsteer::test
