// Microseconds per statement text: a hit of the analysis LRU, a fresh analyse() and what of it is libpg_query, a whole plan() of
// the pipeline for a text never seen (analysis, estimate, what is known of the shape, decision; mode auto, every rule allowed, and
// none has been found to help), and what a rewriter's look at it costs in the background (all rules tried, none fires).
// One thread, CPU time of that thread (so that neighbours count less), median of rounds; no server, no network. Run: build/release/bench/analysis/bench_analysis

#include <pg_query.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "proxy/pipeline.hpp"
#include "rewriter/candidate.hpp"
#include "rewriter/sql/analysis.hpp"
#include "rewriter/sql/tree.hpp"

using namespace pgsteer;
using namespace pgsteer::sql;

namespace {

int rounds = 9;
double round_microseconds = 20000;

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
  std::string text;  ///< @ stands for a number that makes it another statement, # for one in a literal
};

std::string numbered(std::string text, int name, int literal) {
  text.replace(text.find('@'), 1, std::to_string(name));
  return text.replace(text.find('#'), 1, std::to_string(literal));
}

/// Tables of integers under the statements, the first column their primary key: names resolve, so every rule is tried.
std::shared_ptr<const Catalog> catalog() {
  auto catalog = std::make_shared<Catalog>();
  catalog->version = 1;
  Oid oid = 20000;
  const auto table = [&](const char* name, std::initializer_list<const char*> columns) {
    Relation relation;
    relation.oid = oid++;
    relation.schema = "public";
    relation.name = name;
    relation.rows = 1e6;
    for (const char* column : columns) {
      relation.columns.emplace_back();
      relation.columns.back().name = column;
      relation.columns.back().number = static_cast<std::int16_t>(relation.columns.size());
      relation.columns.back().type = 23;
    }
    relation.columns.front().not_null = true;
    Index key;
    key.columns = {1};
    key.unique = key.primary = key.valid = key.immediate = key.usual_order = true;
    relation.indexes.push_back(key);
    catalog->add(std::move(relation));
  };
  table("pgbench_accounts", {"aid", "bid", "abalance"});
  table("posts", {"id", "title", "created_at", "user_id", "state"});
  table("users", {"id", "active"});
  table("customer", {"c_custkey", "c_nationkey"});
  table("orders", {"o_orderkey", "o_custkey", "o_orderdate"});
  table("lineitem", {"l_key", "l_orderkey", "l_suppkey", "l_extendedprice", "l_discount"});
  table("supplier", {"s_suppkey", "s_nationkey"});
  table("nation", {"n_nationkey", "n_name", "n_regionkey"});
  table("region", {"r_regionkey", "r_name"});
  table("items", {"id", "name"});
  for (const char* name : {"sum", "date"}) catalog->add(FunctionGroup{"pg_catalog", name, 'i', false, false, false, name[0] == 's', false});
  return catalog;
}

proxy::Snapshot snapshot() {
  proxy::Snapshot made;
  made.config = std::make_shared<proxy::Config>();
  made.policies = policies::PolicySet::parse("[default]\nmode = \"auto\"\nrewrite = [\"all\"]\nsteer = true\n", "bench", nullptr);
  made.catalogs["bench"] = catalog();
  made.calibration = std::make_shared<predictor::Calibration>();
  made.knowledge = std::make_shared<policies::KnowledgeMap>();
  made.version = 1;
  return made;
}

std::vector<Statement> statements() {
  std::string in_list = "SELECT id, name AS n@ FROM items WHERE id IN (#";
  for (int i = 1; i < 500; ++i) in_list += ", " + std::to_string(i * 37);
  in_list += ")";
  return {
      {"pgbench select", "SELECT abalance AS a@ FROM pgbench_accounts WHERE aid = #;"},
      {"ORM select",
       "SELECT \"posts\".\"id\", \"posts\".\"title\" AS \"t@\", \"posts\".\"created_at\" FROM \"posts\" INNER JOIN \"users\" ON "
       "\"users\".\"id\" = \"posts\".\"user_id\" WHERE \"users\".\"active\" = TRUE AND \"posts\".\"state\" = 'open#' "
       "ORDER BY \"posts\".\"id\" DESC LIMIT 20"},
      {"TPC-H Q5",
       "select n_name as n@, sum(l_extendedprice * (1 - l_discount)) as revenue from customer, orders, lineitem, supplier, "
       "nation, region where c_custkey = o_custkey and l_orderkey = o_orderkey and l_suppkey = s_suppkey and "
       "c_nationkey = s_nationkey and s_nationkey = n_nationkey and n_regionkey = r_regionkey and r_name = 'ASIA#' and "
       "o_orderdate >= date '1994-01-01' and o_orderdate < date '1994-01-01' + interval '1' year group by n_name "
       "order by revenue desc"},
      {"IN list of 500", in_list},
  };
}

}  // namespace

int main(int count, char** values) {
  if (count > 1 && std::string(values[1]) == "--quick") rounds = 3, round_microseconds = 500;  // for callgrind
  const auto state = snapshot();
  SessionFacts session;
  session.database = "bench";
  session.user = "app";
  int number = 100000;
  std::printf("%-16s %6s %8s %9s %8s %8s %8s %8s %8s %9s %9s %9s %9s\n", "statement", "bytes", "LRU hit", "analyse", "pg parse", "finger",
              "normal", "own", "printed", "plan", "literal", "known", "rules");
  for (Statement s : statements()) {
    const std::string pattern = s.text;
    s.text = numbered(pattern, number, number);
    AnalysisCache cache;
    cache.get(s.text);
    const double hit = measure([&] { cache.get(s.text); });
    const double whole = measure([&] { analyse(s.text); });
    const double parse = measure([&] { pg_query_free_parse_result(pg_query_parse(s.text.c_str())); });
    const double finger = measure([&] { pg_query_free_fingerprint_result(pg_query_fingerprint(s.text.c_str())); });
    const double normal = measure([&] { pg_query_free_normalize_result(pg_query_normalize(s.text.c_str())); });
    const auto tree = Tree::parse(s.text);
    const double printed = measure([&] { tree->print_verified(); });
    proxy::Pipeline pipeline(*state.config);
    Query query;
    query.session = &session;
    std::string text;
    const double planned = measure([&] {
      ++number;
      text = numbered(pattern, number, number);
      query.text = text;
      pipeline.plan(query, state, {});
    });
    const int name = number;
    const double literal = measure([&] {
      text = numbered(pattern, name, ++number);
      query.text = text;
      pipeline.plan(query, state, {});
    });
    query.text = s.text;
    const double known = measure([&] { pipeline.plan(query, state, {}); });
    const auto analysis = analyse(s.text);
    const auto& tables = *state.catalogs.at("bench");
    if (!rewriter::rewrite(query, *analysis, tables, {}).empty()) std::printf("A rule fires on the next one.\n");
    const double rules = measure([&] { rewriter::rewrite(query, *analysis, tables, {}); });
    std::printf("%-16s %6zu %8.3f %9.2f %8.2f %8.2f %8.2f %8.2f %8.2f %9.2f %9.2f %9.3f %9.2f\n", s.name, s.text.size(), hit, whole, parse,
                finger, normal, whole - parse - finger, printed, planned, literal, known, rules);
  }
  std::printf(
      "microseconds; analyse = pg parse (text to JSON) + finger(print) + own (scan, JSON to tree, walk); normal(ize): by the learner, once a fingerprint;\n"
      "printed = print_verified() of the parsed tree; plan = the whole pipeline on a text never seen; literal = on one that differs in literals from one seen; known = on the same text again; rules = rewrite(), none fires\n");
}
