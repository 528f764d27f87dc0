#include "bench/harness/workloads.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include "bench/harness/replay.hpp"
#include "bench/workload/loader.hpp"
#include "bench/workload/tpch.hpp"

namespace pgsteer::harness {
namespace {

using workload::Protocol;
using workload::Random;
using workload::Scale;
using workload::Statement;
using workload::StatementClass;

constexpr int kAccounts = 100'000, kTellers = 10;  // a branch's, as in TPC-B

/// TPC-B as pgbench has it: the transaction of five statements, and its reading third.
std::vector<StatementClass> bank_classes(double scale) {
  const auto branches = std::max<std::int64_t>(1, static_cast<std::int64_t>(10 * scale));
  const auto account = [branches](Random& random) { return std::to_string(random.between(1, branches * kAccounts)); };
  std::vector<StatementClass> classes;
  for (const auto& [name, protocol] : {std::pair{"select_simple", Protocol::simple}, {"select_extended", Protocol::extended}, {"select_prepared", Protocol::prepared}})
    classes.push_back({name, "one account by its key", [account, protocol = protocol](Random& random) {
      const std::string id = account(random);
      if (protocol == Protocol::simple) return Statement{{{"SELECT abalance FROM bench_accounts WHERE aid = " + id, {}, protocol}}, true, {}};
      return Statement{{{"SELECT abalance FROM bench_accounts WHERE aid = $1", {id}, protocol}}, true, {}};
    }, 40, 1, 1, false});
  // Each system runs the transaction, so the balances it would read differ; what is compared is that each changed one row.
  classes.push_back({"tpcb", "the transaction of TPC-B", [account, branches](Random& random) {
    const std::string id = account(random), branch = std::to_string(random.between(1, branches)), teller = std::to_string(random.between(1, branches * kTellers)),
                      delta = std::to_string(random.between(-5000, 5000));
    return Statement{{{"BEGIN", {}, Protocol::simple},
                      {"UPDATE bench_accounts SET abalance = abalance + $1 WHERE aid = $2", {delta, id}, Protocol::extended},
                      {"SELECT aid FROM bench_accounts WHERE aid = $1", {id}, Protocol::extended},
                      {"UPDATE bench_tellers SET tbalance = tbalance + $1 WHERE tid = $2", {delta, teller}, Protocol::extended},
                      {"UPDATE bench_branches SET bbalance = bbalance + $1 WHERE bid = $2", {delta, branch}, Protocol::extended},
                      {"INSERT INTO bench_history (tid, bid, aid, delta, mtime) VALUES ($1, $2, $3, $4, now())", {teller, branch, id, delta}, Protocol::extended},
                      {"COMMIT", {}, Protocol::simple}}, true, {}};
  }, 15, 1, 1, true});
  return classes;
}

void load_bank(const std::string& url, double scale) {
  const auto branches = std::max<std::int64_t>(1, static_cast<std::int64_t>(10 * scale));
  workload::Connection connection(url);
  connection.execute(fmt::format(
      "DROP TABLE IF EXISTS bench_accounts, bench_tellers, bench_branches, bench_history;"
      "CREATE TABLE bench_branches (bid int PRIMARY KEY, bbalance int NOT NULL, filler char(88));"
      "CREATE TABLE bench_tellers (tid int PRIMARY KEY, bid int NOT NULL, tbalance int NOT NULL, filler char(84));"
      "CREATE TABLE bench_accounts (aid int PRIMARY KEY, bid int NOT NULL, abalance int NOT NULL, filler char(84)) WITH (fillfactor = 90);"
      "CREATE TABLE bench_history (tid int, bid int, aid int, delta int, mtime timestamp);"
      "INSERT INTO bench_branches SELECT i, 0, '' FROM generate_series(1, {0}) i;"
      "INSERT INTO bench_tellers SELECT i, (i - 1) / {1} + 1, 0, '' FROM generate_series(1, {0} * {1}) i;"
      "INSERT INTO bench_accounts SELECT i, (i - 1) / {2} + 1, 0, '' FROM generate_series(1, {0} * {2}) i;", branches, kTellers, kAccounts));
  connection.execute("VACUUM ANALYZE bench_accounts");
  connection.execute("ANALYZE bench_tellers");
  connection.execute("ANALYZE bench_branches");
}

using Belongs = bool (*)(const StatementClass&);
struct Kind {
  const char* name;
  const char* what;
  Belongs belongs;  ///< of the classes on the shop's data
};
constexpr Kind kinds[] = {
    {"oltp", "TPC-B and single accounts by each protocol; the shop's page and key statements",
     [](const StatementClass& c) { return c.name == "point_read" || c.name == "point_write" || c.name == "list_page"; }},
    {"analytic", "the 22 shapes of TPC-H; the shop's aggregation, windows, subqueries, time ranges, an export of some thousand rows",
     [](const StatementClass& c) { return c.name == "dashboard" || c.name == "window" || c.name == "subquery" || c.name == "search" || c.name == "time_range" || c.name == "export"; }},
    {"joins", "joins of four and five tables on skewed, correlated columns: where planners err", [](const StatementClass& c) { return c.name.starts_with("report_"); }},
    {"orm", "patterns that object-relational mappers write", [](const StatementClass& c) { return c.name.starts_with("orm_"); }},
    {"mixed", "all of the shop's statements; under load with the rhythm of a day, short ones by day and reports by night", [](const StatementClass&) { return true; }},
};

}  // namespace

Workload make_workload(const std::string& name, const WorkloadOptions& options) {
  if (name == "replay") return make_replay(options.replay, options.writes);
  const auto* kind = std::find_if(std::begin(kinds), std::end(kinds), [&](const Kind& k) { return name == k.name; });
  if (kind == std::end(kinds)) throw std::invalid_argument(fmt::format("unknown workload '{}': there are\n{}", name, workload_list()));
  Workload workload{kind->name, kind->what, {}, false, name == "mixed", {}, {}};
  if (name == "oltp") workload.classes = bank_classes(options.scale);
  if (name == "analytic") workload.classes = workload::tpch_classes();
  for (auto& c : workload::shop_classes(Scale{options.scale}))
    if (kind->belongs(c)) workload.classes.push_back(std::move(c));
  return workload;
}

std::string workload_list() {
  std::string text;
  for (const Kind& kind : kinds) text += fmt::format("  {:<10} {}\n", kind.name, kind.what);
  return text + fmt::format("  {:<10} {}\n", "replay", "your own statements: --replay FILE");
}

void load_data(const std::string& url, const std::vector<Workload>& workloads, const WorkloadOptions& options) {
  const auto any = [&](auto condition) { return std::any_of(workloads.begin(), workloads.end(), condition); };
  if (any([](const Workload& w) { return w.name == "oltp"; })) load_bank(url, options.scale);
  if (any([](const Workload& w) { return w.name == "analytic"; })) workload::load_tpch(url, options.scale);
  if (any([](const Workload& w) { return !w.on_users_data; })) workload::load(url, Scale{options.scale}, options.seed);
}

}  // namespace pgsteer::harness
