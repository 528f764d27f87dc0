// pgsteer steering export | import: decisions to steer as a file that people can review, and back.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <optional>

#include "policies/toml_value.hpp"
#include "proxy/cli/cli.hpp"
#include "proxy/cli/connection.hpp"

namespace pgsteer::proxy::cli {
namespace {

struct Options {
  std::string url = "postgresql://127.0.0.1:6432/pgsteer";
  std::string file;
  bool dry_run = false;
};

/// As a basic string of TOML.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += std::string("\\") + c;
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else out += c;
  }
  return out + "\"";
}

/// As a literal of the console, which doubles quotes.
std::string literal(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
  return out + "'";
}

int export_file(const Options& options) {
  Connection console(options.url);
  if (!console.ok()) {
    std::cerr << "pgsteer steering export: " << console.error() << "\n";
    return exit_failure;
  }
  const auto result = console.execute("SHOW STEERING");
  if (!result.error.empty() || result.columns.size() < 9) {
    std::cerr << "pgsteer steering export: " << (result.error.empty() ? "--url must name the console of a pgsteer" : result.error) << "\n";
    return exit_failure;
  }
  std::ofstream out;
  if (!options.file.empty()) out.open(options.file);
  std::ostream& to = options.file.empty() ? std::cout : out;
  to << "# Decisions to steer, by pgsteer steering export. Import takes `explored` and `approved` as a person's word: the arm serves where the\n"
        "# default has that plan, under the usual guard. Delete what should not.\n";
  for (const auto& row : result.rows) {
    to << fmt::format("\n[[decision]]\nfingerprint = {}\ncandidate = {}\nword = {}\n", quoted(row[0]), quoted(row[2]), quoted(row[4]));
    if (!row[1].empty()) to << fmt::format("database = {}\n", quoted(row[1]));
    if (!row[3].empty()) to << fmt::format("plan = {}\n", quoted(row[3]));
    if (row[4] == "explored") to << fmt::format("# {} instances explored, gain {:.0f} %, the worst took {:.2f} times the default\n", row[5], std::atof(row[6].c_str()) * 100, std::atof(row[7].c_str()));
    if (!row[8].empty()) to << fmt::format("query = {}\n", quoted(row[8]));
  }
  to.flush();
  if (!to) {
    std::cerr << "pgsteer steering export: cannot write " << options.file << "\n";
    return exit_failure;
  }
  return exit_ok;
}

/// The console command of one decision; nullopt with *error.
std::optional<std::string> command_of(const policies::TomlValue& decision, std::string* error) {
  std::map<std::string, std::string> values;
  for (const auto& entry : *decision.table()) {
    static const std::vector<std::string> keys{"fingerprint", "candidate", "word", "database", "plan", "query"};
    if (std::find(keys.begin(), keys.end(), entry.key) == keys.end()) {
      *error = policies::unknown_name("key", entry.key, "[[decision]]", keys);
      return std::nullopt;
    }
    if (!entry.value.text()) {
      *error = entry.key + ": expected a text";
      return std::nullopt;
    }
    values[entry.key] = *entry.value.text();
  }
  const std::string what = literal(values["fingerprint"]), candidate = literal(values["candidate"]);
  const std::string& word = values["word"];
  if (word == "pinned") return "PIN " + what + " TO " + candidate;
  if (word == "banned") return "BAN " + what + " " + candidate;
  if (word == "explored" || word == "approved") {
    std::string command = "APPROVE " + what + " " + candidate;
    if (!values["plan"].empty()) command += " PLAN " + literal(values["plan"]);
    if (!values["database"].empty()) command += " IN " + literal(values["database"]);
    return command;
  }
  *error = "word: expected explored, approved, pinned or banned, got \"" + word + "\"";
  return std::nullopt;
}

int import_file(const Options& options) {
  const auto fail = [](const std::string& why) {
    std::cerr << "pgsteer steering import: " << why << "\n";
    return exit_failure;
  };
  std::string error;
  const auto text = policies::read_file(options.file, &error);
  if (!text) return fail(error);
  const auto document = policies::parse_toml(*text, options.file, &error);
  if (!document) return fail(error);
  std::vector<std::string> commands;
  for (const auto& entry : *document->table()) {
    if (entry.key != "decision" || !entry.value.array()) return fail(fmt::format("{}:{}: expected [[decision]]", options.file, entry.line));
    for (const auto& decision : *entry.value.array()) {
      if (!decision.table()) return fail(fmt::format("{}:{}: expected a table", options.file, decision.line));
      const auto command = command_of(decision, &error);
      if (!command) return fail(fmt::format("{}:{}: {}", options.file, decision.line, error));
      commands.push_back(*command);
    }
  }
  if (options.dry_run) {
    for (const auto& command : commands) std::cout << command << ";\n";
    return exit_ok;
  }
  Connection console(options.url);
  if (!console.ok()) return fail(console.error());
  int refused = 0;
  for (const auto& command : commands) {
    const auto result = console.execute(command);
    if (result.error.empty()) continue;
    ++refused;
    std::cerr << command << ": " << result.error << "\n";
  }
  std::cout << fmt::format("{} decisions taken over, {} refused\n", commands.size() - static_cast<std::size_t>(refused), refused);
  return refused == 0 ? exit_ok : exit_failure;
}

std::function<int()> add_export(CLI::App& app, const std::string&) {
  auto options = std::make_shared<Options>();
  app.add_option("--url", options->url, "the console of a running pgsteer, as libpq takes it")->capture_default_str();
  app.add_option("file", options->file, "where to; default: standard output")->type_name("FILE");
  return [options] { return export_file(*options); };
}

std::function<int()> add_import(CLI::App& app, const std::string&) {
  auto options = std::make_shared<Options>();
  app.add_option("--url", options->url, "the console of a running pgsteer, as libpq takes it")->capture_default_str();
  app.add_flag("--dry-run", options->dry_run, "only print the console commands it would give");
  app.add_option("file", options->file, "what pgsteer steering export wrote")->type_name("FILE")->required();
  return [options] { return import_file(*options); };
}

constexpr Command steering[] = {
    {"export", "what is steered, pinned and banned, as a file to review", add_export},
    {"import", "takes such a file over: approvals, pins and bans", add_import},
};

}  // namespace

std::span<const Command> all_steering() { return steering; }

}  // namespace pgsteer::proxy::cli
