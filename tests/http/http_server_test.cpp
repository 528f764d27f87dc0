// The HTTP end of the real daemon, by a client of plain sockets.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "tests/http/daemon.hpp"

using namespace pgsteer::test;
using nlohmann::json;

TEST_CASE("metrics say what the test itself has counted") {
  if (!server_here()) return;
  Daemon daemon;
  const auto before = read_exposition(get(daemon.http(), "/metrics").body);
  CHECK(before.faults.empty());
  {
    const auto connection = daemon.connect();
    CHECK(connection->run("CREATE TABLE counted (x int)").ok());
    for (int i = 0; i < 17; ++i) CHECK(connection->run("SELECT " + std::to_string(i)).ok());
    for (int i = 0; i < 5; ++i) CHECK(connection->run("INSERT INTO counted VALUES ($1)", {{23}, {std::to_string(i)}, {0}}).ok());
    for (int i = 0; i < 3; ++i) CHECK_FALSE(connection->run("SELECT 1 / 0").ok());
    CHECK_FALSE(connection->run("SELECT * FROM nowhere").ok());
    CHECK(connection->run("SET statement_timeout = 50").ok());
    CHECK_FALSE(connection->run("SELECT pg_sleep(5)").ok());
    const auto during = read_exposition(get(daemon.http(), "/metrics").body);
    CHECK(during.sum("pgsteer_client_connections", "user=\"postgres\"") == 1);
    CHECK(during.sum("pgsteer_server_connections") == 1);
  }
  REQUIRE(eventually([&] { return read_exposition(get(daemon.http(), "/metrics").body).sum("pgsteer_client_connections") == 0; }));
  const auto reply = get(daemon.http(), "/metrics");
  CHECK(reply.headers.at("content-type") == "text/plain; version=0.0.4; charset=utf-8");
  const auto after = read_exposition(reply.body);
  for (const auto& fault : after.faults) MESSAGE(fault);
  CHECK(after.faults.empty());
  CHECK(after.sum("pgsteer_queries_total", "statement=\"select\",action=\"pass\",outcome=\"ok\"") == 17);
  CHECK(after.sum("pgsteer_queries_total", "statement=\"insert\",action=\"pass\",outcome=\"ok\"") == 5);
  CHECK(after.sum("pgsteer_queries_total", "statement=\"ddl\"") == 1);
  CHECK(after.sum("pgsteer_queries_total", "outcome=\"error\"") == 4);
  CHECK(after.sum("pgsteer_queries_total", "outcome=\"cancelled\"") == 1);
  CHECK(after.sum("pgsteer_queries_total") == 29);  // and one SET
  CHECK(after.sum("pgsteer_client_errors_total", "\"22\"") == 3);
  CHECK(after.sum("pgsteer_client_errors_total", "\"42\"") == 1);
  CHECK(after.sum("pgsteer_client_errors_total", "\"57\"") == 1);
  CHECK(after.sum("pgsteer_client_errors_total") == 5);
  CHECK(after.sum("pgsteer_query_duration_seconds_count", "server") == 29);
  CHECK(after.sum("pgsteer_query_duration_seconds_count", "cache") == 0);
  CHECK(after.sum("pgsteer_query_duration_seconds_sum", "server") > 0.05);  // the one that timed out
  CHECK(after.sum("pgsteer_query_duration_seconds_sum", "server") < 10);
  CHECK(after.sum("pgsteer_overhead_seconds_count") == 29);
  CHECK(after.sum("pgsteer_client_connects_total") == before.sum("pgsteer_client_connects_total") + 1);
  CHECK(after.sum("pgsteer_build_info") == 1);
  CHECK(after.sum("process_open_fds") > 5);
}

TEST_CASE("hits of the cache and decisions are counted where they belong") {
  if (!server_here()) return;
  const TempDir policies;
  std::ofstream(policies.path() + "/p.toml") << "[default]\nmode = \"auto\"\ncache = { mode = \"strict\", min_cost = \"0s\" }\n";
  Daemon daemon({"--policies", policies.path()});
  const auto connection = daemon.connect();
  CHECK(connection->run("CREATE TABLE looked_up AS SELECT i, repeat('x', 100) AS t FROM generate_series(1, 50000) i").ok());
  int asked = 0;
  REQUIRE(eventually([&] {
    ++asked;
    CHECK(connection->run("SELECT count(*) FROM looked_up").text(0, 0) == "50000");
    return read_exposition(get(daemon.http(), "/metrics").body).sum("pgsteer_queries_total", "action=\"cache_hit\"") >= 2;
  }));
  const auto e = read_exposition(get(daemon.http(), "/metrics").body);
  CHECK(e.faults.empty());
  const double hits = e.sum("pgsteer_queries_total", "action=\"cache_hit\"");
  CHECK(e.sum("pgsteer_queries_total", "statement=\"select\"") == asked);
  CHECK(e.sum("pgsteer_cache_requests_total", "hit") == hits);
  CHECK(e.sum("pgsteer_query_duration_seconds_count", "cache") == hits);
  CHECK(e.sum("pgsteer_cache_entries") >= 1);
  CHECK(eventually([&] {
    return read_exposition(get(daemon.http(), "/metrics").body).sum("pgsteer_decisions_total", "action=\"cache_hit\"") == hits;
  }));
}

TEST_CASE("healthz looks at the loops, readyz at the server and the configuration") {
  if (!server_here()) return;
  Postgres own;
  Daemon daemon({}, own.url());
  CHECK(get(daemon.http(), "/healthz").body == "{\"status\":\"ok\"}\n");
  CHECK(get(daemon.http(), "/healthz?verbose").body.find("event_loops") != std::string::npos);
  const auto ready = get(daemon.http(), "/readyz?verbose");
  CHECK(ready.status == 200);
  CHECK(json::parse(ready.body)["checks"]["upstream"] == "ok");
  own.stop();
  CHECK(eventually([&] { return get(daemon.http(), "/readyz").status == 503; }));
  CHECK(json::parse(get(daemon.http(), "/readyz").body)["checks"]["upstream"] != "ok");
  CHECK(get(daemon.http(), "/healthz").status == 200);
  own.start();
  CHECK(eventually([&] { return get(daemon.http(), "/readyz").status == 200; }));
}

TEST_CASE("methods, paths and parameters that do not fit") {
  if (!server_here()) return;
  Daemon daemon;
  const struct {
    const char *method, *target;
    int status;
  } table[] = {{"GET", "/", 200},           {"GET", "/nothing.js", 404}, {"GET", "/api/v1/nothing", 404},     {"GET", "/api/v1/show/nothing", 404},
               {"GET", "/api/v1/show/", 404}, {"GET", "/api/v1/show/queries;shutdown", 404}, {"GET", "/api/v1/show/stats%20x", 404},
               {"POST", "/metrics", 405},   {"DELETE", "/api/v1/queries", 405},  {"GET", "/api/v1/command", 405},
               {"OPTIONS", "/api/v1/command", 405}, {"HEAD", "/metrics", 200},  {"HEAD", "/api/v1/nothing", 404},
               {"GET", "/api/v1/queries?limit=x", 400}, {"GET", "/api/v1/queries?limit=-1", 400}, {"GET", "/api/v1/queries?limit=100001", 400},
               {"GET", "/api/v1/queries?offset=", 400}, {"GET", "/api/v1/queries?limit=0", 200}, {"GET", "/api/v1/que%72ies", 200},
               {"GET", "/api/v1/statements?sort=nothing", 400}, {"GET", "/api/v1/statements?order=up", 400}, {"GET", "/api/v1/trend?step=0", 400},
               {"GET", "/api/v1/statements/0000000000000000", 404}, {"GET", "/api/v1/decisions?after=x", 400}, {"POST", "/api/v1/mode", 403},
               {"GET", "metrics", 400},     {"BREW", "/metrics", 405}};
  for (const auto& row : table) {
    CAPTURE(row.method);
    CAPTURE(row.target);
    const auto reply = request(daemon.http(), row.method, row.target);
    CHECK(reply.status == row.status);
    CHECK(reply.headers.contains("content-length"));
    if (row.status == 405) CHECK(reply.headers.contains("allow"));
    if (row.status >= 400 && std::string(row.method) != "HEAD") CHECK(json::parse(reply.body)["error"]["status"] == row.status);
  }
  CHECK(request(daemon.http(), "POST", "/metrics").headers.at("allow") == "GET, HEAD");
  CHECK(request(daemon.http(), "GET", "/api/v1/command").headers.at("allow") == "POST");
}

TEST_CASE("bytes that are no HTTP, too much of it, several requests on one connection") {
  if (!server_here()) return;
  Daemon daemon;
  const auto status = [&](const std::string& bytes) {
    const auto replies = send_raw(daemon.http(), bytes);
    return replies.empty() ? 0 : replies.front().status;
  };
  CHECK(status("\x16\x03\x01 hello\r\n\r\n") == 400);
  CHECK(status("GET / HTTP/9.9\r\n\r\n") == 400);
  CHECK(status("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + std::string(20000, 'x') + "\r\n\r\n") == 431);
  CHECK(status("POST /api/v1/command HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 70000\r\n\r\n") == 413);
  CHECK(status("POST /api/v1/command HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n") == 400);
  const std::string one = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
  const auto replies = send_raw(daemon.http(), one + one + one, 3);
  REQUIRE(replies.size() == 3);
  CHECK(replies[2].status == 200);
  CHECK(get(daemon.http(), "/healthz").status == 200);  // nobody else noticed
}

TEST_CASE("commands: what a browser cannot send, the console's answers and errors") {
  if (!server_here()) return;
  Daemon daemon;
  const auto port = daemon.http();
  CHECK(command(port, "SHOW VERSION", {}).status == 403);
  CHECK(command(port, "SHOW VERSION", {"X-Pgsteer: 0"}).status == 403);
  CHECK(request(port, "POST", "/api/v1/command", {"X-Pgsteer: 1", "Content-Type: text/plain"}, "{\"command\": \"SHOW VERSION\"}").status == 415);
  CHECK(command(port, "SHOW VERSION", {"X-Pgsteer: 1", "Host: evil.example"}).status == 403);
  CHECK(get(port, "/api/v1/queries", {"Host: evil.example:6433"}).status == 403);
  CHECK(get(port, "/healthz", {"Host: evil.example"}).status == 200);
  for (const char* body : {"", "{", "[]", "{}", "{\"command\": 1}", "{\"command\": \"SHOW HELP\", \"x\": 1}", "\"SHOW HELP\""})
    CHECK(request(port, "POST", "/api/v1/command", {"X-Pgsteer: 1", "Content-Type: application/json"}, body).status == 400);
  const auto shown = command(port, "SHOW VERSION");
  CHECK(shown.status == 200);
  CHECK(json::parse(shown.body)["rows"].size() == 1);
  const auto wrong = command(port, "SHOW QUEREIS");
  CHECK(wrong.status == 400);
  CHECK(json::parse(wrong.body)["error"]["sqlstate"] == "42601");
  CHECK(command(port, "SET MODE suggest").status == 200);
  CHECK(get(port, "/metrics").body.find("pgsteer_mode_info{mode=\"suggest\"} 1") != std::string::npos);
  CHECK(command(port, "BAN RULE date_range").status == 200);
  CHECK(read_exposition(get(port, "/metrics").body).sum("pgsteer_rule_banned", "date_range") == 1);
  CHECK(get(port, "/api/v1/health").body.find("degraded: date_range") != std::string::npos);
  CHECK(command(port, "UNBAN RULE date_range").status == 200);
  CHECK(command(port, "UNBAN RULE date_range").status == 400);
  CHECK(command(port, "SHUTDOWN").status == 200);
  CHECK(eventually([&] { return !daemon.process().running(); }));
  CHECK(daemon.log().find("event=stopped") != std::string::npos);
}

TEST_CASE("the stream of events tells within two seconds what happened") {
  if (!server_here()) return;
  Daemon daemon({"--mode", "observe"});
  const auto stream = std::make_unique<std::string>();
  std::thread listener([&] { *stream = read_stream(daemon.http(), "/api/v1/events", 5.0, "event: decisions"); });
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const auto connection = daemon.connect();
  const auto begin = std::chrono::steady_clock::now();
  CHECK(connection->run("SELECT 4711 AS told").ok());
  listener.join();
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(4));  // two, on a machine that is not busy
  CHECK(stream->find("Content-Type: text/event-stream") != std::string::npos);
  REQUIRE(stream->find("event: decisions\ndata: ") != std::string::npos);
  const auto at = stream->find("data: ", stream->find("event: decisions")) + 6;
  const auto data = json::parse(stream->substr(at, stream->find('\n', at) - at));
  CHECK(data["rows"].size() >= 1);
  CHECK(data["rows"][0]["database"] == "postgres");
  const auto stats = stream->find("data: ", stream->find("event: stats")) + 6;
  CHECK(json::parse(stream->substr(stats, stream->find('\n', stats) - stats)).contains("queries_per_second"));
}

TEST_CASE("typed actions say the console's words; the statement's page shows what came of them") {
  if (!server_here()) return;
  Daemon daemon({"--mode", "observe"});
  const auto port = daemon.http();
  const auto post = [&](const std::string& path, const std::string& body) {
    return request(port, "POST", "/api/v1/" + path, {"X-Pgsteer: 1", "Content-Type: application/json"}, body);
  };
  CHECK(request(port, "POST", "/api/v1/mode", {"Content-Type: application/json"}, "{\"mode\": \"suggest\"}").status == 403);
  CHECK(post("mode", "{\"mode\": \"suggest\"}").status == 200);
  CHECK(json::parse(get(port, "/api/v1/overview").body)["mode_bound"] == "suggest");
  CHECK(post("mode", "{\"mode\": \"default\"}").status == 200);
  for (const char* body : {"", "{}", "[]", "{\"mode\": 1.5}", "{\"mode\": \"x'; PANIC\"}", "{\"mode\": \"off\", \"x\": 1}", "{\"mode\": null}"}) {
    CAPTURE(body);
    CHECK(post("mode", body).status == 400);
  }
  CHECK(post("panic", "{\"on\": true}").status == 200);
  CHECK(json::parse(get(port, "/api/v1/overview").body)["panic"] == true);
  CHECK(post("panic", "{\"on\": false}").status == 200);
  {
    const auto connection = daemon.connect();
    CHECK(connection->run("CREATE TABLE paged (x int)").ok());
    for (int i = 0; i < 5; ++i)
      CHECK(connection->run("SELECT x FROM paged WHERE x = 3 /*route='/a',traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/").ok());
  }
  std::string fingerprint;
  REQUIRE(eventually([&] {
    const auto found = json::parse(get(port, "/api/v1/statements?search=FROM%20PAGED").body);
    if (found["total"] != 1 || found["rows"][0]["calls"] != 5) return false;
    fingerprint = found["rows"][0]["fingerprint"];
    return true;
  }));
  CHECK(post("pin", "{\"fingerprint\": \"" + fingerprint + "\", \"label\": \"as-is\"}").status == 200);
  REQUIRE(eventually([&] { return json::parse(get(port, "/api/v1/statements/" + fingerprint).body)["pinned"] == "as-is"; }));
  const auto page = json::parse(get(port, "/api/v1/statements/" + fingerprint).body);
  CHECK(page["totals"]["calls"] == 5);
  CHECK(page["history"].size() >= 1);
  CHECK(page["decisions"].size() == 5);
  CHECK(page["decisions"][0]["trace_id"] == "0af7651916cd43dd8448eb211c80319c");
  CHECK(page["explain"].size() > 3);
  CHECK(page["example"].get<std::string>().find("x = 3") != std::string::npos);
  const auto traced = json::parse(get(port, "/api/v1/decisions?trace_id=0af7651916cd43dd8448eb211c80319c").body);
  CHECK(traced["rows"].size() == 5);
  CHECK(json::parse(get(port, "/api/v1/decisions?trace_id=00000000000000000000000000000000").body)["rows"].empty());
  CHECK(post("unpin", "{\"fingerprint\": \"" + fingerprint + "\"}").status == 200);
  CHECK(get(port, "/api/v1/audit?fingerprint=" + fingerprint).body.find("\"event\":\"pinned\"") != std::string::npos);
  CHECK(get(port, "/api/v1/log").body.find("\"event\":\"admin_command\"") != std::string::npos);
  const auto told = json::parse(post("explain", "{\"sql\": \"SELECT 1\", \"database\": \"postgres\"}").body);
  CHECK(told["lines"][0].get<std::string>().starts_with("pgsteer: rule"));
}

TEST_CASE("with a token nothing but the probes answers without it") {
  if (!server_here()) return;
  const TempDir dir;
  std::ofstream(dir.path() + "/token") << "s3cret-token\n";
  Daemon daemon({"--set", "http.token_file=" + dir.path() + "/token", "--set", "http.address=0.0.0.0"});
  const auto port = daemon.http();
  for (const char* target : {"/metrics", "/api/v1/queries", "/api/v1/openapi.json", "/api/v1/nothing", "/api/v1/events"}) {
    CAPTURE(target);
    CHECK(get(port, target).status == 401);
    CHECK(get(port, target).headers.at("www-authenticate") == "Bearer");
  }
  for (const char* wrong : {"Bearer s3cret-toke", "Bearer s3cret-tokenn", "Bearer ", "Bearer", "s3cret-token", "Basic s3cret-token"})
    CHECK(get(port, "/metrics", {std::string("Authorization: ") + wrong}).status == 401);
  CHECK(get(port, "/metrics", {"Authorization: Bearer s3cret-token", "Host: db1.example"}).status == 200);
  CHECK(get(port, "/readyz").status == 200);
  CHECK(command(port, "PANIC").status == 401);  // the header of loopback is not enough
  CHECK(command(port, "PANIC", {"Authorization: Bearer s3cret-token"}).status == 200);
  CHECK(get(port, "/metrics", {"authorization: bearer s3cret-token"}).body.find("pgsteer_bypass 1") != std::string::npos);
  CHECK(get(port, "/api/v1/config", {"Authorization: Bearer s3cret-token"}).body.find("s3cret-token") == std::string::npos);
}

TEST_CASE("no start beyond this machine without a token") {
  if (!server_here()) return;
  const std::string program = std::string(PGSTEER_BINARY_DIR) + "/pgsteer";
  const auto open = run_command(program + " run --upstream " + postgres().url() + " --listen 127.0.0.1:" + std::to_string(free_port()) +
                                " --set http.address=0.0.0.0");
  CHECK(open.exit_code == 78);
  CHECK(open.output.find("expected a http.token_file") != std::string::npos);
  CHECK(run_command(program + " check --set http.address=0.0.0.0").exit_code == 78);
  CHECK(run_command(program + " check --set http.address=nowhere").exit_code == 78);
  CHECK(run_command(program + " check --set http.token_file=/no/such/file").exit_code == 78);
}

TEST_CASE("a port that was asked for and is taken is an error at start; the default port is only missed") {
  if (!server_here()) return;
  const std::string program = std::string(PGSTEER_BINARY_DIR) + "/pgsteer";
  Daemon first;
  const auto asked = run_command(program + " run --upstream " + postgres().url() + " --listen 127.0.0.1:" + std::to_string(free_port()) +
                                 " --set http.port=" + std::to_string(first.http()));
  CHECK(asked.exit_code == 1);
  CHECK(asked.output.find("http: cannot listen on 127.0.0.1:" + std::to_string(first.http())) != std::string::npos);

  const int holder = ::socket(AF_INET, SOCK_STREAM, 0);  // of the default port, if nobody has it yet
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(6433);
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(holder, reinterpret_cast<sockaddr*>(&where), sizeof where) == 0) ::listen(holder, 1);
  const TempDir dir;
  const auto port = free_port();
  {
    Process second({program, "run", "--upstream", postgres().url(), "--listen", "127.0.0.1:" + std::to_string(port), "--state-dir", dir.path()},
                   dir.path() + "/log");
    CHECK(eventually([&] {
      std::string error;
      auto connection = pgsteer::proxy::learning::Connection::open(
          {{"host", "127.0.0.1"}, {"port", std::to_string(port)}, {"user", "postgres"}, {"dbname", "pgsteer"}}, std::chrono::seconds(5), {}, &error);
      if (!connection) return false;
      const auto health = connection->run("SHOW HEALTH");
      for (int r = 0; r < health.rows(); ++r)
        if (health.text(r, 0) == "http") return health.text(r, 1) == "degraded" && health.text(r, 2).find("in use") != std::string::npos;
      return false;
    }));
  }
  std::ifstream log(dir.path() + "/log");
  CHECK(std::string(std::istreambuf_iterator<char>(log), {}).find("warning event=http_off") != std::string::npos);
  ::close(holder);
}

TEST_CASE("explain --verify runs both forms on the server and compares") {
  if (!server_here()) return;
  const std::string program = std::string(PGSTEER_BINARY_DIR) + "/pgsteer explain --verify --url " + postgres().url() + " ";
  std::string error;
  auto connection = pgsteer::proxy::learning::Connection::open(
      {{"host", "127.0.0.1"}, {"port", std::to_string(postgres().port())}, {"user", "postgres"}, {"dbname", "postgres"}}, std::chrono::seconds(5), {}, &error);
  REQUIRE(connection);
  CHECK(connection->run("CREATE TABLE keyed (id int PRIMARY KEY, name text); INSERT INTO keyed SELECT i, i FROM generate_series(1, 500) i").ok());
  const auto fired = run_command(program + "'SELECT DISTINCT id, name FROM keyed'");
  CHECK(fired.exit_code == 0);
  CHECK(fired.output.find("original: cost ") != std::string::npos);
  CHECK(fired.output.find("rewrite:distinct_over_key: cost ") != std::string::npos);
  CHECK(fired.output.find("ms, 500 rows: the answer is equal") != std::string::npos);
  CHECK(run_command(program + "'SELECT id FROM keyed'").output.find("no rule rewrites this statement: no rule fires") == 0);
  CHECK(run_command(program + "'DELETE FROM keyed'").exit_code == 0);
  CHECK(connection->run("SELECT count(*) FROM keyed").text(0, 0) == "500");
  CHECK(run_command(program + "''").exit_code == 64);
}
