#include <fmt/core.h>

#include "bench/cache/bench.hpp"
#include "cache/cache.hpp"

namespace pgsteer::bench {
namespace {

using namespace pgsteer::cache;

/// Time per call over batches of 100, so that the clock's own cost disappears.
template <class Act>
void measure(const char* name, Act act) {
  std::vector<double> samples;
  for (int batch = 0; batch < 3000; ++batch) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 100; ++i) act(batch * 100 + i);
    samples.push_back(microseconds_since(start) / 100);
  }
  const auto [p50, p99] = percentiles(samples);
  fmt::print("{:<44} p50 {:8.3f} us   p99 {:8.3f} us\n", name, p50, p99);
}

Key key_of(std::size_t number) {
  const std::string text = fmt::format("select id, name, price from items where group_id = {} order by price", number);
  sql::SessionFacts session;
  session.settings = {{"timezone", "UTC"}, {"datestyle", "ISO, MDY"}, {"client_encoding", "UTF8"}};
  KeyInput input;
  const std::string who = session_key(session);
  input.session = who;
  input.text = text;
  return make_key(input);
}

}  // namespace

void bench_parts() {
  fmt::print("-- parts, one thread, batches of 100\n");
  Words words;
  const std::vector<sql::Oid> three{16400, 16401, 16402};
  const auto tag = words.read("shop", three).value();
  std::uint64_t sink = 0;
  measure("Words::read of 3 relations", [&](int) { sink += words.read("shop", three)->size(); });
  measure("Words::unchanged of 3 relations", [&](int) { sink += words.unchanged("shop", tag); });
  const WriteSet writes{true, false, {16400}};
  measure("Words::mark + done of 1 relation", [&](int) { words.mark("shop", writes).done(false); });

  sql::SessionFacts session;
  session.database = "shop";
  session.user = "app";
  session.settings = {{"timezone", "UTC"},         {"datestyle", "ISO, MDY"},  {"client_encoding", "UTF8"},
                      {"intervalstyle", "postgres"}, {"server_version", "15.8"}, {"application_name", "bench"}};
  const std::string text = "select id, name, price from items where group_id = $1 order by price limit 10";
  const std::vector<std::uint32_t> types{23};
  KeyInput input;
  const std::string who = session_key(session);
  input.session = who;
  input.text = text;
  input.parameter_types = types;
  input.bind_parameters = std::string_view("\0\0\0\1\0\0\0\2" "42", 10);
  measure("make_key", [&](int) { sink += make_key(input).hash[0]; });

  MemoryStore store(128 << 20);
  std::vector<Key> keys;
  for (std::size_t i = 0; i < 20'000; ++i) {
    keys.push_back(key_of(i));
    auto entry = std::make_shared<Entry>();
    entry->key_material = keys.back().material;
    entry->rows.assign(1000, 'x');
    entry->cost_ms = 1;
    store.put(keys.back(), entry);
  }
  measure("MemoryStore::find, 20 000 entries, same key", [&](int) { sink += store.find(keys[7])->rows.size(); });
  measure("MemoryStore::find, 20 000 entries, scattered",
          [&](int i) { sink += store.find(keys[static_cast<std::size_t>(i) * 7919 % keys.size()])->rows.size(); });
  measure("MemoryStore::sight", [&](int i) { sink += store.sight(keys[static_cast<std::size_t>(i) % keys.size()]); });
  for (const std::size_t size : {1000ul, 10'000ul, 100'000ul}) {
    Entry entry;
    entry.key_material = keys[0].material;
    entry.tag = tag;
    entry.rows.assign(size, 'x');
    const std::string bytes = serialize(entry);
    measure(fmt::format("serialize {} B", size).c_str(), [&](int) { sink += serialize(entry).size(); });
    measure(fmt::format("deserialize {} B", size).c_str(), [&](int) { sink += deserialize(bytes)->rows.size(); });
  }
  if (sink == 42) fmt::print("\n");
}

}  // namespace pgsteer::bench
