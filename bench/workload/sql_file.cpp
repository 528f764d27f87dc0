#include "bench/workload/sql_file.hpp"

#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <stdexcept>

#include <fmt/format.h>

namespace pgsteer::workload {
namespace {

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == at) parts.emplace_back();
    else parts.back() += c;
  }
  return parts;
}

/// What stands between braces, with one of its values put in: a|b|c, 3..9, name=a|b|c, or a name given before.
std::string fill(const std::string& text, Random& random, std::map<std::string, std::string>& named) {
  if (const auto known = named.find(text); known != named.end()) return known->second;
  const auto equals = text.find('=');
  const std::string choices = equals == std::string::npos ? text : text.substr(equals + 1);
  std::string value;
  if (const auto dots = choices.find(".."); dots != std::string::npos) {
    value = std::to_string(random.between(std::stoi(choices.substr(0, dots)), std::stoi(choices.substr(dots + 2))));
  } else {
    const auto list = split(choices, '|');
    value = list[random.below(list.size())];
  }
  if (equals != std::string::npos) named[text.substr(0, equals)] = value;
  return value;
}

}  // namespace

std::string fill_template(const std::string& text, Random& random) {
  std::map<std::string, std::string> named;
  std::string filled;
  for (std::size_t at = 0; at < text.size();) {
    const auto open = text.find('{', at);
    if (open == std::string::npos) return filled + text.substr(at);
    const auto close = text.find('}', open);
    if (close == std::string::npos) throw std::invalid_argument("a brace is not closed: " + text.substr(open, 40));
    filled += text.substr(at, open - at) + fill(text.substr(open + 1, close - open - 1), random, named);
    at = close + 1;
  }
  return filled;
}

std::vector<StatementClass> sql_file_classes(const std::string& path, int per_round) {
  std::ifstream file(path);
  if (!file) throw std::invalid_argument("cannot read " + path);
  return sql_classes(std::string(std::istreambuf_iterator<char>(file), {}), path, per_round);
}

std::vector<StatementClass> sql_classes(const std::string& text, const std::string& path, int per_round) {
  std::istringstream file(text);
  std::vector<StatementClass> classes;
  std::string name, what, sql;
  bool ordered = false;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("-- name: ", 0) == 0) {
      const auto end = line.find(' ', 9);
      name = line.substr(9, end - 9);
      what = end == std::string::npos ? "" : line.substr(line.find_first_not_of(' ', end));
      sql.clear();
      ordered = false;
    } else if (line == "-- ordered") {
      ordered = true;
    } else if (line.rfind("--", 0) != 0 && !line.empty() && !name.empty()) {
      sql += (sql.empty() ? "" : "\n") + line;
      if (sql.back() != ';') continue;
      sql.pop_back();
      classes.push_back({name, what, [sql, ordered](Random& random) {
        return Statement{{{fill_template(sql, random), {}, Protocol::simple}}, ordered, {}};
      }, per_round, 1, 1, false});
      name.clear();
    }
  }
  if (classes.empty()) throw std::invalid_argument(path + " holds no statement");
  if (!name.empty()) throw std::invalid_argument(fmt::format("{}: statement {} does not end in a semicolon", path, name));
  return classes;
}

}  // namespace pgsteer::workload
