// The list of sub-commands, and the command line around it.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <map>

#include "policies/policy.hpp"
#include "proxy/cli/cli.hpp"

namespace pgsteer::proxy::cli {
namespace {

constexpr Command commands[] = {
    {"run", "serve (the default): listen, relay, measure, and what the policies allow", add_run},
    {"check", "read configuration and policies and say in plain words what they mean", add_check},
    {"train", "train a model from the feedback store, validate and register it", add_train},
    {"tune", "what other steering settings would have come to, by what was recorded; changes nothing", add_tune},
    {"explain", "what a running pgsteer would do with a statement, and why", add_explain},
    {"ctl", "one console command to a running pgsteer, e.g. pgsteer ctl SHOW QUERIES", add_ctl},
    {"explore", "let a running pgsteer try planner settings now, within a budget, and say what it found", add_explore},
    {"steering", "write steering decisions to a file to review, or read them, see pgsteer steering --help", nullptr, all_steering},
    {"report", "a report to read or send on, see pgsteer report --help", nullptr, all_reports},
    {"bench", "measure pgsteer beside a direct connection and other proxies, see pgsteer bench --help", add_bench},
};

constexpr const char* version_text = "pgsteer " PGSTEER_VERSION;

std::vector<std::string> command_names(std::span<const Command> list) {
  std::vector<std::string> names;
  for (const Command& command : list)
    if (!command.help.empty()) names.emplace_back(command.name);
  return names;
}

/// The "--long" name nearest to a wrong one, "" when none is near. nearest_name knows names of lower case and '_'.
std::string nearest_flag(const CLI::App& app, const std::string& wrong) {
  std::map<std::string, std::string> flags;
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const auto& name : option->get_lnames()) {
      names.push_back(name);
      std::replace(names.back().begin(), names.back().end(), '-', '_');
      flags[names.back()] = "--" + name;
    }
  const auto near = policies::nearest_name(wrong.substr(std::min(wrong.size(), wrong.find_first_not_of('-'))), names);
  return near.empty() ? near : flags[near];
}

int usage_error(std::string_view command, const std::string& message, const std::string& near) {
  std::cerr << "pgsteer" << (command.empty() ? "" : " ") << command << ": " << message;
  if (!near.empty()) std::cerr << ": did you mean '" << near << "'?";
  std::cerr << "\nTry 'pgsteer" << (command.empty() ? "" : " ") << command << " --help'.\n";
  return exit_usage;
}

int unknown_argument(const CLI::App& app, const std::vector<std::string>& remaining) {
  const auto flag = std::find_if(remaining.begin(), remaining.end(), [](const auto& word) { return word.starts_with("-"); });
  const std::string wrong = flag != remaining.end() ? *flag : remaining.empty() ? std::string() : remaining.front();
  const std::string name = wrong.substr(0, wrong.find('='));
  if (!name.starts_with("-")) return usage_error(app.get_name(), fmt::format("unexpected argument '{}'", name), "");
  return usage_error(app.get_name(), fmt::format("unknown option '{}'", name), nearest_flag(app, name));
}

std::string executable_path(const char* argv0) {
  char path[4096];
  const auto length = ::readlink("/proc/self/exe", path, sizeof path);
  return length > 0 ? std::string(path, static_cast<std::size_t>(length)) : std::string(argv0);
}

/// `run` is what a command line without a sub-command means.
std::vector<std::string> with_command(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  const bool about = !words.empty() && (words[0] == "--help" || words[0] == "-h" || words[0] == "--version");
  if (!about && (words.empty() || words[0].starts_with("-"))) words.insert(words.begin(), "run");
  return words;
}

const Command* find_command(std::span<const Command> list, std::string_view name) {
  for (const Command& command : list)
    if (command.name == name) return &command;
  return nullptr;
}

constexpr const char* footer =
    "\nWithout a sub-command the options are those of run:\n"
    "  pgsteer --upstream postgresql://host:5432       listens on 127.0.0.1:6432, mode observe\n"
    "  psql -h 127.0.0.1 -p 6432 pgsteer               the console\n"
    "Exit codes: 0 done, 1 failed, 64 wrong usage, 78 wrong configuration.";

int show_about(const std::string& word) {
  if (word == "--version") {
    std::cout << version_text << "\n";
    return exit_ok;
  }
  std::cout << "pgsteer: a transparent SQL proxy for PostgreSQL that predicts, rewrites, steers, caches and learns.\n\n"
            << "Usage: pgsteer [sub-command] [options]      pgsteer <sub-command> --help says more\n\n";
  for (const Command& command : commands)
    if (!command.help.empty()) std::cout << fmt::format("  {:<10} {}\n", command.name, command.help);
  std::cout << "  --version  print the version\n" << footer << "\n";
  return exit_ok;
}

/// `pgsteer report --help`: what a command that only groups others says.
int show_group(const Command& group, const std::string& word) {
  if (word == "--version") {
    std::cout << version_text << "\n";
    return exit_ok;
  }
  std::cout << fmt::format("pgsteer {0}: {1}\n\nUsage: pgsteer {0} <which> [options]      pgsteer {0} <which> --help says more\n\n", group.name,
                           group.help);
  for (const Command& command : group.members())
    if (!command.help.empty()) std::cout << fmt::format("  {:<10} {}\n", command.name, command.help);
  return exit_ok;
}

int parse_and_run(const Command& command, const std::string& name, std::vector<std::string> words, const char* argv0) {
  CLI::App app(std::string(command.help), name);
  app.set_version_flag("--version", version_text);
  app.get_formatter()->column_width(34);
  const auto action = command.add(app, executable_path(argv0));
  std::reverse(words.begin(), words.end());  // as CLI11 wants a vector
  try {
    app.parse(words);
  } catch (const CLI::ExtrasError&) {
    return unknown_argument(app, app.remaining());
  } catch (const CLI::Success& asked) {  // --help, --version
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    return usage_error(name, error.what(), "");
  }
  return action();
}

}  // namespace

std::span<const Command> all_commands() { return commands; }

int run_command_line(int argc, char** argv) {
  auto words = with_command(argc, argv);
  std::span<const Command> list = commands;
  std::string name;  // "report workload"
  for (const Command* command = nullptr;; list = command->members()) {
    const bool about = words.empty() || words.front().starts_with("-");
    if (about && !command) return show_about(words.front());
    if (about) return words.empty() ? usage_error(name, "which one?", "") : show_group(*command, words.front());
    const Command* found = find_command(list, words.front());
    if (!found)
      return usage_error(name, fmt::format("unknown sub-command '{}'", words.front()), policies::nearest_name(words.front(), command_names(list)));
    command = found;
    name += (name.empty() ? "" : " ") + words.front();
    words.erase(words.begin());
    if (!command->members) return parse_and_run(*command, name, std::move(words), argv[0]);
  }
}

}  // namespace pgsteer::proxy::cli
