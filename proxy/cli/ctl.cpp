// pgsteer ctl: one console command, its answer as an aligned table (or CSV).
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "proxy/cli/cli.hpp"
#include "proxy/cli/connection.hpp"

namespace pgsteer::proxy::cli {
namespace {

struct Options {
  std::string host = "127.0.0.1", user, database = "pgsteer";
  int port = 6432;
  bool csv = false;
  std::vector<std::string> words;
};

/// Characters as a terminal shows them, near enough: UTF-8 continuation bytes take no room.
std::size_t width_of(const std::string& text) {
  std::size_t width = 0;
  for (const char c : text) width += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return width;
}

std::string padded(const std::string& text, std::size_t width, bool right) {
  const std::string blanks(width - std::min(width, width_of(text)), ' ');
  return right ? blanks + text : text + blanks;
}

/// A cell is one line in a table, whatever is in it.
std::string one_line(std::string text) {
  for (char& c : text)
    if (c == '\n' || c == '\r' || c == '\t') c = ' ';
  return text;
}

void print_line(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths, const std::vector<bool>& right) {
  std::string line;
  for (std::size_t c = 0; c < cells.size(); ++c) line += (c ? " | " : " ") + padded(one_line(cells[c]), widths[c], right[c]);
  while (!line.empty() && line.back() == ' ') line.pop_back();
  std::cout << line << "\n";
}

void print_table(const Connection::Result& result) {
  std::vector<std::size_t> widths;
  for (const auto& name : result.columns) widths.push_back(width_of(name));
  for (const auto& row : result.rows)
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], width_of(row[c]));
  print_line(result.columns, widths, std::vector<bool>(widths.size(), false));
  std::string rule;
  for (std::size_t c = 0; c < widths.size(); ++c) rule += (c ? "+" : "") + std::string(widths[c] + 2, '-');
  std::cout << rule << "\n";
  for (const auto& row : result.rows) print_line(row, widths, result.numeric);
  std::cout << fmt::format("({} row{})\n", result.rows.size(), result.rows.size() == 1 ? "" : "s");
}

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

void print_csv(const Connection::Result& result) {
  const auto line = [](const std::vector<std::string>& cells) {
    for (std::size_t c = 0; c < cells.size(); ++c) std::cout << (c ? "," : "") << csv_cell(cells[c]);
    std::cout << "\n";
  };
  line(result.columns);
  for (const auto& row : result.rows) line(row);
}

int ctl(const Options& options) {
  std::string command;
  for (const auto& word : options.words) command += (command.empty() ? "" : " ") + word;
  if (command.empty()) {
    std::cerr << "pgsteer ctl: there is no command: try 'pgsteer ctl SHOW HELP'\n";
    return exit_usage;
  }
  std::string target = connection_word("host", options.host) + connection_word("port", std::to_string(options.port)) +
                       connection_word("dbname", options.database) + connection_word("application_name", "pgsteer ctl");
  if (!options.user.empty()) target += connection_word("user", options.user);
  Connection connection(target);
  if (!connection.ok()) {
    std::cerr << "pgsteer ctl: " << connection.error() << "\n";
    return exit_failure;
  }
  const auto result = connection.execute(command);
  if (!result.error.empty()) {
    std::cerr << "ERROR: " << result.error << (result.sqlstate.empty() ? "" : " (" + result.sqlstate + ")") << "\n";
    if (!result.hint.empty()) std::cerr << "HINT: " << result.hint << "\n";
    return exit_failure;
  }
  if (result.columns.empty()) std::cout << result.tag << "\n";
  else if (options.csv) print_csv(result);
  else print_table(result);
  return exit_ok;
}

}  // namespace

std::function<int()> add_ctl(CLI::App& app, const std::string&) {
  auto options = std::make_shared<Options>();
  app.add_option("--host", options->host, "address or socket directory of pgsteer")->capture_default_str();
  app.add_option("-p,--port", options->port, "its port")->capture_default_str()->check(CLI::Range(1, 65535));
  app.add_option("-U,--user", options->user, "console user; default: the invoking user, or PGUSER");
  app.add_option("--database", options->database, "name of the console's database")->capture_default_str();
  app.add_flag("--csv", options->csv, "comma-separated values instead of a table");
  app.add_option("command", options->words, "a console command, e.g. SHOW QUERIES; SHOW HELP lists them")->type_name("COMMAND ...");
  return [options] { return ctl(*options); };
}

}  // namespace pgsteer::proxy::cli
