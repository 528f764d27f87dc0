// The session's side of the result cache: look-up, fill, store.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <charconv>

#include "cache/stores/redis.hpp"
#include "proxy/feed/feed.hpp"
#include "proxy/group/members.hpp"
#include "proxy/session/session.hpp"

namespace asio = boost::asio;

namespace pgsteer::proxy {
namespace {

/// Moves with the steady clock from where the wall clock stood at the start: setting the clock back must not make
/// answers live longer.
std::int64_t steady_unix_us() {
  using std::chrono::duration_cast, std::chrono::microseconds;
  static const auto offset = duration_cast<microseconds>(std::chrono::system_clock::now().time_since_epoch()) -
                             duration_cast<microseconds>(std::chrono::steady_clock::now().time_since_epoch());
  return (offset + duration_cast<microseconds>(std::chrono::steady_clock::now().time_since_epoch())).count();
}

/// Whether the entry is an answer to this, as far as the words allow.
bool fits(const cache::Entry& entry, const cache::Key& key, bool need_description) {
  if (entry.key_material != key.material) return false;
  if (entry.expires_unix_us != 0 && entry.expires_unix_us <= steady_unix_us()) return false;
  return !need_description || !entry.row_description.empty();
}

bool usable(const cache::Entry& entry, const cache::Key& key, const std::string& database, const cache::Words& words,
            bool need_description) {
  return fits(entry, key, need_description) && words.unchanged(database, entry.tag);
}

std::string redis_key(const cache::Key& key) {
  char text[48];
  std::snprintf(text, sizeof text, "pgsteer:v:%016llx%016llx", static_cast<unsigned long long>(key.hash[0]),
                static_cast<unsigned long long>(key.hash[1]));
  return text;
}

/// A look-up that waits for the feed.
struct Waiting {
  explicit Waiting(asio::io_context& loop) : timer(loop) {}
  asio::steady_timer timer;
  bool told = false;
};

constexpr double kDear = 5;  ///< milliseconds: kept at first sight

std::uint64_t to_word(std::string_view text) {
  std::uint64_t word = 0;
  std::from_chars(text.data(), text.data() + text.size(), word);
  return word;
}

/// Beyond this one reader holds its answer back no longer than a value is worth.
constexpr std::chrono::milliseconds kStrictLifetime = std::chrono::hours(1);

}  // namespace

Awaitable<Session::Lookup> Session::look_up(std::shared_ptr<const Plan> plan, std::string_view text,
                                            std::span<const std::uint32_t> types, std::string_view parameters,
                                            std::string_view formats, bool need_description) {
  Lookup result;
  Hub& hub = worker_.hub;
  if (hub.unmarked_sessions.load() != 0) co_return result;
  const sql::Catalog* catalog = worker_.snapshot().catalog(facts_.database);
  if (!catalog || !plan->knowledge || writes_.wrote_in_transaction()) co_return result;
  if (cache::mentions_current_time(parameters)) co_return result;  // 'now' as a parameter is a moving answer

  const std::uint64_t generation = hub.group ? hub.group->generation() : hub.words.generation();
  if (generation == 0) co_return result;  // a group that is not together
  cache::KeyInput input;
  input.session = session_key();
  input.generation = generation;
  input.database_oid = catalog->database_oid;
  input.text = text;
  input.parameter_types = types;
  input.bind_parameters = parameters;
  input.result_formats = formats;
  cache::Key key = cache::make_key(input);

  if (plan->policy.cache.mode == cache::Consistency::strict_wal) {
    const bool told = co_await feed_has_come();
    // What came meanwhile may have changed the catalog that the plan was made by.
    const sql::Catalog* now = worker_.snapshot().catalog(facts_.database);
    if (!told || catalog_moving() || !now || now->version != plan->knowledge->cache.catalog_version) {
      counters_->cache_misses.add();
      co_return result;
    }
  }
  if (hub.group) {
    result = co_await look_up_shared(std::move(plan), std::move(key), generation, need_description);
    if (!result.entry) counters_->cache_misses.add();
    co_return result;
  }
  // The words are read before the value, and before execution: this is the fill permit.
  const std::vector<sql::Oid>& relations = plan->knowledge->cache.relations;
  const auto permit = hub.words.read(facts_.database, relations);
  const unsigned sights = hub.memory.sight(key);
  if (auto entry = hub.memory.find(key)) {
    if (usable(*entry, key, facts_.database, hub.words, need_description)) {
      result.entry = std::move(entry);
      result.source = Source::cache_memory;
      co_return result;
    }
  }
  const double estimate_ms = plan->estimates.empty() ? 0 : plan->estimates.front().ms;
  const auto config = worker_.snapshot().config;
  const bool use_redis = worker_.redis && estimate_ms * 1000 >= static_cast<double>(config->cache.redis_min_cost.count());
  if (use_redis && permit) {
    auto bytes = co_await worker_.redis->get(redis_key(key));
    // A link that never came about has no look-ups to break: to the operator it is open all the same.
    hub.redis_breaker.store(static_cast<int>(worker_.redis->connected() ? worker_.redis->breaker() : cache::BreakerState::open),
                            std::memory_order_relaxed);
    if (bytes) {
      if (auto entry = cache::deserialize(*bytes);
          entry && usable(*entry, key, facts_.database, hub.words, need_description)) {
        auto shared = std::make_shared<const cache::Entry>(std::move(*entry));
        hub.memory.put(key, shared);
        result.entry = std::move(shared);
        result.source = Source::cache_redis;
        co_return result;
      }
    }
  }
  counters_->cache_misses.add();
  // Doorkeeper: cheap statements are kept from their second sight on, dear ones at once.
  if (permit && (sights >= 2 || estimate_ms >= kDear)) result.fill = leave_to_fill(*plan, std::move(key), *permit);
  co_return result;
}

/// Whether what anybody had committed when this was called is in the words.
Awaitable<bool> Session::feed_has_come() {
  const auto feed = worker_.hub.feeds ? worker_.hub.feeds->of(facts_.database) : nullptr;
  if (!feed) co_return false;
  const auto waiting = std::make_shared<Waiting>(worker_.loop);
  waiting->timer.expires_after(worker_.snapshot().config->cache.feed_deadline);
  feed->ask([waiting, &loop = worker_.loop](bool caught_up) {
    asio::post(loop, [waiting, caught_up] {
      waiting->told = caught_up;
      waiting->timer.cancel();
    });
  });
  co_await waiting->timer.async_wait(asio::as_tuple(asio::use_awaitable));
  co_return waiting->told;
}

std::unique_ptr<Fill> Session::leave_to_fill(const Plan& plan, cache::Key key, cache::Words::Tag tag) const {
  auto fill = std::make_unique<Fill>();
  fill->entry = std::make_shared<cache::Entry>();
  fill->entry->key_material = key.material;
  fill->entry->tag = std::move(tag);
  fill->entry->fingerprint = plan.analysis->fingerprint_hex;
  fill->key = std::move(key);
  fill->max_bytes = plan.policy.cache.max_result;
  return fill;
}

/// The same in a group: the words are in Redis, read after the request came, and count only in the generation that every
/// member is in. What costs less than Redis is not worth it, and neither is what nobody keeps.
Awaitable<Session::Lookup> Session::look_up_shared(std::shared_ptr<const Plan> plan, cache::Key key, std::uint64_t generation, bool need_description) {
  Lookup result;
  Hub& hub = worker_.hub;
  const auto config = worker_.snapshot().config;
  const std::uint64_t picture = worker_.snapshot().picture(facts_.database);
  const double estimate_ms = plan->estimates.empty() ? 0 : plan->estimates.front().ms;
  const unsigned sights = hub.memory.sight(key);
  if (!worker_.redis || estimate_ms * 1000 < static_cast<double>(config->cache.redis_min_cost.count())) co_return result;
  auto entry = hub.memory.find(key);
  if (entry && !fits(*entry, key, need_description)) entry = nullptr;
  std::vector<sql::Oid> relations{cache::word_everywhere, cache::word_picture, cache::word_cat};
  const auto& read = plan->knowledge->cache.relations;
  relations.insert(relations.end(), read.begin(), read.end());
  std::vector<std::string> fields{std::string(cache::alive_field)};
  for (const auto relation : relations) fields.push_back(SharedWords::field(facts_.database, relation));
  const auto& keys = hub.group->words().keys();
  std::string words_key = keys.words(generation), value_key;
  if (!entry) value_key = redis_key(key);  // named: g++ 12 destroys the temporaries of ?: in a co_await twice
  auto words = co_await worker_.redis->words(keys.generation, std::move(words_key), std::move(fields), std::move(value_key));
  hub.redis_breaker.store(static_cast<int>(worker_.redis->connected() ? worker_.redis->breaker() : cache::BreakerState::open), std::memory_order_relaxed);
  if (!words || words->generation != std::to_string(generation) || words->words[0].empty()) co_return result;
  cache::Words::Tag now;
  bool marked = false;
  for (std::size_t i = 0; i < relations.size(); ++i) {
    now.emplace_back(relations[i], to_word(words->words[i + 1]));
    marked = marked || (now.back().second & cache::in_flight_mask) != 0;
  }
  if (now[1].second != picture) {
    hub.group->words().picture_moved(facts_.database, now[1].second);
    co_return result;
  }
  // The words were true at an instant after the request came; that they were the group's must be known now.
  if (marked || hub.group->generation() != generation || hub.unmarked_sessions.load() != 0) co_return result;
  result.source = entry ? Source::cache_memory : Source::cache_redis;
  if (!entry && words->value) {
    if (auto stored = cache::deserialize(*words->value); stored && fits(*stored, key, need_description)) {
      entry = std::make_shared<const cache::Entry>(std::move(*stored));
      if (entry->tag == now) hub.memory.put(key, entry);
    }
  }
  if (entry && entry->tag == now) {
    result.entry = std::move(entry);
    co_return result;
  }
  result.source = Source::server;
  if (sights >= 2 || estimate_ms >= kDear) result.fill = leave_to_fill(*plan, std::move(key), std::move(now));
  co_return result;
}

const std::string& Session::session_key() {
  if (std::exchange(session_key_version_, facts_.version) != facts_.version) session_key_ = cache::session_key(facts_);
  return session_key_;
}

void Session::store(Exec& exec) {
  Fill& fill = *exec.fill;
  if (fill.spoiled || worker_.hub.unmarked_sessions.load() != 0) return;
  auto entry = fill.entry;
  // A write landed meanwhile: useless already. In a group only Redis knows, and whoever looks asks it.
  if (!worker_.hub.group && !worker_.hub.words.unchanged(facts_.database, entry->tag)) return;
  const auto& action = exec.plan->policy.cache;
  entry->row_count = exec.execution.rows;
  entry->created_unix_us = steady_unix_us();
  entry->cost_ms = static_cast<double>(exec.execution.last_byte_ns - exec.execution.sent_ns) / 1e6;
  std::chrono::milliseconds lifetime = kStrictLifetime;
  if (action.mode == cache::Consistency::ttl || action.mode == cache::Consistency::bounded) lifetime = action.staleness;
  // The answer is as old as its execution's start.
  entry->expires_unix_us = entry->created_unix_us - static_cast<std::int64_t>(exec.execution.last_byte_ns / 1000) +
                           std::chrono::microseconds(lifetime).count();
  worker_.hub.memory.put(fill.key, entry);
  counters_->cache_stores.add();
  const auto config = worker_.snapshot().config;
  if (worker_.redis && entry->cost_ms * 1000 >= static_cast<double>(config->cache.redis_min_cost.count())) {
    worker_.redis->set(redis_key(fill.key), cache::serialize(*entry), lifetime);
  }
}

void Session::report_hit(const std::shared_ptr<const Plan>& plan, const cache::Entry& entry, Source source, Clock::time_point arrival) {
  counters_->cache_hits.add();
  counters_->queries.add();
  counters_->transactions.add();
  Execution execution;
  execution.arrival = arrival;
  execution.source = source;
  execution.rows = entry.row_count;
  execution.bytes = static_cast<std::int64_t>(entry.rows.size());
  execution.last_byte_ns = execution.proxy_ns = since(arrival);
  worker_.meters.count(plan->analysis->kind, Meters::Action::cache_hit, Meters::Ending::ok);
  worker_.meters.from_cache.record(execution.last_byte_ns);
  worker_.outcomes.add(plan, std::move(execution));
}

}  // namespace pgsteer::proxy
