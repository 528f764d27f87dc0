// pgsteer explain: EXPLAIN (PGSTEER) through a running pgsteer. The statement is not executed, but by --verify (verify.cpp).
#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>

#include "proxy/cli/cli.hpp"
#include "proxy/cli/connection.hpp"

namespace pgsteer::proxy::cli {
namespace {

struct Options {
  std::string url = "postgresql://127.0.0.1:6432/";
  std::string statement, file;
  bool verify = false;
};

std::string read_all(std::istream& in) {
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

int explain(const Options& options) {
  std::string statement = options.statement;
  if (!options.file.empty()) {
    std::ifstream in(options.file);
    if (!in) {
      std::cerr << "pgsteer explain: cannot read " << options.file << "\n";
      return exit_failure;
    }
    statement = read_all(in);
  }
  if (statement.find_first_not_of(" \t\r\n;") == std::string::npos) {
    std::cerr << "pgsteer explain: there is no statement: give it as an argument or by --file\n";
    return exit_usage;
  }
  if (options.verify) return explain_verify(options.url, statement);
  Connection connection(options.url);
  if (!connection.ok()) {
    std::cerr << "pgsteer explain: " << connection.error() << "\n";
    return exit_failure;
  }
  const auto result = connection.execute("EXPLAIN (PGSTEER) " + statement);
  if (!result.error.empty()) {
    std::cerr << "pgsteer explain: " << result.error << "\n";
    if (result.error.find("unrecognized EXPLAIN option") != std::string::npos)
      std::cerr << "That is PostgreSQL itself: --url must name pgsteer's own address and port.\n";
    return exit_failure;
  }
  for (const auto& row : result.rows)
    if (!row.empty()) std::cout << row[0] << "\n";
  return exit_ok;
}

}  // namespace

std::function<int()> add_explain(CLI::App& app, const std::string&) {
  auto options = std::make_shared<Options>();
  app.add_option("--url", options->url, "a database reached through pgsteer, as libpq takes it")->capture_default_str();
  app.add_flag("--verify", options->verify,
               "run the statement as it is and as each rewrite has it, in one read-only snapshot of the server at --url (pgsteer or "
               "PostgreSQL itself): costs, times, and whether the answers are equal");
  app.add_option("--file", options->file, "read the statement from a file")->type_name("FILE");
  app.add_option("statement", options->statement, "the statement; executed only with --verify")->type_name("SQL");
  return [options] { return explain(*options); };
}

}  // namespace pgsteer::proxy::cli
