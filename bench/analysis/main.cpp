// Microseconds per statement text: a hit of the analysis LRU, a fresh analyse(), and what of it is libpg_query.
// One thread, CPU time of that thread (so that neighbours count less), median of rounds; no server, no network. Run: build/release/bench/analysis/bench_analysis

#include <pg_query.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "rewriter/sql/analysis.hpp"
#include "rewriter/sql/tree.hpp"

using namespace pgsteer::sql;

namespace {

constexpr int rounds = 9;
constexpr double round_microseconds = 20000;

double now_microseconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) / 1e3;
}

/// Median over rounds of the mean microseconds of one call.
template <typename Call>
double measure(Call call) {
  int calls = 1;
  for (double spent = 0; spent < round_microseconds; calls *= 2) {
    const double start = now_microseconds();
    for (int i = 0; i < calls; ++i) call();
    spent = now_microseconds() - start;
  }
  std::vector<double> means;
  for (int round = 0; round < rounds; ++round) {
    const double start = now_microseconds();
    for (int i = 0; i < calls; ++i) call();
    means.push_back((now_microseconds() - start) / calls);
  }
  std::ranges::sort(means);
  return means[means.size() / 2];
}

struct Statement {
  const char* name;
  std::string text;
};

std::vector<Statement> statements() {
  std::string in_list = "SELECT id, name FROM items WHERE id IN (0";
  for (int i = 1; i < 500; ++i) in_list += ", " + std::to_string(i * 37);
  in_list += ")";
  return {
      {"pgbench select", "SELECT abalance FROM pgbench_accounts WHERE aid = 12345;"},
      {"ORM select",
       "SELECT \"posts\".\"id\", \"posts\".\"title\", \"posts\".\"created_at\" FROM \"posts\" INNER JOIN \"users\" ON "
       "\"users\".\"id\" = \"posts\".\"user_id\" WHERE \"users\".\"active\" = TRUE AND \"posts\".\"state\" = 'open' "
       "ORDER BY \"posts\".\"id\" DESC LIMIT 20"},
      {"TPC-H Q5",
       "select n_name, sum(l_extendedprice * (1 - l_discount)) as revenue from customer, orders, lineitem, supplier, "
       "nation, region where c_custkey = o_custkey and l_orderkey = o_orderkey and l_suppkey = s_suppkey and "
       "c_nationkey = s_nationkey and s_nationkey = n_nationkey and n_regionkey = r_regionkey and r_name = 'ASIA' and "
       "o_orderdate >= date '1994-01-01' and o_orderdate < date '1994-01-01' + interval '1' year group by n_name "
       "order by revenue desc"},
      {"IN list of 500", in_list},
  };
}

}  // namespace

int main() {
  std::printf("%-16s %6s %8s %9s %8s %8s %8s %8s %8s\n", "statement", "bytes", "LRU hit", "analyse", "pg parse", "finger",
              "normal", "own", "printed");
  for (const Statement& s : statements()) {
    AnalysisCache cache;
    cache.get(s.text);
    const double hit = measure([&] { cache.get(s.text); });
    const double whole = measure([&] { analyse(s.text); });
    const double parse = measure([&] { pg_query_free_parse_result(pg_query_parse(s.text.c_str())); });
    const double finger = measure([&] { pg_query_free_fingerprint_result(pg_query_fingerprint(s.text.c_str())); });
    const double normal = measure([&] { pg_query_free_normalize_result(pg_query_normalize(s.text.c_str())); });
    const auto tree = Tree::parse(s.text);
    const double printed = measure([&] { tree->print_verified(); });
    std::printf("%-16s %6zu %8.3f %9.2f %8.2f %8.2f %8.2f %8.2f %8.2f\n", s.name, s.text.size(), hit, whole, parse,
                finger, normal, whole - parse - finger - normal, printed);
  }
  std::printf(
      "microseconds; analyse = pg parse (text to JSON) + finger(print) + normal(ize) + own (scan, JSON to tree, walk);\n"
      "printed = print_verified() of the parsed tree\n");
}
