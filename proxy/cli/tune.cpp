// pgsteer tune: what other settings of the learner would have come to, from recorded feedback alone. It proposes; a person edits the policy.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "policies/replay.hpp"
#include "proxy/cli/cli.hpp"
#include "proxy/cli/settings.hpp"
#include "proxy/config.hpp"
#include "proxy/learner/fleet_store.hpp"
#include "proxy/reload.hpp"
#include "proxy/tuning.hpp"

namespace pgsteer::proxy::cli {
namespace {

struct Options {
  Settings settings;
  std::string rule;
  bool dry_run = false;
};

int fail(int code, const std::string& why) {
  std::cerr << "pgsteer tune: " << why << "\n";
  return code;
}

/// The steering settings in force for a rule; nullopt: there is no such rule.
std::optional<policies::SteerAction> present_settings(const policies::PolicySet& set, const std::string& rule) {
  const auto base = set.defaults().steer.value_or(policies::SteerAction{});
  if (rule.empty() || rule == "default") return base;
  for (const auto& one : set.rules())
    if (one.name == rule) return one.actions.steer.value_or(base);
  return std::nullopt;
}

void print(const std::vector<policies::Evaluation>& list) {
  std::cout << fmt::format("{:<26} {:>21} {:>21} {:>12} {:>8} {:>6} {:>10}\n", "settings", "time left (90 %)", "against as it is", "exploring s", "steered", "worse",
                           "supported");
  for (const auto& e : list)
    std::cout << fmt::format("{:<26} {:>6.3f} ({:.3f}-{:.3f}) {:>+6.3f} ({:+.3f}..{:+.3f}) {:>9.1f} {:>8} {:>6} {:>8.0f} %{}\n", e.name, e.ratio, e.low, e.high, e.against,
                             e.against_low, e.against_high, e.explored_ms / 1000, e.steered, e.worse, e.supported * 100, e.better ? "  better" : "");
}

int tune(const Options& options) {
  std::vector<std::string> errors;
  const auto config = Config::load(options.settings.config_file, options.settings.overrides(), &errors);
  for (const auto& error : errors) std::cerr << error << "\n";
  if (!config) return exit_config;
  std::vector<policies::FileError> faults;
  const auto set = policies::PolicySet::load(config->policies.directory, &faults);
  for (const auto& fault : faults) std::cerr << fault.text << "\n";
  if (!set) return exit_config;
  const auto present = present_settings(*set, options.rule);
  if (!present) return fail(exit_usage, "no rule is called '" + options.rule + "'");
  std::string error;
  const auto directory = state_directory(*config);
  const auto store = learning::open_feedback_store(*config, true, &error);
  if (!store) return fail(exit_failure, error);
  std::vector<predictor::Feedback> rows;
  const auto keep = [&](const predictor::Feedback& row) {
    if (options.rule.empty() || row.policy_rule == options.rule) rows.push_back(row);
  };
  if (!store->read(predictor::feature_schema(), keep, &error)) return fail(exit_failure, error);
  const auto tried = policies::variants(*present);
  const auto found = policies::evaluate(rows, tried, config->learning.seed);
  if (found.empty()) return fail(exit_failure, "nothing was served that could be valued; it takes feedback of statements that pgsteer has seen");
  print(found);
  std::cout << "Nothing was changed. What is better goes into the policy's `steer`, by hand.\n";
  if (options.dry_run) return exit_ok;
  if (!write_tuning(directory, options.rule, found, &error)) return fail(exit_failure, error);
  std::cout << "SHOW TUNING on the console shows this.\n";
  return exit_ok;
}

}  // namespace

std::function<int()> add_tune(CLI::App& app, const std::string&) {
  auto options = std::make_shared<Options>();
  add_settings(app, options->settings, false);
  app.add_option("--rule", options->rule, "only what this policy rule decided, against its settings");
  app.add_flag("--dry-run", options->dry_run, "print only; else SHOW TUNING shows the result, too");
  return [options] { return tune(*options); };
}

}  // namespace pgsteer::proxy::cli
