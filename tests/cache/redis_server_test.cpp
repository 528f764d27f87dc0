// The Redis link against a real redis-server: values, deadlines, breaker, restarts, lies.
#include <doctest/doctest.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <sys/stat.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <optional>

#include "cache/cache.hpp"
#include "cache/stores/redis.hpp"
#include "tests/support/servers.hpp"

namespace asio = boost::asio;
using namespace pgsteer::cache;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Answer = std::optional<std::string>;

namespace {

bool no_redis() {
  if (pgsteer::test::have_redis()) return false;
  MESSAGE("SKIPPED: no redis-server on this machine");
  return true;
}

/// A blocking connection of the test's own, to see and spoil what Redis holds.
class Plain {
 public:
  explicit Plain(int port) : context_(redisConnect("127.0.0.1", port)) {}
  ~Plain() { redisFree(context_); }
  Plain(const Plain&) = delete;
  Plain& operator=(const Plain&) = delete;
  std::string run(std::vector<std::string> words) {
    std::vector<const char*> parts;
    std::vector<std::size_t> lengths;
    for (const auto& word : words) {
      parts.push_back(word.data());
      lengths.push_back(word.size());
    }
    auto* reply = static_cast<redisReply*>(
        redisCommandArgv(context_, static_cast<int>(parts.size()), parts.data(), lengths.data()));
    if (reply == nullptr) return "(lost)";
    std::string text = reply->type == REDIS_REPLY_INTEGER ? std::to_string(reply->integer)
                       : reply->str != nullptr           ? std::string(reply->str, reply->len)
                                                         : "(nil)";
    freeReplyObject(reply);
    return text;
  }

 private:
  redisContext* context_;
};

asio::awaitable<void> look_up(std::shared_ptr<RedisStore> store, std::string key, Answer* answer, bool* done) {
  *answer = co_await store->get(std::move(key));
  *done = true;
}

/// A loop, a store and synchronous helpers around both.
struct Bench {
  explicit Bench(RedisOptions options) : store(RedisStore::create(loop, std::move(options))) {}
  ~Bench() { store->shutdown(); loop.restart(); loop.run(); }
  bool until(const std::function<bool()>& happened, std::chrono::milliseconds limit = 3000ms) {
    const auto end = Clock::now() + limit;
    while (!happened()) {
      if (Clock::now() > end) return false;
      loop.restart();
      loop.run_one_for(5ms);
    }
    return true;
  }
  bool ready() { return until([this] { return store->connected(); }); }
  Answer get(std::string key) {
    Answer answer;
    bool done = false;
    asio::co_spawn(loop, look_up(store, std::move(key), &answer, &done), asio::detached);
    REQUIRE(until([&done] { return done; }, 10000ms));
    return answer;
  }
  asio::io_context loop;
  std::shared_ptr<RedisStore> store;
};

RedisOptions options_for(const pgsteer::test::Redis& redis, std::chrono::microseconds deadline = 500ms) {
  RedisOptions options;
  options.port = redis.port();
  options.deadline = deadline;
  options.breaker_open = 200ms;
  return options;
}

std::string bytes(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + i / 251);
  return text;
}

std::string numbered(std::size_t i) {
  std::string key("k");
  key += std::to_string(i);
  return key;
}

}  // namespace

TEST_CASE("redis: values from one byte to eight megabytes come back whole") {
  if (no_redis()) return;
  pgsteer::test::Redis redis;
  Bench bench(options_for(redis, 5s));
  REQUIRE(bench.ready());
  for (const std::size_t size : {1ul, 100ul, 16383ul, 16384ul, 16385ul, 100000ul, 1ul << 20, 8ul << 20}) {
    CAPTURE(size);
    bench.store->set("v", bytes(size), 10s);
    CHECK(bench.get("v") == bytes(size));
  }
  CHECK(bench.get("missing") == std::nullopt);
  bench.store->set(std::string("k\0ey\r\n", 6), "binary key", 0ms);
  CHECK(bench.get(std::string("k\0ey\r\n", 6)) == "binary key");
  bench.store->erase("v");
  CHECK(bench.get("v") == std::nullopt);
  const auto counters = bench.store->counters();
  CHECK(counters.gets == 11);
  CHECK(counters.hits == 9);
  CHECK(counters.sets == 9);
  CHECK(counters.errors == 0);
  CHECK(bench.store->last_error().empty());
}

TEST_CASE("redis: time to live") {
  if (no_redis()) return;
  pgsteer::test::Redis redis;
  Bench bench(options_for(redis));
  REQUIRE(bench.ready());
  Plain plain(redis.port());
  bench.store->set("short", "x", 30ms);
  bench.store->set("long", "x", 0ms);
  bench.store->set("past", "x", -1ms);
  CHECK(bench.get("short") == "x");
  CHECK(std::stol(plain.run({"PTTL", "long"})) > 23 * 3600 * 1000L);
  CHECK(plain.run({"EXISTS", "past"}) == "0");
  CHECK(bench.until([&] { return plain.run({"EXISTS", "short"}) == "0"; }));
  CHECK(bench.get("short") == std::nullopt);
}

TEST_CASE("redis: a thousand look-ups at once share one pipeline") {
  if (no_redis()) return;
  pgsteer::test::Redis redis;
  Bench bench(options_for(redis, 5s));
  REQUIRE(bench.ready());
  for (std::size_t i = 0; i < 1000; ++i) bench.store->set(numbered(i), std::to_string(i), 10s);
  bench.get("k0");  // the writes are through
  std::vector<Answer> answers(1000);
  bool done[1000] = {};
  for (std::size_t i = 0; i < 1000; ++i)
    asio::co_spawn(bench.loop, look_up(bench.store, numbered(i), &answers[i], &done[i]), asio::detached);
  REQUIRE(bench.until([&] { return std::all_of(std::begin(done), std::end(done), [](bool d) { return d; }); }, 10s));
  for (std::size_t i = 0; i < 1000; ++i) CHECK(answers[i] == std::to_string(i));
}

TEST_CASE("redis: more than max_pending is refused, not queued") {
  if (no_redis()) return;
  pgsteer::test::Redis redis;
  auto options = options_for(redis);
  options.max_pending = 10;
  Bench bench(options);
  REQUIRE(bench.ready());
  ::kill(redis.pid(), SIGSTOP);
  for (int i = 0; i < 50; ++i) bench.store->set("k", "v", 1s);
  CHECK(bench.store->counters().sets == 10);
  CHECK(bench.store->counters().refused == 40);
  CHECK(bench.get("k") == std::nullopt);  // at once, without waiting for the deadline
  CHECK(bench.store->counters().deadlines == 0);
  ::kill(redis.pid(), SIGCONT);
  CHECK(bench.until([&] { return bench.get("k") == "v"; }));
}

TEST_CASE("redis: a stopped Redis costs a deadline each, then nothing; the breaker closes when it goes on") {
  if (no_redis()) return;
  pgsteer::test::Redis redis;
  Bench bench(options_for(redis, 20ms));
  REQUIRE(bench.ready());
  bench.store->set("k", "v", 60s);
  REQUIRE(bench.until([&] { return bench.get("k") == "v"; }));
  const auto before = bench.store->counters();
  ::kill(redis.pid(), SIGSTOP);
  for (int i = 0; i < 3; ++i) {
    CHECK(bench.store->breaker() == BreakerState::closed);
    const auto start = Clock::now();
    CHECK(bench.get("k") == std::nullopt);
    const auto took = Clock::now() - start;
    CHECK(took >= 19ms);
    CHECK(took < 200ms);  // generous: other work shares this machine
  }
  CHECK(bench.store->breaker() == BreakerState::open);
  CHECK(bench.store->counters().deadlines == before.deadlines + 3);
  CHECK(bench.store->counters().breaker_opened == before.breaker_opened + 1);
  CHECK(bench.get("k") == std::nullopt);
  CHECK(bench.store->counters().deadlines == before.deadlines + 3);  // refused without asking
  CHECK(bench.store->counters().refused == before.refused + 1);

  bench.until([] { return false; }, 250ms);  // past breaker_open: one probe goes out, and fails
  CHECK(bench.get("k") == std::nullopt);
  CHECK(bench.store->counters().deadlines == before.deadlines + 4);
  CHECK(bench.store->breaker() == BreakerState::open);
  CHECK_FALSE(bench.store->connected());  // its queue is not worth keeping

  ::kill(redis.pid(), SIGCONT);
  CHECK(bench.until([&] { return bench.get("k") == "v"; }, 8s));
  CHECK(bench.store->breaker() == BreakerState::closed);
}

TEST_CASE("redis: killed and started again") {
  if (no_redis()) return;
  pgsteer::test::Redis redis;
  Bench bench(options_for(redis));
  REQUIRE(bench.ready());
  bench.store->set("k", "v", 60s);
  REQUIRE(bench.get("k") == "v");
  ::kill(redis.pid(), SIGSTOP);  // so that look-ups are under way when it dies
  Answer answer = "unset";
  bool done = false;
  asio::co_spawn(bench.loop, look_up(bench.store, "k", &answer, &done), asio::detached);
  bench.until([] { return false; }, 20ms);
  CHECK_FALSE(done);
  redis.stop(SIGKILL);
  CHECK(bench.until([&] { return done; }));
  CHECK(answer == std::nullopt);
  CHECK_FALSE(bench.store->connected());
  CHECK(bench.get("k") == std::nullopt);
  bench.store->set("k", "lost", 60s);  // nowhere to go: counted, not queued
  CHECK_FALSE(bench.store->last_error().empty());
  redis.start();
  REQUIRE(bench.until([&] { return bench.store->connected(); }, 8s));
  CHECK(bench.get("k") == std::nullopt);
  bench.store->set("k", "again", 60s);
  CHECK(bench.get("k") == "again");
}

TEST_CASE("redis: user, password, database") {
  if (no_redis()) return;
  pgsteer::test::Redis redis({"--requirepass", "secret", "--user", "app", "on", ">word", "~*", "&*", "+@all"});
  const auto attempt = [&redis](std::string user, std::string password, int database) {
    auto options = options_for(redis);
    options.username = std::move(user);
    options.password = std::move(password);
    options.database = database;
    Bench bench(options);
    bench.until([&] { return bench.store->connected() || !bench.store->last_error().empty(); });
    return bench.store->connected() ? "connected" : bench.store->last_error();
  };
  CHECK(attempt("", "secret", 0) == "connected");
  CHECK(attempt("app", "word", 3) == "connected");
  CHECK(attempt("", "wrong", 0).starts_with("WRONGPASS"));
  CHECK(attempt("app", "secret", 0).starts_with("WRONGPASS"));
  CHECK(attempt("", "", 0).starts_with("NOAUTH"));
  CHECK(attempt("app", "word", 99).starts_with("ERR DB index"));
}

TEST_CASE("redis: the chosen database is used") {
  if (no_redis()) return;
  pgsteer::test::Redis redis;
  auto options = options_for(redis);
  options.database = 5;
  Bench bench(options);
  REQUIRE(bench.ready());
  bench.store->set("k", "v", 60s);
  REQUIRE(bench.get("k") == "v");
  Plain plain(redis.port());
  CHECK(plain.run({"EXISTS", "k"}) == "0");
  plain.run({"SELECT", "5"});
  CHECK(plain.run({"EXISTS", "k"}) == "1");
}

TEST_CASE("redis: unix socket and host name") {
  if (no_redis()) return;
  pgsteer::test::TempDir dir;
  ::chmod(dir.path().c_str(), 0777);
  const std::string path = dir.path() + "/redis.sock";
  pgsteer::test::Redis redis({"--unixsocket", path, "--unixsocketperm", "777"});
  RedisOptions unix_options;
  unix_options.unix_socket = path;
  unix_options.port = 1;
  unix_options.deadline = 500ms;
  Bench by_socket(unix_options);
  REQUIRE(by_socket.ready());
  by_socket.store->set("k", "v", 60s);
  CHECK(by_socket.get("k") == "v");
  auto named = options_for(redis);
  named.host = "localhost";
  Bench by_name(named);
  REQUIRE(by_name.ready());
  CHECK(by_name.get("k") == "v");
}

TEST_CASE("redis: garbage under our key is refused by the stored form, a foreign type is no illness") {
  if (no_redis()) return;
  pgsteer::test::Redis redis;
  Bench bench(options_for(redis));
  REQUIRE(bench.ready());
  Plain plain(redis.port());
  Entry entry;
  entry.key_material = "material";
  entry.tag = {{0, 1u << 20}, {16400, 7u << 20}};
  entry.rows = bytes(3000);
  bench.store->set("k", serialize(entry), 60s);
  const auto good = bench.get("k");
  REQUIRE(good);
  REQUIRE(deserialize(*good));
  CHECK(deserialize(*good)->rows == entry.rows);
  plain.run({"SETRANGE", "k", "1000", "\x7f"});
  CHECK_FALSE(deserialize(bench.get("k").value()));
  plain.run({"SET", "k", "garbage"});
  CHECK_FALSE(deserialize(bench.get("k").value()));
  plain.run({"SET", "k", ""});
  CHECK_FALSE(deserialize(bench.get("k").value()));
  plain.run({"DEL", "k"});
  plain.run({"RPUSH", "k", "a"});
  for (int i = 0; i < 10; ++i) CHECK(bench.get("k") == std::nullopt);
  CHECK(bench.store->breaker() == BreakerState::closed);
  CHECK(bench.store->counters().errors == 10);
}

TEST_CASE("redis: shutdown leaves nothing pending, in any state") {
  if (no_redis()) return;
  pgsteer::test::Redis redis;
  for (const bool wait_for_link : {false, true}) {
    for (const bool stopped : {false, true}) {
      CAPTURE(wait_for_link);
      CAPTURE(stopped);
      asio::io_context loop;
      auto store = RedisStore::create(loop, options_for(redis, 30s));
      const auto end = Clock::now() + 3s;
      while (wait_for_link && !store->connected() && Clock::now() < end) loop.run_one_for(5ms);
      if (stopped) ::kill(redis.pid(), SIGSTOP);
      Answer answer = "unset";
      bool done = false;
      asio::co_spawn(loop, look_up(store, "k", &answer, &done), asio::detached);
      for (int i = 0; i < 3; ++i) loop.poll_one();
      const auto start = Clock::now();
      store->shutdown();
      loop.run();
      CHECK(Clock::now() - start < 5s);  // not the 30 s of the look-up
      CHECK(done);
      CHECK(answer == std::nullopt);
      store->set("k", "v", 1s);
      store->erase("k");
      store->shutdown();
      CHECK_FALSE(store->connected());
      if (stopped) ::kill(redis.pid(), SIGCONT);
    }
  }
}

TEST_CASE("redis: no server at all") {
  asio::io_context loop;
  RedisOptions options;
  options.port = pgsteer::test::free_port();
  Bench bench(options);
  CHECK(bench.until([&] { return bench.store->counters().errors >= 3; }));  // tries again, with pauses
  CHECK_FALSE(bench.store->connected());
  CHECK(bench.get("k") == std::nullopt);
  CHECK(bench.store->last_error() == "Connection refused");
}
