// pgsteer explain --verify: both forms of a statement on the server itself, in one read-only snapshot.
#include <fmt/format.h>

#include <iostream>

#include "proxy/cli/cli.hpp"
#include "proxy/learner/catalog_loader.hpp"
#include "proxy/learner/prober.hpp"
#include "proxy/learner/verifier.hpp"

namespace pgsteer::proxy::cli {
namespace {

using namespace learning;

constexpr std::chrono::milliseconds kLimit{600000};

std::string scalar(Connection& connection, const std::string& sql) {
  const Rows rows = connection.run(sql);
  return rows.ok() && rows.rows() == 1 ? std::string(rows.text(0, 0)) : std::string();
}

double cost_of(Connection& connection, const std::string& text) { return explain(connection, text, {}).total_cost; }

void print_form(const std::string& label, double cost, const Answer& answer, const std::string& verdict) {
  std::cout << fmt::format("{}: cost {:.2f}, ", label, cost)
            << (answer.ok ? fmt::format("{:.2f} ms, {} row{}", answer.ms, answer.rows, answer.rows == 1 ? "" : "s")
                          : "not run: " + answer.message)
            << (verdict.empty() ? "" : ": ") << verdict << "\n";
}

int verify_with(Connection& connection, const sql::Catalog& catalog, const std::string& statement) {
  sql::AnalysisCache analyses(16, 1 << 20, sql::Limits{});
  const auto analysis = analyses.get(statement);
  sql::SessionFacts session;
  session.database = scalar(connection, "SELECT current_database()");
  session.user = scalar(connection, "SELECT current_user");
  session.search_path = scalar(connection, "SHOW search_path");
  const sql::Query query{statement, {}, false, sql::TransactionStatus::idle, &session};
  std::string why;
  const auto candidates = rewriter::rewrite(query, *analysis, catalog, rewriter::RuleSwitches{}, &why);
  if (candidates.empty()) {
    std::cout << "no rule rewrites this statement: " << why << "\n";
    return exit_ok;
  }
  bool all_equal = true, first = true;
  for (const auto& candidate : candidates) {
    const auto c = compare_forms(connection, statement, candidate.text, {}, {}, kLimit);
    if (first) print_form("original", cost_of(connection, statement), c.original, "");
    first = false;
    const bool equal = c.result == Comparison::Result::equal;
    print_form(candidate.label(), cost_of(connection, candidate.text), c.rewritten,
               equal ? "the answer is equal"
               : c.result == Comparison::Result::different ? "THE ANSWER IS DIFFERENT: " + c.why
                                                           : "not compared: " + c.why);
    for (const auto& fact : candidate.facts) std::cout << "  because " << fact << "\n";
    std::cout << "  " << candidate.text << "\n";
    all_equal = all_equal && equal;
    if (connection.broken()) break;
  }
  return all_equal ? exit_ok : exit_failure;
}

}  // namespace

int explain_verify(const std::string& url, const std::string& statement) {
  std::string error;
  auto target = read_connection_string(url, &error);
  if (target) target->emplace_back("fallback_application_name", "pgsteer explain");
  auto connection = target ? Connection::open(*target, std::chrono::seconds(10), {}, &error) : nullptr;
  if (!connection) {
    std::cerr << "pgsteer explain: " << error << "\n";
    return exit_failure;
  }
  connection->run("SET pgsteer.mode = 'off'");  // a placeholder to PostgreSQL; through pgsteer, nothing is changed on the way
  try {
    CatalogSignature signature;
    const auto catalog = CatalogLoader(url).load(&signature);
    return verify_with(*connection, *catalog, statement);
  } catch (const std::exception& fault) {
    std::cerr << "pgsteer explain: the catalog cannot be read: " << fault.what() << "\n";
    return exit_failure;
  }
}

}  // namespace pgsteer::proxy::cli
