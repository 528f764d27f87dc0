// The OpenAPI document against the daemon: what it names answers as it says, what it does not name does not.
#include <nlohmann/json.hpp>
#include <map>
#include <random>

#include "tests/http/daemon.hpp"

using namespace pgsteer::test;
using nlohmann::json;

namespace {

/// "" or where `value` is not what `schema` says: the part of JSON Schema that the document uses.
std::string mismatch(const json& schema, const json& value, const std::string& at = "$") {
  const auto type = schema.value("type", "");
  if (value.is_null()) return schema.value("nullable", false) ? "" : at + " is null";
  if (type == "object") {
    if (!value.is_object()) return at + " is no object";
    for (const auto& name : schema.value("required", json::array()))
      if (!value.contains(name.get<std::string>())) return at + " has no " + name.get<std::string>();
    for (const auto& [name, part] : value.items()) {
      if (!schema.contains("properties")) continue;
      if (!schema["properties"].contains(name)) return at + " has an unknown " + name;
      if (auto wrong = mismatch(schema["properties"][name], part, at + "." + name); !wrong.empty()) return wrong;
    }
    return "";
  }
  if (type == "array") {
    if (!value.is_array()) return at + " is no array";
    for (const auto& item : value)
      if (auto wrong = mismatch(schema["items"], item, at + "[]"); !wrong.empty()) return wrong;
    return "";
  }
  const bool fits = (type == "string" && value.is_string()) || (type == "integer" && value.is_number_integer()) ||
                    (type == "number" && value.is_number()) || (type == "boolean" && value.is_boolean());
  return fits ? "" : at + " is no " + type + ": " + value.dump();
}

}  // namespace

TEST_CASE("each path answers as the document says, with every status it names for it and no other method") {
  if (!server_here()) return;
  Daemon daemon;
  {
    const auto connection = daemon.connect();
    for (int i = 0; i < 5; ++i) connection->run("SELECT " + std::to_string(i));
    connection->run("SELECT 1 / 0");
  }
  const auto document = json::parse(get(daemon.http(), "/api/v1/openapi.json").body);
  CHECK(document["openapi"] == "3.0.3");
  CHECK(document["paths"].size() == 44);
  std::string fingerprint;
  REQUIRE(eventually([&] {
    const auto rows = json::parse(get(daemon.http(), "/api/v1/statements").body)["rows"];
    if (!rows.empty()) fingerprint = rows[0]["fingerprint"];
    return !rows.empty();
  }));
  const std::string statement = "\"fingerprint\": \"" + fingerprint + "\"";
  const std::map<std::string, std::string> bodies{
      {"/api/v1/command", "{\"command\": \"SHOW STATS\"}"}, {"/api/v1/explain", "{\"sql\": \"SELECT 1\", \"database\": \"postgres\"}"},
      {"/api/v1/mode", "{\"mode\": \"default\"}"}, {"/api/v1/panic", "{\"on\": false}"}, {"/api/v1/pin", "{" + statement + ", \"label\": \"as-is\"}"},
      {"/api/v1/unpin", "{" + statement + "}"}, {"/api/v1/ban", "{" + statement + ", \"label\": \"rewrite:date_range\"}"},
      {"/api/v1/rules/ban", "{\"rule\": \"date_range\"}"}, {"/api/v1/rules/unban", "{\"rule\": \"date_range\"}"}};
  // What a fresh process cannot do: no model, no such client, nothing pinned, not paused.
  const std::map<std::string, int> refused_here{{"/api/v1/models/rollback", 409}, {"/api/v1/clients/kill", 404}};
  const auto error_schema = document["components"]["responses"]["error"]["content"]["application/json"]["schema"];
  for (const auto& [path, item] : document["paths"].items()) {
    CAPTURE(path);
    if (path == "/api/v1/events") continue;  // has a test of its own
    REQUIRE(item.size() == 1);
    const std::string method = item.begin().key();
    const auto& operation = item.begin().value();
    const auto& content = operation["responses"]["200"]["content"];
    std::vector<std::string> targets{path};
    if (path.ends_with("{name}")) {
      targets.clear();
      for (std::string name : operation["parameters"][0]["schema"]["enum"]) {
        for (auto blank = name.find(' '); blank != name.npos; blank = name.find(' ')) name.replace(blank, 1, "%20");
        targets.push_back("/api/v1/show/" + name);
      }
      CHECK(targets.size() >= 25);
    }
    if (path.ends_with("{fingerprint}")) targets = {"/api/v1/statements/" + fingerprint};
    for (const auto& target : targets) {
      CAPTURE(target);
      const auto body = bodies.contains(path) ? bodies.at(path) : path == "/api/v1/clients/kill" ? "{\"id\": 999999}" : "{}";
      const auto reply = method == "post" ? request(daemon.http(), "POST", target, {"X-Pgsteer: 1", "Content-Type: application/json"}, body) : get(daemon.http(), target);
      CAPTURE(reply.body);
      if (refused_here.contains(path)) {
        CHECK(reply.status == refused_here.at(path));
        CHECK(mismatch(error_schema, json::parse(reply.body)) == "");
        CHECK(operation["responses"].contains(std::to_string(reply.status)));
        continue;
      }
      CHECK(reply.status == 200);
      REQUIRE(content.size() == 1);
      CHECK(reply.headers.at("content-type").starts_with(content.begin().key()));
      if (content.begin().key() == "application/json") CHECK(mismatch(content.begin().value()["schema"], json::parse(reply.body)) == "");
      for (const char* other : {"GET", "POST", "PUT", "DELETE", "PATCH"}) {
        std::string named = other;
        for (char& c : named) c = static_cast<char>(std::tolower(c));
        if (named == method) continue;
        const auto refused = request(daemon.http(), other, target, {"X-Pgsteer: 1"});
        CHECK(refused.status == 405);
        CHECK(mismatch(error_schema, json::parse(refused.body)) == "");
      }
    }
  }
}

TEST_CASE("pages of a table are its rows, once each") {
  if (!server_here()) return;
  Daemon daemon;
  const auto all = json::parse(get(daemon.http(), "/api/v1/config").body);
  const auto total = all["rows"].size();
  REQUIRE(total > 20);
  json joined = json::array();
  for (std::size_t offset = 0;; offset += 7) {
    const auto page = json::parse(get(daemon.http(), "/api/v1/config?limit=7&offset=" + std::to_string(offset)).body);
    for (const auto& row : page["rows"]) joined.push_back(row);
    CHECK(page["more"] == (offset + 7 < total));
    if (!page["more"].get<bool>()) break;
  }
  CHECK(joined == all["rows"]);
  CHECK(json::parse(get(daemon.http(), "/api/v1/config?offset=5000").body)["rows"].empty());
}

TEST_CASE("requests made at random from the document get no 5xx") {
  if (!server_here()) return;
  Daemon daemon;
  const auto document = json::parse(get(daemon.http(), "/api/v1/openapi.json").body);
  std::vector<std::string> paths;
  for (const auto& [path, item] : document["paths"].items()) paths.push_back(path);
  std::mt19937 random(7);
  const auto pick = [&](const auto& list) -> const auto& { return list[random() % list.size()]; };
  const std::vector<std::string> values{"0", "1", "-1", "99999999999999999999", "", "%00", "%ff%fe", "'", "queries", "x%20y", "{name}", "../..", "%"};
  const std::vector<std::string> methods{"GET", "HEAD", "POST", "PUT", "DELETE"};
  const std::vector<std::string> bodies{"", "{}", "{\"command\": \"\"}", "{\"command\": \"SHOW QUERIES x\"}", "{\"command\": \"KILL 1\"}",
                                        "{\"command\": \"PIN 'x'\"}", "{\"command\": \"\\u0000\"}", "{\"command\": \"UNBAN RULE\"}", "\xff\xfe",
                                        "{\"fingerprint\": \"0123456789abcdef\", \"label\": \"arm:x\"}", "{\"mode\": \"\"}", "{\"on\": \"x\"}",
                                        "{\"id\": -1}", "{\"rule\": \"\\u0000\"}", "{\"sql\": \"SELECT (((\", \"database\": \"\"}",
                                        "{\"sql\": \"EXPLAIN (PGSTEER) SELECT 1\", \"database\": \"x\"}", "{\"table\": \"'\"}", "{\"name\": {}}"};
  for (int i = 0; i < 400; ++i) {
    std::string target = pick(paths);
    if (target == "/api/v1/events") continue;
    if (const auto brace = target.find('{'); brace != std::string::npos) target.replace(brace, std::string::npos, pick(values));
    if (random() % 2) target += "?limit=" + pick(values);
    if (random() % 2) target += std::string(target.find('?') == std::string::npos ? "?" : "&") + "offset=" + pick(values) + "&verbose=" + pick(values);
    const auto& method = pick(methods);
    const auto& body = pick(bodies);
    CAPTURE(method);
    CAPTURE(target);
    CAPTURE(body);
    const auto reply = request(daemon.http(), method, target, {"X-Pgsteer: 1", "Content-Type: application/json"}, body);
    CHECK(reply.status >= 200);
    CHECK(reply.status < 500);
  }
  CHECK(get(daemon.http(), "/healthz").status == 200);
}
