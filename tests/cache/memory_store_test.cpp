#include <doctest/doctest.h>

#include <thread>

#include "cache/cache.hpp"
#include "cache/sketch.hpp"

using namespace pgsteer::cache;

namespace {

Key key_of(std::uint64_t number) {
  const std::string text = std::to_string(number);
  KeyInput input;
  input.text = text;
  return make_key(input);
}

std::shared_ptr<const Entry> entry_for(const Key& key, std::size_t bytes, double cost_ms) {
  auto entry = std::make_shared<Entry>();
  entry->key_material = key.material;
  entry->rows.assign(bytes, 'x');
  entry->cost_ms = cost_ms;
  return entry;
}

}  // namespace

TEST_CASE("store: put, find, replace, erase, clear") {
  MemoryStore store(1 << 20);
  const Key a = key_of(1), b = key_of(2);
  CHECK(store.find(a) == nullptr);
  const auto first = entry_for(a, 100, 1);
  CHECK(store.put(a, first));
  CHECK(store.find(a) == first);
  CHECK(store.find(b) == nullptr);
  const auto second = entry_for(a, 200, 1);
  CHECK(store.put(a, second));
  CHECK(store.find(a) == second);
  auto statistics = store.statistics();
  CHECK(statistics.entries == 1);
  CHECK(statistics.hits == 2);
  CHECK(statistics.misses == 2);
  CHECK(statistics.stores == 2);
  CHECK(statistics.max_bytes == 1 << 20);
  store.erase(b);
  CHECK(store.find(a));
  store.erase(a);
  CHECK_FALSE(store.find(a));
  CHECK(store.statistics().bytes == 0);
  store.put(a, first);
  store.clear();
  CHECK_FALSE(store.find(a));
  CHECK(store.statistics().bytes == 0);
  CHECK(first->rows.size() == 100);  // ours still, whatever the store forgot
}

TEST_CASE("store: a collision of hashes is a miss, never another's answer") {
  MemoryStore store(1 << 20);
  Key a = key_of(1), b = key_of(2);
  b.hash = a.hash;
  CHECK(store.put(a, entry_for(a, 10, 1)));
  CHECK(store.find(b) == nullptr);
  store.erase(b);
  CHECK(store.find(a));
  CHECK(store.put(b, entry_for(b, 10, 1)));
  CHECK(store.find(a) == nullptr);
  CHECK(store.find(b)->key_material == b.material);
  CHECK_FALSE(store.put(a, entry_for(b, 10, 1)));
  CHECK_FALSE(store.put(a, nullptr));
}

TEST_CASE("store: never more than max_bytes, nothing larger than its place") {
  for (const std::size_t limit : {1ul << 16, 1ul << 20, 64ul << 20}) {
    MemoryStore store(limit);
    for (std::uint64_t i = 0; i < 3000; ++i) {
      const Key key = key_of(i);
      store.put(key, entry_for(key, 100 + i * 7919 % (limit / 64), 1 + static_cast<double>(i % 17)));
      if (i % 100 == 0) CHECK(store.statistics().bytes <= limit);
    }
    const auto statistics = store.statistics();
    CHECK(statistics.bytes <= limit);
    CHECK(statistics.bytes > limit / 4);
    CHECK(statistics.evictions + statistics.rejected > 0);
    const Key key = key_of(99999);
    CHECK_FALSE(store.put(key, entry_for(key, limit + 1, 1e9)));
    MemoryStore none(0);
    CHECK_FALSE(none.put(key, entry_for(key, 1, 1)));
  }
}

TEST_CASE("store: the dear stays, the cheap is refused, the seen often gets in, the forgotten goes") {
  MemoryStore store(100'000);
  for (std::uint64_t i = 0; i < 60; ++i) {
    const Key key = key_of(i);
    CHECK(store.put(key, entry_for(key, 1000, 10)));
  }
  const Key cheap = key_of(1000);
  std::uint64_t next = 2000;
  while (store.statistics().rejected == 0) {  // fill up with cheap ones until one is refused
    const Key key = key_of(next++);
    store.put(key, entry_for(key, 1000, 10));
    REQUIRE(next < 3000);
    if (store.statistics().evictions > 0) break;
  }
  const auto evictions = store.statistics().evictions;
  CHECK_FALSE(store.put(cheap, entry_for(cheap, 1000, 0.1)));
  CHECK(store.statistics().evictions == evictions);  // a refusal costs nobody
  const Key dear = key_of(1001);
  CHECK(store.put(dear, entry_for(dear, 1000, 500)));
  CHECK(store.statistics().evictions > evictions);
  CHECK(store.find(dear));
  // The same cheap answer, asked for again and again.
  for (int i = 0; i < 12; ++i) store.sight(cheap);
  CHECK(store.put(cheap, entry_for(cheap, 50, 5)));
  // Nobody asks for `dear` any more; others come, each worth a tenth of it.
  for (std::uint64_t i = 10'000; i < 60'000; ++i) {
    const Key key = key_of(i);
    store.put(key, entry_for(key, 1000, 50));
  }
  CHECK(store.find(dear) == nullptr);
}

TEST_CASE("store: what is used outlives what is not") {
  MemoryStore store(100'000);
  const Key used = key_of(1), unused = key_of(2);
  store.put(used, entry_for(used, 1000, 10));
  store.put(unused, entry_for(unused, 1000, 10));
  for (std::uint64_t i = 10; i < 3000; ++i) {
    const Key key = key_of(i);
    store.put(key, entry_for(key, 1000, 12));
    CHECK(store.find(used));
  }
  CHECK_FALSE(store.find(unused));
}

TEST_CASE("sketch: counts, saturates, fades") {
  Sketch sketch(1024);
  const Key a = key_of(1), b = key_of(2);
  CHECK(sketch.estimate(a.hash) == 0);
  for (unsigned i = 1; i <= 20; ++i) CHECK(sketch.add(a.hash) == std::min(i, Sketch::max_count));
  CHECK(sketch.estimate(b.hash) == 0);
  sketch.set_sample(25);
  for (int i = 0; i < 5; ++i) sketch.add(b.hash);
  CHECK(sketch.era() == 1);
  CHECK(sketch.estimate(a.hash) == 7);
  CHECK(sketch.estimate(b.hash) == 2);
  Sketch many(4096);
  many.set_sample(1'000'000);
  for (std::uint64_t i = 0; i < 1000; ++i) many.add(key_of(i).hash);
  unsigned wrong = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    CHECK(many.estimate(key_of(i).hash) >= 1);  // never too low
    wrong += many.estimate(key_of(i).hash) > 1;
  }
  CHECK(wrong < 20);
}

TEST_CASE("store: sights") {
  MemoryStore store(64 << 20);
  const Key a = key_of(1);
  CHECK(store.sight(a) == 1);
  CHECK(store.sight(a) == 2);
  CHECK(store.sight(key_of(2)) == 1);
}

TEST_CASE("store: from many threads") {
  MemoryStore store(1 << 20);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (unsigned t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < 5000; ++i) {
        const Key key = key_of((i * (t + 1)) % 700);
        store.sight(key);
        if (const auto found = store.find(key)) wrong += found->key_material != key.material;
        else store.put(key, entry_for(key, 500 + i % 3000, static_cast<double>(i % 50)));
        if (i % 50 == t) store.erase(key);
        if (i % 2500 == 2499) store.clear();
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
  const auto statistics = store.statistics();
  CHECK(statistics.hits + statistics.misses == 20000);
  CHECK(statistics.bytes <= statistics.max_bytes);
}

TEST_CASE("store: what each statement holds, lost to dearer ones and to newer answers") {
  MemoryStore store(1 << 16);
  const auto of = [](const Key& key, std::size_t bytes, double cost_ms, const char* fingerprint) {
    auto entry = std::make_shared<Entry>(*entry_for(key, bytes, cost_ms));
    entry->fingerprint = fingerprint;
    return entry;
  };
  for (std::uint64_t i = 0; i < 3; ++i) CHECK(store.put(key_of(i), of(key_of(i), 15000, 1, "cheap")));
  CHECK(store.put(key_of(1), of(key_of(1), 15000, 1, "cheap")));
  auto held = store.held();
  CHECK(held["cheap"].entries == 3);
  CHECK(held["cheap"].bytes == store.statistics().bytes);
  CHECK(held["cheap"].replaced == 1);
  CHECK(store.put(key_of(9), of(key_of(9), 40000, 1000, "dear")));
  held = store.held();
  CHECK(held["cheap"].evicted == 2);
  CHECK(held["cheap"].entries == 1);
  CHECK(held["dear"].entries == 1);
  CHECK(held["cheap"].bytes + held["dear"].bytes == store.statistics().bytes);
  store.clear();
  held = store.held();
  CHECK(held["cheap"].bytes + held["dear"].bytes + held["dear"].entries == 0);
  CHECK(held["cheap"].evicted == 2);
}
