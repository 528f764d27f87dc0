// pgsteer-workload: makes the sample data, drives a workload, compares servers. See README.md.
#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "bench/workload/compare.hpp"
#include "bench/workload/drive.hpp"
#include "bench/workload/loader.hpp"
#include "bench/workload/sql_file.hpp"

using namespace pgsteer::workload;

namespace {

struct Arguments {
  std::string url, dataset = "shop", out, mix, rows = "medium", rhythm = "none", observe, after, format = "table";
  std::vector<std::string> urls, classes, statements;
  int per_round = 3;
  Scale scale;
  std::uint64_t seed = 1;
  DriveOptions drive;
  CompareOptions compare;
  bool demand_gains = false, schema_only = false, not_slower = false;
};

std::vector<StatementClass> chosen_classes(const Arguments& arguments) {
  std::vector<StatementClass> all;
  for (const std::string& path : arguments.statements) {
    for (StatementClass& c : sql_file_classes(path, arguments.per_round)) all.push_back(std::move(c));
  }
  if (all.empty()) all = make_classes(arguments.dataset, arguments.scale);
  if (arguments.classes.empty() || arguments.classes.front() == "all") return all;
  std::vector<StatementClass> chosen;
  for (const std::string& name : arguments.classes) {
    const auto found = std::find_if(all.begin(), all.end(), [&name](const StatementClass& c) { return c.name == name; });
    if (found == all.end()) {
      std::string names;
      for (const StatementClass& c : all) names += " " + c.name;
      throw std::invalid_argument("no class '" + name + "' in data set " + arguments.dataset + "; there are:" + names);
    }
    chosen.push_back(*found);
  }
  return chosen;
}

std::map<std::string, double> parse_mix(const std::string& text) {
  std::map<std::string, double> mix;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) {
    const auto equals = part.find('=');
    if (equals == std::string::npos) throw std::invalid_argument("--mix: expected class=weight, got '" + part + "'");
    mix[part.substr(0, equals)] = std::stod(part.substr(equals + 1));
  }
  return mix;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

int load_data(const Arguments& arguments) {
  if (arguments.dataset == "travel") {  // the tables come with its own load.sh
    Connection(arguments.url).execute(std::string(travel_extra_sql));
    return 0;
  }
  Scale scale = arguments.scale;
  if (arguments.rows == "small") scale.factor *= 0.2;
  const auto begin = std::chrono::steady_clock::now();
  const Digest digest = load(arguments.url, scale, arguments.seed);
  fmt::print("{} rows, checksum {:016x}, {:.1f} s\n", digest.rows, digest.checksum, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  return 0;
}

int compare_targets(Arguments& arguments) {
  for (const std::string& url : arguments.urls) arguments.compare.targets.push_back(parse_target(url));
  arguments.compare.seed = arguments.seed;
  Comparison comparison = compare(chosen_classes(arguments), arguments.compare);
  comparison.dataset = arguments.dataset;
  if (!arguments.out.empty()) std::ofstream(arguments.out) << to_json(comparison) << '\n';
  fmt::print("{}", arguments.format == "json" ? to_json(comparison) : to_table(comparison));
  std::uint64_t unequal = 0;
  for (const ClassResult& result : comparison.classes) {
    unequal += result.unequal;
    if (result.unequal > 0) fmt::print(stderr, "{}: {} of {} answers differ; first: {}\n", result.name, result.unequal, result.compared, result.first_unequal);
  }
  if (!arguments.not_slower) return unequal == 0 ? 0 : 1;
  const std::vector<std::string> failures = verdict("compare", comparison);
  for (const std::string& failure : failures) fmt::print("FAILED: {}\n", failure);
  return failures.empty() ? 0 : 1;
}

int make_report(const Arguments& arguments) {
  const Report result = report(from_json(read_file(arguments.observe)), from_json(read_file(arguments.after)), arguments.demand_gains);
  fmt::print("{}", result.text);
  for (const std::string& failure : result.failures) fmt::print("FAILED: {}\n", failure);
  if (result.failures.empty()) fmt::print("Every answer was equal to the direct one, and no class was slower than direct by more than its noise.\n");
  return result.failures.empty() ? 0 : 1;
}

int run_workload(Arguments& arguments) {
  arguments.drive.url = arguments.url;
  arguments.drive.seed = arguments.seed;
  arguments.drive.out = arguments.out;
  arguments.drive.mix = parse_mix(arguments.mix);
  arguments.drive.day_rhythm = arguments.rhythm == "day";
  const DriveResult result = drive(chosen_classes(arguments), arguments.drive);
  fmt::print("{}", to_table(result));
  for (const auto& [name, c] : result.classes) {
    if (c.errors > 0) return 1;
  }
  return 0;
}

void add_common(CLI::App* command, Arguments& arguments) {
  command->add_option("--dataset", arguments.dataset, "shop (generated) or travel")->check(CLI::IsMember({"shop", "travel"}));
  command->add_option("--statements", arguments.statements, "files of SQL instead of a data set's own classes (sql_file.hpp)");
  command->add_option("--per-round", arguments.per_round, "statements drawn from each template of such a file")->check(CLI::Range(1, 1000))->capture_default_str();
  command->add_option("--seed", arguments.seed, "same seed, same data and statements")->capture_default_str();
  command->add_option("--scale", arguments.scale.factor, "1 = about 3 million rows")->check(CLI::Range(0.001, 20.0))->capture_default_str();
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  Arguments arguments;
  CLI::App app{"pgsteer-workload: sample data, a workload on it, and comparisons of servers"};
  app.require_subcommand(1);

  CLI::App* load_command = app.add_subcommand("load", "generate and load the data");
  load_command->add_option("--url", arguments.url, "connection string of the database; its tables of these names are replaced")->required();
  load_command->add_option("--rows", arguments.rows, "small = a fifth of medium")->check(CLI::IsMember({"small", "medium"}))->capture_default_str();
  add_common(load_command, arguments);

  CLI::App* run_command = app.add_subcommand("run", "send a mixed workload");
  run_command->add_option("--url", arguments.url)->required();
  run_command->add_option("--class", arguments.classes, "one or more, or all (the default)")->delimiter(',');
  run_command->add_option("--seconds", arguments.drive.seconds);
  run_command->add_option("--count", arguments.drive.count, "statements in all");
  run_command->add_option("--each", arguments.drive.each, "so many statements of every class, in turn");
  run_command->add_option("--rate", arguments.drive.rate, "statements a second; 0 = closed loop");
  run_command->add_option("--clients", arguments.drive.clients)->check(CLI::Range(1, 1000))->capture_default_str();
  run_command->add_option("--mix", arguments.mix, "class=weight,class=weight instead of the built-in weights");
  run_command->add_option("--rhythm", arguments.rhythm, "day: rate and mix follow a day")->check(CLI::IsMember({"none", "day"}));
  run_command->add_option("--day-seconds", arguments.drive.day_seconds, "length of that day")->check(CLI::PositiveNumber)->capture_default_str();
  run_command->add_option("--out", arguments.out, "JSON lines, one a statement");
  add_common(run_command, arguments);

  CLI::App* compare_command = app.add_subcommand("compare", "the same statements through several servers, in turn");
  compare_command->add_option("--url", arguments.urls, "LABEL=URL, two or more; the first is the baseline")->required();
  compare_command->add_option("--class", arguments.classes)->delimiter(',');
  compare_command->add_option("--rounds", arguments.compare.rounds)->check(CLI::Range(1, 1000))->capture_default_str();
  compare_command->add_option("--console", arguments.compare.console_url, "pgsteer's console: ask it what it did");
  compare_command->add_flag("--not-slower", arguments.not_slower, "fail also when a class is slower than the baseline by more than its noise");
  compare_command->add_option("--out", arguments.out, "JSON file");
  compare_command->add_option("--format", arguments.format)->check(CLI::IsMember({"table", "json"}));
  add_common(compare_command, arguments);

  CLI::App* report_command = app.add_subcommand("report", "one table and a verdict from two comparisons");
  report_command->add_option("--observe", arguments.observe)->required();
  report_command->add_option("--after", arguments.after)->required();
  report_command->add_flag("--demand-gains", arguments.demand_gains, "fail unless a class each was rewritten, steered, cached and faster");

  CLI::App* classes_command = app.add_subcommand("classes", "list the statement classes with an example each");
  add_common(classes_command, arguments);

  CLI11_PARSE(app, argc, argv);
  try {
    if (load_command->parsed()) return load_data(arguments);
    if (run_command->parsed()) return run_workload(arguments);
    if (compare_command->parsed()) return compare_targets(arguments);
    if (report_command->parsed()) return make_report(arguments);
    for (const StatementClass& c : chosen_classes(arguments)) {
      Random random(arguments.seed);
      fmt::print("{:16} {}\n    {}\n", c.name, c.what, c.draw(random).steps.back().sql);
    }
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "pgsteer-workload: {}\n", error.what());
    return 1;
  }
}
