// conf/pgsteer.toml is the manual of settings: complete, in its defaults true, and honest about ranges and reloads.
#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include <doctest/doctest.h>

#include "proxy/config.hpp"
#include "tests/support/servers.hpp"

namespace pgsteer::proxy {
namespace {

const std::string conf = std::string(PGSTEER_SOURCE_DIR) + "/conf";

struct Described {
  std::string value, facts;  ///< text after '='; the "#   kind; default; reload" line above it
  bool explained = false;    ///< some words stand above it
};

/// Reads the file as a person does: section, comment, key = value.
std::map<std::string, Described> read_manual(std::vector<std::string>* order) {
  std::map<std::string, Described> manual;
  std::ifstream stream(conf + "/pgsteer.toml");
  std::string line, section;
  Described next;
  while (std::getline(stream, line)) {
    if (line.starts_with("[")) {
      section = line.substr(1, line.find(']') - 1) + ".";
      next = {};
    } else if (line.starts_with("#   ")) {
      next.facts = line.substr(4);
    } else if (line.starts_with("# ")) {
      next.explained = true;
    } else if (const auto equals = line.find(" = "); equals != std::string::npos) {
      next.value = line.substr(equals + 3);
      order->push_back(section + line.substr(0, equals));
      manual[order->back()] = next;
      next = {};
    } else {
      next = {};
    }
  }
  return manual;
}

/// What a setting accepts, in the words of its own error message.
std::string accepted(const std::string& key) {
  const test::TempDir dir;
  const std::string path = dir.path() + "/c.toml";
  const auto dot = key.find('.');
  {
    std::ofstream file(path);
    if (dot != std::string::npos) file << "[" << key.substr(0, dot) << "]\n";
    file << (dot == std::string::npos ? key : key.substr(dot + 1)) << " = [[1]]\n";
  }
  std::vector<std::string> errors;
  CHECK_FALSE(Config::load(path, {}, &errors));
  REQUIRE(errors.size() == 1);
  const auto start = errors[0].find("expected ") + 9;
  return errors[0].substr(start, errors[0].rfind(", got ") - start);
}

}  // namespace

TEST_CASE("the manual names every setting, once, in the order of SHOW CONFIG") {
  std::vector<std::string> order, keys;
  read_manual(&order);
  const Config defaults;
  for (const auto& row : defaults.rows()) keys.push_back(row.key);
  // A key outside a section has to stand at the top of a TOML file.
  std::rotate(keys.begin(), std::find(keys.begin(), keys.end(), "state_dir"), keys.end());
  CHECK(order == keys);
}

TEST_CASE("the manual loads, and says what holds without it") {
  std::vector<std::string> errors;
  const auto config = Config::load(conf + "/pgsteer.toml", {}, &errors);
  for (const auto& error : errors) MESSAGE(error);
  REQUIRE(config);
  for (const auto& row : config->rows()) {
    CAPTURE(row.key);
    CHECK(row.source.starts_with(conf + "/pgsteer.toml:"));
    if (row.key == "state_dir") continue;  // "" stands for a folder that depends on the machine
    if (row.key == "policies.directory") CHECK(row.value == conf + "/policies");
    else CHECK(row.value == row.default_value);
  }
}

TEST_CASE("each setting is explained, with what is accepted, its default and how a change takes hold") {
  std::vector<std::string> order;
  const auto manual = read_manual(&order);
  const Config defaults;
  for (const auto& row : defaults.rows()) {
    CAPTURE(row.key);
    REQUIRE(manual.count(row.key) == 1);
    const Described& described = manual.at(row.key);
    CHECK(described.explained);
    CHECK(described.facts ==
          accepted(row.key) + "; default " + described.value + "; " + (row.changeable ? "reload" : "restart"));
  }
}

TEST_CASE("the least file loads") {
  std::vector<std::string> errors;
  const auto config = Config::load(conf + "/minimal.toml", {}, &errors);
  for (const auto& error : errors) MESSAGE(error);
  REQUIRE(config);
  CHECK(config->upstream.url == "postgresql://127.0.0.1:5432");
}

}  // namespace pgsteer::proxy
