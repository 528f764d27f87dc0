// What we ship has to load, and to say what its comments promise.
#include <filesystem>
#include <fstream>
#include <sstream>

#include <doctest/doctest.h>

#include "policies/policy.hpp"

namespace pgsteer::policies {
namespace {

const std::string conf = std::string(PGSTEER_SOURCE_DIR) + "/conf";

std::shared_ptr<const PolicySet> load_file(const std::string& path) {
  std::ifstream stream(path);
  std::ostringstream text;
  text << stream.rdbuf();
  REQUIRE_FALSE(text.str().empty());
  std::vector<FileError> errors;
  auto set = PolicySet::parse(text.str(), path, &errors);
  for (const auto& error : errors) MESSAGE(error.text);
  REQUIRE(set);
  return set;
}

}  // namespace

TEST_CASE("the policy as shipped observes and nothing else") {
  std::vector<FileError> errors;
  const auto set = PolicySet::load(conf + "/policies", &errors);
  for (const auto& error : errors) MESSAGE(error.text);
  REQUIRE(set);
  CHECK(set->rules().empty());
  CHECK(set->defaults().mode == Mode::observe);
  CHECK_FALSE(set->any_cache());
}

TEST_CASE("the commented examples of the shipped policy load once uncommented") {
  std::ifstream stream(conf + "/policies/default.toml");
  std::string line, text;
  int rules = 0;
  while (std::getline(stream, line)) {
    const bool code = line.starts_with("# ") && (line.find(" = ") != std::string::npos || line.starts_with("# [["));
    if (code) text += line.substr(2) + "\n";
    if (line == "# [[rule]]") ++rules;
  }
  std::vector<FileError> errors;
  const auto set = PolicySet::parse(text, "uncommented", &errors);
  for (const auto& error : errors) MESSAGE(error.text);
  REQUIRE(set);
  CHECK(rules == 3);
  CHECK(set->rules().size() == 3);
}

TEST_CASE("all samples load") {
  int seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(conf + "/samples")) {
    CAPTURE(entry.path().string());
    const auto set = load_file(entry.path().string());
    CHECK(set->rules().size() >= 3);
    CHECK(set->defaults().mode == Mode::observe);
    CHECK_FALSE(set->explain().empty());
    ++seen;
  }
  CHECK(seen == 3);
}

TEST_CASE("the web sample does what its comments say") {
  const auto set = load_file(conf + "/samples/web.toml");
  sql::Analysis a;
  sql::SessionFacts s;
  a.kind = sql::StatementKind::select;
  a.tables.resize(1);
  a.tables[0].name = "prices";
  CHECK(set->resolve(a, s).mode == Mode::auto_);
  CHECK(set->resolve(a, s).cache.mode == cache::Consistency::strict);
  s.application = "checkout-3";
  CHECK(set->resolve(a, s).mode == Mode::off);
  s.application = "web";
  a.kind = sql::StatementKind::update;
  CHECK(set->resolve(a, s).mode == Mode::observe);
  a.kind = sql::StatementKind::select;
  a.tables[0].name = "orders";
  CHECK(set->resolve(a, s).mode == Mode::canary);
  CHECK(set->resolve(a, s).steer.floor == std::chrono::milliseconds(20));
}

}  // namespace pgsteer::policies
