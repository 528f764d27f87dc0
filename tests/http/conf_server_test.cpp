// conf/grafana and conf/prometheus ask only for what is exported.
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "tests/http/daemon.hpp"

using namespace pgsteer::test;
using nlohmann::json;

namespace {

std::string read(const std::string& name) {
  std::ifstream in(std::string(PGSTEER_SOURCE_DIR) + "/conf/" + name);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Names of series in an expression; those of a histogram by their family.
std::set<std::string> names_in(const std::string& expression) {
  std::set<std::string> names;
  static const std::regex name(R"((pgsteer|process)_[a-z0-9_]+)");
  for (std::sregex_iterator at(expression.begin(), expression.end(), name), end; at != end; ++at) names.insert(at->str());
  return names;
}

std::string family(const Exposition& e, const std::string& name) {
  for (const char* suffix : {"_bucket", "_sum", "_count"}) {
    if (!name.ends_with(suffix)) continue;
    const auto base = name.substr(0, name.size() - std::string(suffix).size());
    if (e.types.contains(base) && e.types.at(base) == "histogram") return base;
  }
  return e.types.contains(name) && e.types.at(name) != "histogram" ? name : "";
}

}  // namespace

TEST_CASE("each name in the dashboard and in the alert rules is a metric of the daemon") {
  if (!server_here()) return;
  const Redis redis;
  Daemon daemon({"--set", "cache.redis_url=redis://127.0.0.1:" + std::to_string(redis.port())});  // all families there are
  const auto e = read_exposition(get(daemon.http(), "/metrics").body);
  REQUIRE(e.types.size() > 30);
  const auto dashboard = json::parse(read("grafana/pgsteer.json"));
  CHECK(dashboard["schemaVersion"].get<int>() >= 30);
  CHECK(dashboard["uid"].is_string());
  std::set<int> ids;
  std::set<std::string> used;
  for (const auto& panel : dashboard["panels"]) {
    CAPTURE(panel["title"].get<std::string>());
    CHECK(ids.insert(panel["id"].get<int>()).second);
    const auto& place = panel["gridPos"];
    CHECK(place["x"].get<int>() + place["w"].get<int>() <= 24);
    CHECK(panel["targets"].size() >= 1);
    for (const auto& target : panel["targets"]) {
      const auto names = names_in(target["expr"].get<std::string>());
      CHECK_FALSE(names.empty());
      for (const auto& name : names) {
        CAPTURE(name);
        CHECK_FALSE(family(e, name).empty());
        used.insert(name);
      }
    }
  }
  CHECK(used.size() >= 15);
  const auto rules = read("prometheus/pgsteer.rules.yml");
  std::istringstream lines(rules);
  std::string line;
  int alerts = 0, expressions = 0;
  while (std::getline(lines, line)) {
    CHECK(line.find('\t') == std::string::npos);
    alerts += line.find("- alert: ") != std::string::npos;
    const auto at = line.find("expr: ");
    if (at == std::string::npos) continue;
    ++expressions;
    for (const auto& name : names_in(line.substr(at))) {
      CAPTURE(name);
      CHECK_FALSE(family(e, name).empty());
    }
  }
  CHECK(alerts >= 8);
  CHECK(alerts == expressions);
}
