#include <array>
#include <memory>
#include <string_view>

#include <fmt/format.h>

#include "bench/workload/classes.hpp"

namespace pgsteer::workload {
namespace {

template <typename T, std::size_t N>
const T& pick(Random& random, const std::array<T, N>& values) {
  return values[random.below(N)];
}

Statement simple(std::string sql, bool ordered = true) { return {{{std::move(sql), {}, Protocol::simple}}, ordered, {}}; }

/// Zipf draws of ids; parameters are as skewed as the data, over other ranks.
struct Ids {
  explicit Ids(const Scale& scale)
      : product(scale.products(), 1.0), customer(scale.customers(), 0.9), order(scale.orders(), 0.8),
        cart(scale.carts(), 0.8), category(40, 0.9) {}
  Zipf product, customer, order, cart, category;
};
using IdsPointer = std::shared_ptr<const Ids>;

std::string day_of(Random& random, int first_year, int last_year) {
  return fmt::format("{}-{:02}-{:02}", random.between(first_year, last_year), random.between(1, 12), random.between(1, 28));
}

void add_oltp(std::vector<StatementClass>& classes, const IdsPointer& ids) {
  classes.push_back({"point_read", "one product by key, extended and prepared", [ids](Random& random) {
    const std::string id = std::to_string(ids->product.rank(random) + 1);
    const Protocol protocol = random.chance(0.5) ? Protocol::prepared : Protocol::extended;
    return Statement{{{"SELECT id, name, brand, price, stock FROM products WHERE id = $1", {id}, protocol}}, true, {}};
  }, 60, 40, 4, false});
  classes.push_back({"point_write", "a transaction: change one cart, read it back", [ids](Random& random) {
    const std::string id = std::to_string(ids->cart.rank(random) + 1), items = std::to_string(random.below(9));
    return Statement{{{"BEGIN", {}, Protocol::simple},
                      {"UPDATE carts SET items = $2, note = 'changed' WHERE id = $1", {id, items}, Protocol::extended},
                      {"SELECT items, note FROM carts WHERE id = $1", {id}, Protocol::extended},
                      {"COMMIT", {}, Protocol::simple}}, true, {}};
  }, 30, 12, 2, true});
  classes.push_back({"list_page", "a page of an ORM: IN list and LEFT JOIN", [ids](Random& random) {
    std::string list;
    for (int i = 0; i < 12; ++i) list += fmt::format("{}{}", i == 0 ? "" : ", ", ids->customer.rank(random) + 1);
    return simple(fmt::format(
        R"(SELECT "orders"."id", "orders"."status", "orders"."created_at", "customers"."name" FROM "orders" LEFT OUTER JOIN "customers" ON "customers"."id" = "orders"."customer_id" WHERE "orders"."customer_id" IN ({}) ORDER BY "orders"."created_at" DESC, "orders"."id" DESC LIMIT 25)", list));
  }, 20, 10, 2, false});
}

void add_dashboards(std::vector<StatementClass>& classes) {
  classes.push_back({"dashboard", "tiles everybody looks at all day", [](Random& random) {
    const int month = 12 - static_cast<int>(random.below(3));
    if (random.chance(0.5)) {
      return simple(fmt::format("SELECT p.category_id, count(*) AS lines, sum(i.quantity * i.unit_cents) AS cents FROM order_items i JOIN products p ON p.id = i.product_id JOIN orders o ON o.id = i.order_id WHERE o.created_at >= '2024-{:02}-01' GROUP BY p.category_id ORDER BY cents DESC, p.category_id LIMIT 10 /*route='/dashboard/sales'*/", month));
    }
    return simple(fmt::format("SELECT date_trunc('month', created_at) AS month, status, count(*), sum(total_cents) FROM orders WHERE created_at < '2024-{:02}-01' GROUP BY 1, 2 ORDER BY 1, 2 /*route='/dashboard/months'*/", month));
  }, 5, 8, 1, false});
  classes.push_back({"fresh", "a tile read right after a write through the proxy", [](Random& random) {
    Statement statement = simple("SELECT items, count(*), min(customer_id), max(note) FROM carts GROUP BY items ORDER BY items /*route='/dashboard/carts'*/");
    statement.before.push_back(fmt::format("UPDATE carts SET items = {} WHERE id = {}", random.below(9), random.below(200) + 1));
    return statement;
  }, 6, 2, 1, true});
}

// Templates on which the planner of PostgreSQL 15 with default settings misjudges; measured on this data with everything in
// memory: regional 1.9-2.6 times faster with random_page_cost=1.1, accounts 6-14 times without nested loops, badges 2-22
// times with nested loops only, brands 1.05-11 times depending on the brand (no arm is always right).
void add_reports(std::vector<StatementClass>& classes) {
  classes.push_back({"report_regional", "4 tables: orders of a small town", [](Random& random) {
    static constexpr std::array<std::string_view, 7> towns{"Oslo", "Valletta", "Graz", "Malmo", "Gdansk", "Reykjavik", "Bergen"};
    static constexpr std::array<std::string_view, 3> kinds{"consumer", "public", "small business"};
    const std::string_view town = pick(random, towns), kind = pick(random, kinds);
    return simple(fmt::format("SELECT count(*), sum(i.quantity) FROM customers c JOIN orders o ON o.customer_id = c.id JOIN order_items i ON i.order_id = o.id JOIN products p ON p.id = i.product_id WHERE c.city = '{}' AND c.segment = '{}' AND p.price > {}", town, kind, random.between(1, 10) * 5));
  }, 5, 1, 6, false});
  classes.push_back({"report_accounts", "4 tables: what large accounts review", [](Random& random) {
    static constexpr std::array<std::string_view, 2> towns{"Bern", "Zurich"};
    const std::string_view town = pick(random, towns);
    const std::int64_t category = random.between(3, 18), coupon = random.between(1, 360);
    return simple(fmt::format("SELECT count(*), avg(r.rating) FROM customers c JOIN orders o ON o.customer_id = c.id JOIN reviews r ON r.customer_id = c.id JOIN products p ON p.id = r.product_id WHERE c.city = '{}' AND c.country = 'Switzerland' AND c.segment = 'enterprise' AND p.category_id = {} AND o.status = 'shipped' AND o.coupon_id BETWEEN {} AND {}", town, category, coupon, coupon + 20));
  }, 5, 1, 6, false});
  classes.push_back({"report_badges", "4 tables: votes on posts of badge holders", [](Random& random) {
    static constexpr std::array<std::string_view, 5> names{"Teacher", "Student", "Editor", "Critic", "Legendary"};
    static constexpr std::array<std::string_view, 6> towns{"Bern", "Oslo", "Graz", "Lyon", "Leeds", "Turin"};
    static constexpr std::array<int, 3> kinds{3, 5, 8};
    const std::string_view name = pick(random, names), town = pick(random, towns);
    const int kind = pick(random, kinds);
    return simple(fmt::format("SELECT count(*), max(v.created_at) FROM users u JOIN badges b ON b.user_id = u.id JOIN posts p ON p.author_id = u.id JOIN votes v ON v.post_id = p.id WHERE b.name = '{}' AND b.created_at < '2022-01-01' AND u.location = '{}' AND v.kind = {} AND p.created_at > '2024-{:02}-01'", name, town, kind, random.between(6, 11)));
  }, 5, 1, 6, false});
  classes.push_back({"report_brands", "5 tables: a brand by country", [](Random& random) {
    const std::uint64_t brand = random.below(120);
    return simple(fmt::format("SELECT c.country, g.department, count(*), sum(i.quantity) FROM products p JOIN categories g ON g.id = p.category_id JOIN order_items i ON i.product_id = p.id JOIN orders o ON o.id = i.order_id JOIN customers c ON c.id = o.customer_id WHERE p.brand = 'brand {}' AND o.status = 'shipped' GROUP BY c.country, g.department ORDER BY 1, 2", brand));
  }, 5, 1, 6, false});
}

void add_orm(std::vector<StatementClass>& classes, const IdsPointer& ids) {
  classes.push_back({"orm_not_in", "NOT IN (subquery) over NOT NULL columns", [ids](Random& random) {
    return simple(fmt::format("SELECT p.id, p.name FROM products p WHERE p.category_id = {} AND p.id NOT IN (SELECT r.product_id FROM reviews r) ORDER BY p.id LIMIT 20", 100 + ids->category.rank(random)));
  }, 4, 2, 1, false});
  classes.push_back({"orm_count", "(SELECT count(*) …) > 0", [ids](Random& random) {
    return simple(fmt::format("SELECT p.id, p.name FROM products p WHERE p.category_id = {} AND (SELECT count(*) FROM order_items i WHERE i.product_id = p.id) > 0 ORDER BY p.id LIMIT 50", 1 + ids->category.rank(random)));
  }, 5, 2, 1, false});
  classes.push_back({"orm_cast", "id::text = '…'", [ids](Random& random) {
    return simple(fmt::format("SELECT id, customer_id, status, total_cents FROM orders WHERE id::text = '{}'", ids->order.rank(random) + 1));
  }, 5, 2, 1, false});
  classes.push_back({"orm_orphans", "LEFT JOIN … WHERE pk IS NULL", [](Random& random) {
    return simple(fmt::format("SELECT count(*) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE o.id IS NULL AND c.created_at >= '{}'", day_of(random, 2022, 2023)));
  }, 4, 1, 1, false});
  classes.push_back({"orm_coalesce", "COALESCE(col, 0) = 5", [](Random& random) {
    return simple(fmt::format("SELECT id, customer_id, total_cents FROM orders WHERE COALESCE(coupon_id, 0) = {} ORDER BY id", random.between(1, 400)));
  }, 5, 2, 1, false});
  classes.push_back({"orm_keyset", "keyset pagination by OR", [ids](Random& random) {
    const std::string day = day_of(random, 2023, 2024);
    return simple(fmt::format("SELECT id, customer_id, created_at FROM orders WHERE created_at > '{0} 12:00:00' OR (created_at = '{0} 12:00:00' AND id > {1}) ORDER BY created_at, id LIMIT 50", day, ids->order.rank(random)));
  }, 5, 2, 1, false});
}

void add_analytics(std::vector<StatementClass>& classes, const IdsPointer& ids) {
  classes.push_back({"window", "top three of each brand by a window", [ids](Random& random) {
    return simple(fmt::format("SELECT brand, id, price, place FROM (SELECT brand, id, price, row_number() OVER (PARTITION BY brand ORDER BY price DESC, id) AS place FROM products WHERE category_id BETWEEN {0} AND {0} + 10) ranked WHERE place <= 3 ORDER BY brand, place", 1 + ids->category.rank(random)));
  }, 6, 1, 3, false});
  classes.push_back({"subquery", "dearer than the average of the category", [ids](Random& random) {
    return simple(fmt::format("SELECT p.id, p.name, p.price FROM products p WHERE p.category_id = {} AND p.price > (SELECT avg(q.price) FROM products q WHERE q.category_id = p.category_id AND q.discontinued_at IS NULL) * 3 ORDER BY p.price DESC, p.id LIMIT 20", 50 + ids->category.rank(random)));
  }, 5, 1, 2, false});
  classes.push_back({"search", "words in product names", [](Random& random) {
    static constexpr std::array<std::string_view, 8> words{"lantern", "kettle", "novel", "guitar", "lens", "boot", "drum", "atlas"};
    static constexpr std::array<std::string_view, 4> looks{"small", "red", "classic", "prime"};
    const std::string_view word = pick(random, words), look = pick(random, looks);
    return simple(fmt::format("SELECT id, name, price FROM products WHERE name LIKE '%{} {}%' AND discontinued_at IS NULL ORDER BY price, id LIMIT 20", look, word));
  }, 6, 4, 1, false});
  classes.push_back({"time_range", "two weeks of orders by day", [](Random& random) {
    const std::string day = day_of(random, 2022, 2024);
    return Statement{{{"SELECT created_at::date AS day, channel, count(*), sum(total_cents) FROM orders WHERE created_at >= $1::timestamp AND created_at < $1::timestamp + interval '14 days' GROUP BY 1, 2 ORDER BY 1, 2", {day}, Protocol::extended}}, true, {}};
  }, 8, 2, 3, false});
  classes.push_back({"export", "a few thousand rows streamed", [](Random& random) {
    return simple(fmt::format("SELECT * FROM orders WHERE created_at >= '{0}' AND created_at < timestamp '{0}' + interval '7 days'", day_of(random, 2022, 2024)), false);
  }, 5, 0.5, 1, false});
}

}  // namespace

std::vector<StatementClass> shop_classes(const Scale& scale) {
  const auto ids = std::make_shared<const Ids>(scale);
  std::vector<StatementClass> classes;
  add_oltp(classes, ids);
  add_dashboards(classes);
  add_reports(classes);
  add_orm(classes, ids);
  add_analytics(classes, ids);
  return classes;
}

}  // namespace pgsteer::workload
