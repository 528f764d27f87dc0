// Shapes per rule on generated rows: original against rewritten. See README.md.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "rewriter/candidate.hpp"
#include "tests/rewriter/schema.hpp"
#include "tests/support/servers.hpp"

namespace {

using namespace pgsteer;

void make_rows(pqxx::connection& connection, const std::string& rows) {
  pqxx::nontransaction tx(connection);
  tx.exec("DROP SCHEMA IF EXISTS bench_rewrite CASCADE; CREATE SCHEMA bench_rewrite");
  tx.exec("SET search_path = bench_rewrite; SET max_parallel_workers_per_gather = 0; SET jit = off; SET random_page_cost = 1.1");
  tx.exec("CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, region int, email text)");
  tx.exec("CREATE TABLE orders (id int PRIMARY KEY, customer_id int NOT NULL REFERENCES customers, status text NOT NULL, "
          "total numeric(10,2), note text, parent_id int, created_at timestamptz NOT NULL)");
  // Arithmetic on the row number, so that every run has the same rows.
  tx.exec("INSERT INTO customers SELECT g, 'name ' || g % 5000, CASE WHEN g % 9 > 0 THEN g * 7919::bigint % 1000 END, 'm' || g "
          "FROM generate_series(1, " + rows + " / 10) g");
  tx.exec("INSERT INTO orders SELECT g, 1 + (g * 7919::bigint) % (" + rows + " / 10 - 100), (array['new','paid','sent'])[1 + g % 3], "
          "g % 1000, 'note ' || g % 100000, CASE WHEN g % 10 = 0 THEN g * 31::bigint % 1000 END, "
          "timestamptz '2020-01-01' + g * interval '1 minute' FROM generate_series(1, " + rows + ") g");
  for (const auto* index : {"orders (customer_id)", "orders (note)", "orders (created_at, id)", "orders (parent_id)", "orders (status)",
                            "customers (email)", "customers (region)"})
    tx.exec(std::string("CREATE INDEX ON ") + index);
  tx.exec("VACUUM ANALYZE customers");
  tx.exec("VACUUM ANALYZE orders");
}

double number_after(const std::string& text, const std::string& key) {
  const auto at = text.find(key);
  return at == std::string::npos ? 0 : std::strtod(text.c_str() + at + key.size(), nullptr);
}

double cost(pqxx::nontransaction& tx, const std::string& sql) {
  const std::string line = tx.exec("EXPLAIN " + sql)[0][0].c_str();
  return number_after(line, "..");
}

/// Planning and execution as the server measures them; -1 when it times out.
double milliseconds(pqxx::nontransaction& tx, const std::string& sql) {
  try {
    const auto result = tx.exec("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + sql);
    const std::string json = result[0][0].c_str();
    return number_after(json, "\"Planning Time\": ") + number_after(json, "\"Execution Time\": ");
  } catch (const pqxx::sql_error&) {
    return -1;
  }
}

struct Pair {
  double before, after;
};

/// Medians of five rounds, each both statements in turn, after a warm-up; one round when one of them is slow.
Pair compare(pqxx::nontransaction& tx, const std::string& original, const std::string& rewritten) {
  std::vector<double> before, after;
  for (int round = 0; round < 6; ++round) {
    before.push_back(milliseconds(tx, original));
    after.push_back(milliseconds(tx, rewritten));
    if (before.front() < 0 || after.front() < 0 || before.front() > 2000 || after.front() > 2000) return {before.front(), after.front()};
  }
  std::sort(before.begin() + 1, before.end());
  std::sort(after.begin() + 1, after.end());
  return {before[3], after[3]};
}

const char* const shapes[] = {
    "SELECT id FROM orders WHERE id::text = '777'",
    "SELECT * FROM orders WHERE customer_id = 5.0",
    "SELECT count(*) FROM orders WHERE coalesce(parent_id, 0) = 310",
    "SELECT id FROM orders WHERE created_at < '2020-06-01' OR (created_at = '2020-06-01' AND id < 500) ORDER BY created_at DESC, id DESC LIMIT 20",
    "SELECT c.id FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE o.id IS NULL",
    "SELECT c.id FROM customers c WHERE (SELECT count(*) FROM orders o WHERE o.customer_id = c.id) = 0",
    "SELECT count(*) > 0 FROM orders WHERE status = 'new'",
    "SELECT * FROM orders WHERE id IN (SELECT id FROM orders WHERE note = 'note 5')",
    "SELECT id FROM customers WHERE id NOT IN (SELECT customer_id FROM orders)",
    "SELECT id FROM orders o WHERE o.note = 'note 7' AND o.customer_id IN (SELECT p.customer_id FROM orders p WHERE p.parent_id = o.parent_id)",
    "SELECT name FROM customers c WHERE c.region = 7 AND c.id IN (SELECT customer_id FROM orders GROUP BY customer_id HAVING count(*) > 3)",
    "SELECT count(*) FROM (SELECT id, note FROM orders ORDER BY total, note) s",
    "SELECT count(customer_id) FROM orders",
    "SELECT DISTINCT id, status FROM orders ORDER BY id LIMIT 20",
    "SELECT count(DISTINCT c.id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id",
    "SELECT count(*) FROM orders o JOIN customers c ON c.id = o.customer_id",
    "SELECT id, status FROM orders WHERE status = 'new' UNION SELECT id, status FROM orders WHERE status = 'paid'",
    "SELECT id FROM orders WHERE created_at::date = '2021-03-04'",
    "SELECT count(*) FROM orders WHERE extract(year FROM created_at) = 2020",
    "SELECT c.name, s.n FROM customers c JOIN (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) s ON s.customer_id = c.id WHERE c.email = 'm77'",
    "WITH s AS (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) SELECT a.n, b.n FROM s a JOIN s b ON a.customer_id = b.customer_id WHERE a.customer_id = 77",
    "SELECT o.id FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.email = 'm5' OR o.note = 'note 9'",
    "SELECT o.id, c.id FROM orders o JOIN customers c ON o.parent_id = c.region OR (o.parent_id IS NULL AND c.region IS NULL) WHERE o.id < 100 AND c.id < 20000",
    "SELECT a.id, b.total FROM orders a JOIN orders b ON b.id = a.id WHERE a.status = 'new' AND b.total > 990",
    "SELECT DISTINCT c.* FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.total > 500",
    "SELECT count(DISTINCT id) FROM orders",
    "SELECT o.id, p.id FROM orders o JOIN orders p ON p.created_at = o.created_at WHERE o.created_at > '2021-11-01'",
    "SELECT (SELECT count(*) FROM orders WHERE status = 'new'), (SELECT max(total) FROM orders WHERE status = 'paid'), (SELECT count(*) FROM orders WHERE total > 500)",
    "SELECT id FROM orders WHERE id + 5000000000 = 5000000777",
    "SELECT id FROM customers EXCEPT SELECT customer_id FROM orders",
    "SELECT count(*) FROM (SELECT id FROM customers INTERSECT SELECT customer_id FROM orders WHERE note = 'note 3') s",
    "SELECT o.id, c.name FROM orders o LEFT JOIN customers c ON c.id = o.customer_id ORDER BY o.total DESC, o.id LIMIT 20",
    "SELECT o.id, c.name FROM orders o LEFT JOIN customers c ON c.id = o.customer_id WHERE o.status = 'new' ORDER BY o.note, o.id LIMIT 50 OFFSET 1000",
    "SELECT o.id, o.created_at FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.region > 5 UNION ALL SELECT o.id, o.created_at FROM orders o WHERE o.parent_id = 31 ORDER BY 2, 1 LIMIT 10",
    "SELECT c.name, s.status FROM customers c JOIN (SELECT customer_id AS k, status FROM orders WHERE total > 5 UNION SELECT customer_id, note FROM orders WHERE total < 3) s ON s.k = c.id WHERE c.email = 'm99'",
    "SELECT c.name, s.id FROM customers c JOIN (SELECT customer_id, id, row_number() OVER (PARTITION BY customer_id ORDER BY created_at DESC, id) AS n FROM orders) s ON s.customer_id = c.id WHERE s.n <= 3 AND c.email = 'm99'",
    "SELECT c.name, s.id FROM customers c JOIN (SELECT customer_id, id, row_number() OVER (PARTITION BY customer_id ORDER BY id) AS n FROM orders) s ON s.customer_id = c.id WHERE s.n = 1 AND c.region = 7",
    "SELECT o.id, (SELECT c.name FROM customers c WHERE c.id = o.customer_id) FROM orders o WHERE o.status = 'new'",
    "SELECT o.id, (SELECT c.name FROM customers c WHERE c.id = o.customer_id) FROM orders o WHERE o.id < 20",
    "SELECT c.id, (SELECT count(*) FROM orders o WHERE o.customer_id = c.id) FROM customers c",
    "SELECT c.id, (SELECT max(o.total) FROM orders o WHERE o.customer_id = c.id) FROM customers c WHERE c.region = 7",
    "SELECT o.id FROM orders o WHERE o.note LIKE 'note 77%' AND o.total > (SELECT avg(p.total) FROM orders p WHERE p.parent_id = o.parent_id)",
    "SELECT o.id FROM orders o WHERE o.created_at = (SELECT max(p.created_at) FROM orders p WHERE p.customer_id = o.customer_id)",
    "SELECT o.id FROM orders o JOIN customers c ON c.id::text = o.customer_id::text WHERE c.email = 'm5'",
    "SELECT count(*) FROM orders WHERE customer_id::text = '77'",
    "SELECT id FROM customers WHERE region NOT IN (SELECT id FROM customers WHERE region = 3) AND id NOT IN (SELECT customer_id FROM orders WHERE status = 'new')",
    "SELECT DISTINCT c.id, c.name FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.note = 'note 17'",
    "SELECT o.status, count(o.customer_id) FROM orders o GROUP BY o.status",
    "SELECT o.id FROM orders o WHERE o.customer_id IN (SELECT id FROM customers) AND o.total > 900",
    "SELECT c.id FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE o.status IS NULL AND c.region = 7",
    "SELECT DISTINCT region FROM customers c LEFT JOIN orders o ON o.customer_id = c.id",
    "SELECT DISTINCT status FROM orders ORDER BY status",
    "SELECT count(DISTINCT parent_id) FROM orders",
    "SELECT count(DISTINCT customer_id) FROM orders",
    "SELECT o.id, o.total, c.name FROM orders o JOIN customers c ON c.id = o.customer_id ORDER BY o.total DESC, o.id LIMIT 20",
    "SELECT o.id, o.total, c.name, c.email FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.status = 'new' ORDER BY o.created_at DESC, o.id DESC LIMIT 20 OFFSET 2000",
    "SELECT count(*) FROM orders o WHERE o.customer_id IN (SELECT id FROM customers) AND o.total > 900",
    "SELECT count(*) FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE c.id = o.customer_id)",
    "SELECT id, note FROM orders WHERE (status, total) IN (('new', 5)) AND coalesce(note, '') = 'note 77'",
};

}  // namespace

int main(int argc, char** argv) {
  try {
    std::unique_ptr<test::Postgres> own;
    if (argc < 2 || !*argv[1]) own = std::make_unique<test::Postgres>();
    const std::string url = own ? own->url() : argv[1];
    const std::string rows = argc < 3 ? "1000000" : std::to_string(std::atoi(argv[2]));
    pqxx::connection connection(url);
    make_rows(connection, rows);
    const auto catalog = test::load_catalog(url);
    sql::SessionFacts session;
    session.search_path = "bench_rewrite";
    pqxx::nontransaction tx(connection);
    tx.exec("SET statement_timeout = '20s'");
    double log_sum = 0;
    double slowest = 0;
    int passed = 0;
    std::printf("%-28s %12s %12s %10s %s\n", "rewrite", "original ms", "rewritten ms", "speed-up", "gate");
    for (const std::string sql : shapes) {
      sql::Query query;
      query.text = sql;
      query.session = &session;
      std::string why;
      const auto found = rewriter::rewrite(query, *sql::analyse(sql), catalog, {}, &why);
      if (found.empty()) {
        std::printf("%-28s %s\n", "-", why.c_str());
        continue;
      }
      // As the product does: of the variants that their thresholds let through the one the planner calls cheapest.
      const double original_cost = cost(tx, sql);
      const rewriter::Candidate* chosen = nullptr;
      double chosen_cost = 0;
      bool chosen_always = false;
      for (const auto& candidate : found) {
        double threshold = 1.15;
        bool always = true;
        for (const auto& rule : rewriter::all_rules())
          if (!rule.always_gains && std::find(candidate.rules.begin(), candidate.rules.end(), rule.name) != candidate.rules.end()) {
            always = false;
            threshold = std::min(threshold, rule.cost_threshold);
          }
        const double new_cost = cost(tx, candidate.text);
        if (!always && new_cost >= threshold * original_cost) continue;
        if (chosen && new_cost >= chosen_cost) continue;
        chosen = &candidate;
        chosen_cost = new_cost;
        chosen_always = always;
      }
      const auto& candidate = chosen ? *chosen : found.front();
      const auto [before, after] = compare(tx, sql, candidate.text);
      const double gain = (before < 0 ? 20000 : before) / (after <= 0 ? 20000 : after);
      // Nor does a planner's promise count for what takes less than half a millisecond.
      const bool gate = chosen && (chosen_always || before < 0 || before >= 0.5);
      if (gate) {
        log_sum += std::log(gain);
        slowest = passed++ ? std::min(slowest, gain) : gain;
      }
      std::printf("%-28s %12.2f %12.2f %9.2fx %s\n", candidate.label().substr(8).c_str(), before, after, gain, gate ? "yes" : chosen ? "no: too short" : "no: cost");
      std::fflush(stdout);
    }
    if (passed) std::printf("geometric mean of the %d shapes that pass the gate: %.2fx, the slowest %.2fx\n", passed, std::exp(log_sum / passed), slowest);
    if (!std::getenv("PGSTEER_KEEP")) tx.exec("DROP SCHEMA bench_rewrite CASCADE");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_rewrite: %s\n", error.what());
    return 1;
  }
}
