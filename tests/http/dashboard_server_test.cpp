// The dashboard's files, and what its pages ask of the API.
#include <nlohmann/json.hpp>

#include "tests/http/daemon.hpp"

using namespace pgsteer::test;
using nlohmann::json;

TEST_CASE("the page is served with a strict policy, by GET and HEAD alone") {
  if (!server_here()) return;
  Daemon daemon;
  const auto page = get(daemon.http(), "/");
  CHECK(page.status == 200);
  CHECK(page.headers.at("content-type") == "text/html; charset=utf-8");
  CHECK(page.headers.at("content-security-policy").starts_with("default-src 'none'; script-src 'self'; style-src 'self'"));
  CHECK(page.headers.at("content-security-policy").find("unsafe") == std::string::npos);
  CHECK(page.headers.at("x-content-type-options") == "nosniff");
  CHECK(page.body.find("<title>pgsteer</title>") != std::string::npos);
  CHECK(page.body.find("http://") == std::string::npos);  // nothing from elsewhere
  CHECK(page.body.find("https://") == std::string::npos);
  CHECK(request(daemon.http(), "POST", "/").status == 405);
  CHECK(get(daemon.http(), "/icon.svg").headers.at("content-type") == "image/svg+xml");
  CHECK(get(daemon.http(), "/app.map").status == 404);
  if (page.body.find("without the dashboard") != std::string::npos) return;  // no npm here
  CHECK(get(daemon.http(), "/app.js").headers.at("content-type") == "text/javascript; charset=utf-8");
  CHECK(get(daemon.http(), "/app.js").body.size() > 20000);
  CHECK(get(daemon.http(), "/app.css").headers.at("content-type") == "text/css; charset=utf-8");
}

TEST_CASE("a statement's page: what ran, what was predicted, what was done and why; from the store as well") {
  if (!server_here()) return;
  Daemon daemon;
  const auto connection = daemon.connect();
  for (int i = 0; i < 7; ++i) connection->run("SELECT count(*) FROM pg_class WHERE relpages > " + std::to_string(i));
  connection->run("SELECT count(*) FROM pg_class WHERE relpages > 1 / (relpages - relpages)");
  json rows, found;
  REQUIRE(eventually([&] {
    rows = json::parse(get(daemon.http(), "/api/v1/queries").body)["rows"];
    for (const auto& row : rows)
      if (row["query"] == "SELECT count(*) FROM pg_class WHERE relpages > $1" && row["calls"] == 7) found = row;
    return !found.is_null();
  }));
  const auto target = "/api/v1/statements/" + found["fingerprint"].get<std::string>();
  json document;
  CHECK(eventually([&] { return (document = json::parse(get(daemon.http(), target).body))["executions"].size() == 7; }));
  CHECK(document["totals"][0]["calls"] == 7);
  std::uint64_t recorded = 0;
  for (const auto& bucket : document["history"]["buckets"]) recorded += bucket["calls"].get<std::uint64_t>();
  CHECK(recorded == 7);
  for (const auto& execution : document["executions"]) {
    CHECK(execution["candidate"] == "as-is");
    CHECK(execution["reason"] == "mode_observe");
    CHECK(execution["actual_ms"].get<double>() > 0);
  }
  CHECK(document["decisions"].size() == 7);
  CHECK(document["candidates"][0]["label"] == "as-is");
  CHECK(document["explain"].size() > 5);
  // A window before anything ran is empty, a wrong one is refused.
  CHECK(json::parse(get(daemon.http(), target + "?from=1000&to=2000").body)["executions"].empty());
  CHECK(get(daemon.http(), target + "?from=2000&to=1000").status == 400);
  CHECK(get(daemon.http(), target + "?from=x").status == 400);
  CHECK(get(daemon.http(), "/api/v1/statements/0123456789abcdef").status == 404);
  CHECK(get(daemon.http(), "/api/v1/statements/..%2f..").status == 404);
}

TEST_CASE("the timeline counts what ran") {
  if (!server_here()) return;
  Daemon daemon;
  const auto connection = daemon.connect();
  for (int i = 0; i < 40; ++i) connection->run("SELECT " + std::to_string(i));
  json line;
  const auto counted = [&] {
    line = json::parse(get(daemon.http(), "/api/v1/timeline").body);
    double statements = 0;
    for (std::size_t i = 0; i < line["queries"].size(); ++i) {
      const double seconds = i == 0 ? 1 : (line["time_ms"][i].get<double>() - line["time_ms"][i - 1].get<double>()) / 1000;
      statements += line["queries"][i].get<double>() * seconds;
    }
    return statements;
  };
  CHECK(eventually([&] { return counted() > 30; }));  // the first interval's length is not told: about 40
  for (const auto& [name, column] : line.items()) CHECK(column.size() == line["time_ms"].size());
  CHECK(get(daemon.http(), "/api/v1/timeline?since=-1").status == 400);
  const auto last = line["time_ms"].back().get<std::int64_t>();
  for (const auto& at : json::parse(get(daemon.http(), "/api/v1/timeline?since=" + std::to_string(last)).body)["time_ms"]) CHECK(at.get<std::int64_t>() > last);
}
