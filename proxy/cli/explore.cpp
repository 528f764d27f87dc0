// pgsteer explore: a running pgsteer tries planner settings now, within a budget; what came of it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <thread>

#include "policies/policy.hpp"
#include "proxy/cli/cli.hpp"
#include "proxy/cli/connection.hpp"

namespace pgsteer::proxy::cli {
namespace {

struct Options {
  std::string url = "postgresql://127.0.0.1:6432/pgsteer";
  std::string budget = "1min", wait = "1h";
};

std::map<std::string, std::string> pairs(Connection& console, const std::string& command) {
  std::map<std::string, std::string> values;
  for (const auto& row : console.execute(command).rows)
    if (row.size() > 1) values[row[0]] = row[1];
  return values;
}

int fail(const std::string& why) {
  std::cerr << "pgsteer explore: " << why << "\n";
  return exit_failure;
}

int explore(const Options& options) {
  const auto patience = policies::parse_duration(options.wait);
  if (!policies::parse_duration(options.budget) || !patience) {
    std::cerr << "pgsteer explore: --budget and --wait take a duration such as 10min\n";
    return exit_usage;
  }
  Connection console(options.url);
  if (!console.ok()) return fail(console.error());
  const auto before = pairs(console, "SHOW FEEDBACK");
  if (!before.contains("explored_ms")) return fail("--url must name the console of a pgsteer that learns");
  const auto started = console.execute("EXPLORE '" + options.budget + "'");
  if (!started.error.empty()) return fail(started.error);
  const auto end = std::chrono::steady_clock::now() + *patience;
  bool settled = false;
  while (!settled && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    auto now = pairs(console, "SHOW FEEDBACK");
    if (now.empty()) return fail("pgsteer has gone away");
    settled = now["settled"] == "yes";
  }
  const double spent = std::atof(pairs(console, "SHOW FEEDBACK")["explored_ms"].c_str()) - std::atof(before.at("explored_ms").c_str());
  std::map<std::string, int> states;
  for (const auto& row : console.execute("SHOW EXPERIMENTS").rows)
    if (row.size() > 3 && row[2].starts_with("arm:")) ++states[row[3]];
  std::cout << fmt::format("{} in {:.1f} s of execution time\n", settled ? "nothing is left to explore, or the budget is spent," : "still exploring,", spent / 1000);
  for (const auto& [state, count] : states) std::cout << fmt::format("  {:>6} arms {}\n", count, state);
  std::cout << "SHOW STEERING on the console lists what acts now, SHOW EXPERIMENTS everything that was tried\n";
  return exit_ok;
}

}  // namespace

std::function<int()> add_explore(CLI::App& app, const std::string&) {
  auto options = std::make_shared<Options>();
  app.add_option("--url", options->url, "the console of a running pgsteer, as libpq takes it")->capture_default_str();
  app.add_option("--budget", options->budget, "execution time that may be spent beyond what policies allow")->capture_default_str();
  app.add_option("--wait", options->wait, "how long to wait for the end of it")->capture_default_str();
  return [options] { return explore(*options); };
}

}  // namespace pgsteer::proxy::cli
