// pgsteer check: configuration and policies in plain words, or every error with its file and line; with --statement, which rule
// decides on it and why not the ones before.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "cache/cache.hpp"
#include "policies/policy.hpp"
#include "proxy/cli/cli.hpp"
#include "proxy/cli/settings.hpp"
#include "proxy/config.hpp"
#include "proxy/console/describe.hpp"
#include "proxy/http/server.hpp"
#include "proxy/reload.hpp"
#include "rewriter/sql/analysis.hpp"

namespace pgsteer::proxy::cli {
namespace {

struct Options {
  Settings settings;
  std::string statement, user, database, application, client_address;
};

void print_configuration(const Config& config) {
  std::cout << "configuration: " << (config.config_file.empty() ? "no file, defaults" : config.config_file) << ": ok\n";
  for (const auto& row : config.rows())
    if (row.value != row.default_value)
      std::cout << fmt::format("  {} = {}   ({}; default {})\n", row.key, row.value, row.source,
                               row.default_value.empty() ? "empty" : row.default_value);
}

std::string rewrite_words(const policies::Effective& policy) {
  if (!policy.rewrite_enabled) return "off";
  std::string text = policy.rewrite.all ? "all rules" : policy.rewrite.only.empty() ? "no rule" : "only";
  if (!policy.rewrite.all)
    for (const auto& name : policy.rewrite.only) text += " " + name;
  for (const auto& name : policy.rewrite.excluded) text += ", not " + name;
  return text;
}

std::string cache_words(const policies::Effective& policy, const sql::Analysis& analysis) {
  if (policy.cache.mode == cache::Consistency::off) return policy.cache.learn ? "learned, off until it pays" : "off";
  const auto reason = cache::judge_syntax(analysis);
  if (reason != cache::Reason::none) return fmt::format("{}, but not this statement: {}", cache::to_string(policy.cache.mode), cache::to_string(reason));
  return fmt::format("{} (the server's own judgement decides at run time)", cache::to_string(policy.cache.mode));
}

void print_statement(const policies::PolicySet& policies, const Options& options) {
  const auto analysis = sql::analyse(options.statement);
  sql::SessionFacts session;
  session.database = options.database;
  session.user = options.user;
  session.application = options.application;
  session.client_address = options.client_address;
  const auto effective = policies.resolve(*analysis, session);
  std::cout << fmt::format("\nstatement: {}, fingerprint {}\n", sql::to_string(analysis->kind), analysis->fingerprint_hex);
  if (analysis->why_not != sql::WhyNot::none)
    std::cout << fmt::format("  not analysed ({}): relayed as it is\n", sql::to_string(analysis->why_not));
  for (const auto& table : analysis->tables)
    std::cout << fmt::format("  {} {}{}{}\n", table.written ? "writes" : "reads", table.schema, table.schema.empty() ? "" : ".", table.name);
  for (const auto& rule : policies.rules()) {
    if (rule.name == effective.rule && rule.where == effective.where) break;
    const auto reason = console::why_no_match(rule.match, *analysis, session);
    std::cout << fmt::format("  not rule \"{}\" ({}): {}\n", rule.name, rule.where, reason.empty() ? "it does not match" : reason);
  }
  if (effective.rule.empty() || effective.rule == "default") {
    std::cout << "decides: [default], because no rule matches\n";
  } else {
    std::cout << fmt::format("decides: rule \"{}\" ({})\n", effective.rule, effective.where);
    for (const auto& rule : policies.rules())
      if (rule.name == effective.rule && rule.where == effective.where)
        std::cout << fmt::format("  because it matches {}\n", console::describe(rule.match));
  }
  std::cout << fmt::format("  mode     {}\n  rewrite  {}\n  steer    {}\n  cache    {}\n", policies::to_string(effective.mode),
                           rewrite_words(effective), effective.steer.enabled ? "on" : "off", cache_words(effective, *analysis));
  if (!effective.lane.empty()) std::cout << "  lane     " << effective.lane << "\n";
  if (!effective.route.empty()) std::cout << "  route    " << effective.route << "\n";
}

int check(const Options& options) {
  std::vector<std::string> errors;
  const auto config = Config::load(options.settings.config_file, options.settings.overrides(), &errors);
  std::shared_ptr<const policies::PolicySet> policies;
  std::string directory;
  if (config) {  // policies are looked at too, so that one run names every fault
    directory = policy_directory(*config);
    std::vector<policies::FileError> policy_errors;
    policies = policies::PolicySet::load(directory, &policy_errors);
    for (const auto& error : policy_errors) errors.push_back(error.text);
  }
  if (!config || !policies || !errors.empty()) {
    for (const auto& error : errors) std::cerr << error << "\n";
    std::cerr << fmt::format("{} error{}: pgsteer would not start, and a reload would change nothing\n", errors.size(),
                             errors.size() == 1 ? "" : "s");
    return exit_config;
  }
  if (const auto problem = http_problem(*config, nullptr); !problem.empty()) {
    std::cerr << problem << "\n";
    return exit_config;
  }
  print_configuration(*config);
  std::cout << fmt::format("policies: {}: ok, {} rule{}\n", directory.empty() ? "no directory, built-in defaults" : directory,
                           policies->rules().size(), policies->rules().size() == 1 ? "" : "s");
  std::cout << policies->explain();
  if (!options.statement.empty()) print_statement(*policies, options);
  return exit_ok;
}

}  // namespace

std::function<int()> add_check(CLI::App& app, const std::string&) {
  auto options = std::make_shared<Options>();
  add_settings(app, options->settings, true);
  app.add_option("--statement", options->statement, "also say which rule decides on this statement, and why")->type_name("SQL");
  app.add_option("--user", options->user, "... sent by this user");
  app.add_option("--database", options->database, "... in this database");
  app.add_option("--application", options->application, "... with this application_name");
  app.add_option("--client-address", options->client_address, "... from this address");
  return [options] { return check(*options); };
}

}  // namespace pgsteer::proxy::cli
