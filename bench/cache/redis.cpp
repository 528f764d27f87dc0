#include <fmt/core.h>
#include <hiredis/hiredis.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "bench/cache/bench.hpp"
#include "cache/stores/redis.hpp"
#include "tests/support/servers.hpp"

namespace pgsteer::bench {
namespace {

namespace asio = boost::asio;
using cache::RedisStore;
constexpr int rounds = 5000;

asio::awaitable<void> ask(std::shared_ptr<RedisStore> store, std::string key, int times, std::vector<double>* samples,
                          int* finished) {
  for (int i = 0; i < times; ++i) {
    const auto start = std::chrono::steady_clock::now();
    if (co_await store->get(key)) samples->push_back(microseconds_since(start));
  }
  ++*finished;
}

void through_link(asio::io_context& loop, const std::shared_ptr<RedisStore>& store, const std::string& key, int at_once) {
  std::vector<double> samples;
  int finished = 0;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < at_once; ++i)
    asio::co_spawn(loop, ask(store, key, rounds / at_once, &samples, &finished), asio::detached);
  while (finished < at_once) loop.run_one();
  const double rate = static_cast<double>(samples.size()) / microseconds_since(start) * 1e6;
  const auto [p50, p99] = percentiles(samples);
  fmt::print("  link, {:>2} at once   p50 {:8.1f} us   p99 {:8.1f} us   {:8.0f}/s\n", at_once, p50, p99, rate);
}

void bare(redisContext* redis, const std::string& key) {
  std::vector<double> samples;
  for (int i = 0; i < rounds; ++i) {
    const auto start = std::chrono::steady_clock::now();
    auto* reply = static_cast<redisReply*>(redisCommand(redis, "GET %s", key.c_str()));
    if (reply != nullptr) {
      const std::string value(reply->str, reply->len);
      samples.push_back(microseconds_since(start));
      freeReplyObject(reply);
    }
  }
  const auto [p50, p99] = percentiles(samples);
  fmt::print("  bare blocking GET   p50 {:8.1f} us   p99 {:8.1f} us\n", p50, p99);
}

}  // namespace

void bench_redis() {
  if (!test::have_redis()) {
    fmt::print("-- redis: no redis-server, skipped\n");
    return;
  }
  test::Redis server;
  asio::io_context loop;
  cache::RedisOptions options;
  options.port = server.port();
  options.deadline = std::chrono::seconds(5);
  const auto store = RedisStore::create(loop, options);
  while (!store->connected()) loop.run_one();
  redisContext* redis = redisConnect("127.0.0.1", server.port());
  for (const std::size_t size : {1000ul, 10'000ul, 100'000ul}) {
    const std::string key = fmt::format("v{}", size), value(size, 'x');
    freeReplyObject(redisCommand(redis, "SET %s %b", key.c_str(), value.data(), value.size()));
    fmt::print("-- redis over loopback TCP, {} B\n", size);
    bare(redis, key);
    through_link(loop, store, key, 1);
    bare(redis, key);
    through_link(loop, store, key, 16);
  }
  redisFree(redis);
  store->shutdown();
  loop.restart();
  loop.run();
}

}  // namespace pgsteer::bench
