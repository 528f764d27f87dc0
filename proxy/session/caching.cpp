// The session's side of the result cache: look-up, fill, store.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <charconv>
#include <cmath>

#include "cache/stores/redis.hpp"
#include "proxy/feed/feed.hpp"
#include "proxy/group/members.hpp"
#include "proxy/session/session.hpp"

namespace asio = boost::asio;

namespace pgsteer::proxy {
namespace {

/// Whether the entry is an answer to this, as far as the words allow.
bool fits(const cache::Entry& entry, const cache::Key& key, bool need_description) {
  if (entry.key_material != key.material) return false;
  if (entry.expires_unix_us != 0 && entry.expires_unix_us <= steady_unix_us()) return false;
  return !need_description || !entry.row_description.empty();
}

/// What another process has kept is as old as its clock says. One that is ahead of ours would make it young again.
bool of_our_time(const Plan& plan, const cache::Entry& entry) {
  return cache::exact(plan.policy.cache.mode) || entry.asked_unix_us <= steady_unix_us();
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

double expected_ms(const Plan& plan) { return plan.estimates.empty() ? 0 : plan.estimates.front().ms; }

/// A look-up that waits for the feed.
struct Waiting {
  explicit Waiting(asio::io_context& loop) : timer(loop) {}
  asio::steady_timer timer;
  bool told = false;
};

/// No other place would say anything else.
bool conclusive(cache::Miss miss) { return miss == cache::Miss::being_written || miss == cache::Miss::catalog || miss == cache::Miss::refreshing; }

constexpr double kDear = 5;           ///< milliseconds: kept at first sight
constexpr double kWorthWaiting = 1;   ///< milliseconds: what costs less is run rather than waited for
constexpr auto kLeastPatience = std::chrono::milliseconds(100);

std::uint64_t to_word(std::string_view text) {
  std::uint64_t word = 0;
  std::from_chars(text.data(), text.data() + text.size(), word);
  return word;
}

/// Beyond this one reader holds its answer back no longer than a value is worth.
constexpr std::chrono::milliseconds kStrictLifetime = std::chrono::hours(1);

}  // namespace

/// nullopt: nothing is looked up for it.
std::optional<Session::Sought> Session::sought(const Plan& plan, std::string_view text, std::span<const std::uint32_t> types, std::string_view parameters,
                                               std::string_view formats) {
  Hub& hub = worker_.hub;
  if (hub.unmarked_sessions.load() != 0) return std::nullopt;
  const sql::Catalog* catalog = worker_.snapshot().catalog(facts_.database);
  if (!catalog || !plan.knowledge || writes_.wrote_in_transaction()) return std::nullopt;
  if (cache::mentions_current_time(parameters)) return std::nullopt;  // 'now' as a parameter is a moving answer

  Sought result;
  result.generation = hub.group ? hub.group->generation() : hub.words.generation();
  if (result.generation == 0) return std::nullopt;  // a group that is not together
  cache::KeyInput input;
  input.session = session_key();
  input.generation = result.generation;
  input.database_oid = catalog->database_oid;
  input.text = text;
  input.parameter_types = types;
  input.bind_parameters = parameters;
  input.result_formats = formats;
  result.key = cache::make_key(input);
  const auto& relations = plan.knowledge->cache.relations;
  std::optional<cache::KeyWord> one;
  if (relations.size() == 1) one = cache::key_of(*plan.analysis, *catalog, relations.front(), {text, types, parameters, !parameters.empty()});
  result.read = cache::words_read(relations, one);
  if (!std::exchange(sighted_, true)) hub.memory.sight(result.key);
  return result;
}

/// Without waiting, and without a coroutine, which costs more than the look-up itself. nullopt: only look_up() can tell. A miss is not counted yet: whoever
/// finds no server comes back.
std::optional<Session::Lookup> Session::look_up_at_once(const Plan& plan, std::string_view text, std::span<const std::uint32_t> types, std::string_view parameters,
                                                        std::string_view formats, bool need_description) {
  if (worker_.hub.group || plan.policy.cache.mode == cache::Consistency::strict_wal) return std::nullopt;
  const auto what = sought(plan, text, types, parameters, formats);
  if (!what) {
    Lookup none;
    none.miss = std::nullopt;
    return none;
  }
  Lookup result = look_in_memory(plan, what->key, what->read, need_description);
  if (result.entry || conclusive(*result.miss)) return result;
  if (worth_redis(plan) || (result.fill && expected_ms(plan) >= kWorthWaiting)) return std::nullopt;
  return result;
}

Awaitable<Session::Lookup> Session::look_up(std::shared_ptr<const Plan> plan, std::string_view text,
                                            std::span<const std::uint32_t> types, std::string_view parameters,
                                            std::string_view formats, bool need_description) {
  Lookup result;
  Hub& hub = worker_.hub;
  const auto what = sought(*plan, text, types, parameters, formats);
  if (!what) co_return result;
  const auto& [key, read, generation] = *what;
  if (plan->policy.cache.mode == cache::Consistency::strict_wal) {
    const bool told = co_await feed_has_come();
    if (!told || !still_judged(*plan)) {  // what came meanwhile may have changed the catalog
      result.miss = told ? cache::Miss::catalog : cache::Miss::feed;
      missed(*plan, result);
      co_return result;
    }
  }
  const double estimate_ms = expected_ms(*plan);
  const Clock::duration usual = std::chrono::microseconds(static_cast<std::int64_t>(estimate_ms * 8000));
  const auto patience = std::min<Clock::duration>(worker_.snapshot().config->cache.fill_wait, std::max<Clock::duration>(usual, kLeastPatience));
  const bool may_wait = estimate_ms >= kWorthWaiting && patience.count() > 0;
  std::optional<Clock::time_point> deadline;
  for (int failures = 0;; ++failures) {
    if (hub.group) result = co_await look_up_shared(plan, key, read, generation, need_description);
    else result = look_in_memory(*plan, key, read, need_description);
    if (!hub.group && !result.entry && !conclusive(*result.miss) && worth_redis(*plan)) {
      result.entry = co_await look_in_redis(key, need_description);
      if (result.entry) result.source = Source::cache_redis;
    }
    if (result.entry || !result.fill || result.fill->lead) break;
    if (!may_wait) break;
    result.fill->lead = hub.flights.lead(key);
    if (result.fill->lead || failures == 2) break;  // two were given up, or had other words than ours: we ask for ourselves
    worker_.hub.ledger.waited(plan->analysis->fingerprint_hex);
    if (!deadline) deadline = Clock::now() + patience;
    const bool ended = co_await other_fill(key, *deadline);
    if (line_cancelled_) {
      refuse_cancelled(*plan);
      result.fill = nullptr;
      result.cancelled = true;
    }
    if (!ended || closing_) break;
  }
  if (!result.entry) missed(*plan, result);
  co_return result;
}

void Session::missed(const Plan& plan, const Lookup& result) {
  if (!result.miss) return;
  counters_->cache_misses.add();
  const bool unseen = !result.fill && (result.miss == cache::Miss::absent || result.miss == cache::Miss::expired || result.miss == cache::Miss::written);
  worker_.hub.ledger.missed(plan.analysis->fingerprint_hex, *result.miss, unseen);
}

/// The words are read before the value, and before execution: they are the permit to fill.
Session::Lookup Session::look_in_memory(const Plan& plan, const cache::Key& key, std::span<const sql::Oid> read, bool need_description) {
  Lookup result;
  Hub& hub = worker_.hub;
  auto permit = hub.words.read(facts_.database, read);
  const bool judged = still_judged(plan);
  if (!judged) permit.reset();
  auto entry = hub.memory.find(key);
  if (entry && !fits(*entry, key, need_description)) result.miss = cache::Miss::expired;
  else if (entry) {
    const bool current = hub.words.unchanged(facts_.database, entry->tag);
    if (current || may_be_old(plan, *entry)) {
      auto lead = permit && wants_refresh(plan, *entry, current) ? hub.flights.lead(key) : cache::Flights::Lead();
      if (lead) {  // others go on with the old one meanwhile
        result.fill = leave_to_fill(plan, key, *permit);
        result.fill->lead = std::move(lead);
        result.miss = cache::Miss::refreshing;
        return result;
      }
      result.entry = std::move(entry);
      result.source = Source::cache_memory;
      result.old = !current;
      return result;
    }
    result.miss = cache::Miss::written;
  }
  if (permit && worth_keeping(plan, key)) result.fill = leave_to_fill(plan, key, *permit);
  if (!permit) result.miss = judged ? cache::Miss::being_written : cache::Miss::catalog;
  return result;
}

bool Session::worth_redis(const Plan& plan) const {
  return worker_.redis && expected_ms(plan) * 1000 >= static_cast<double>(worker_.snapshot().config->cache.redis_min_cost.count());
}

Awaitable<std::shared_ptr<const cache::Entry>> Session::look_in_redis(cache::Key key, bool need_description) {
  Hub& hub = worker_.hub;
  const auto bytes = co_await worker_.redis->get(redis_key(key));
  // A link that never came about has no look-ups to break: to the operator it is open all the same.
  hub.redis_breaker.store(static_cast<int>(worker_.redis->connected() ? worker_.redis->breaker() : cache::BreakerState::open),
                          std::memory_order_relaxed);
  if (!bytes) co_return nullptr;
  auto stored = cache::deserialize(*bytes);
  if (!stored || !usable(*stored, key, facts_.database, hub.words, need_description)) co_return nullptr;
  auto shared = std::make_shared<const cache::Entry>(std::move(*stored));
  hub.memory.put(key, shared);
  co_return shared;
}

/// Doorkeeper: cheap statements are kept from their second sight on, dear ones at once.
bool Session::worth_keeping(const Plan& plan, const cache::Key& key) const {
  return expected_ms(plan) >= kDear || worker_.hub.memory.sights(key) >= 2;
}

/// The catalog by which the plan was found cacheable is the one in force, as far as anybody here knows.
bool Session::still_judged(const Plan& plan) const {
  const sql::Catalog* now = worker_.snapshot().catalog(facts_.database);
  return !catalog_moving() && now && now->version == plan.knowledge->cache.catalog_version;
}

/// What was written since may be left out for as long as the policy says, but not by a session that knows better: it has been answered
/// by the server, or from an entry, of a later time. Of a catalog that has moved nothing is left.
bool Session::may_be_old(const Plan& plan, const cache::Entry& entry) const {
  return !cache::exact(plan.policy.cache.mode) && worker_.snapshot().config->cache.serve_old && entry.asked_unix_us >= seen_unix_us_ &&
         worker_.hub.words.catalog_unchanged(facts_.database, entry.tag);
}

/// One session asks the server again while the others have the old answer: when something was written, and by chance shortly before it
/// is too old (optimal probabilistic early expiration: Vattani, Chierichetti, Lowenstein).
bool Session::wants_refresh(const Plan& plan, const cache::Entry& entry, bool current) {
  if (!current) return true;
  if (cache::exact(plan.policy.cache.mode)) return false;
  const double chance = (static_cast<double>(worker_.random() >> 11) + 1) * 0x1p-53;
  return static_cast<double>(entry.expires_unix_us - steady_unix_us()) < entry.cost_ms * 1000 * -std::log(chance);
}

/// Until whoever fills this is done. False: not by then, or the client wants no answer any more.
Awaitable<bool> Session::other_fill(cache::Key key, Clock::time_point deadline) {
  const auto told = std::make_shared<std::atomic<bool>>(false);
  const auto timer = std::make_shared<asio::steady_timer>(worker_.loop);
  const auto wait = worker_.hub.flights.wait(key, [told, timer, &loop = worker_.loop] {
    told->store(true);
    asio::post(loop, [timer] { timer->cancel(); });
  });
  line_cancelled_ = false;
  if (!wait) co_return true;
  counters_->cache_waits.add();
  line_timer_ = timer;
  publish("waiting");
  while (!told->load() && !line_cancelled_ && !over() && Clock::now() < deadline) {
    timer->expires_at(deadline);
    co_await timer->async_wait(asio::as_tuple(asio::use_awaitable));
  }
  line_timer_ = nullptr;
  publish("active");
  co_return told->load() && !line_cancelled_ && !over();
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
Awaitable<Session::Lookup> Session::look_up_shared(std::shared_ptr<const Plan> plan, cache::Key key, std::vector<sql::Oid> read, std::uint64_t generation,
                                                   bool need_description) {
  Lookup result;
  Hub& hub = worker_.hub;
  const std::uint64_t picture = worker_.snapshot().picture(facts_.database);
  if (!worth_redis(*plan)) co_return result;
  auto entry = hub.memory.find(key);
  if (entry && !fits(*entry, key, need_description)) entry = nullptr;
  std::vector<sql::Oid> relations{cache::word_everywhere, cache::word_picture, cache::word_cat};
  relations.insert(relations.end(), read.begin(), read.end());
  std::vector<std::string> fields{std::string(cache::alive_field)};
  for (const auto relation : relations) fields.push_back(SharedWords::field(facts_.database, relation));
  const auto& keys = hub.group->words().keys();
  std::string words_key = keys.words(generation), value_key;
  if (!entry) value_key = redis_key(key);  // named: g++ 12 destroys the temporaries of ?: in a co_await twice
  auto words = co_await worker_.redis->words(keys.generation, std::move(words_key), std::move(fields), std::move(value_key));
  hub.redis_breaker.store(static_cast<int>(worker_.redis->connected() ? worker_.redis->breaker() : cache::BreakerState::open), std::memory_order_relaxed);
  result.miss = cache::Miss::redis;
  if (!words || words->generation != std::to_string(generation) || words->words[0].empty()) co_return result;
  cache::Words::Tag now;
  bool marked = false;
  for (std::size_t i = 0; i < relations.size(); ++i) {
    now.emplace_back(relations[i], to_word(words->words[i + 1]));
    marked = marked || (now.back().second & cache::in_flight_mask) != 0;
  }
  if (now[1].second != picture) {
    hub.group->words().picture_moved(facts_.database, now[1].second);
    result.miss = cache::Miss::catalog;
    co_return result;
  }
  if (worker_.redis->server() != hub.group->redis()) co_return result;  // a failover that the group has not heard of yet
  // The words were true at an instant after the request came; that they were the group's must be known now.
  if (marked) result.miss = cache::Miss::being_written;
  if (marked || hub.group->generation() != generation || hub.unmarked_sessions.load() != 0) co_return result;
  result.source = entry ? Source::cache_memory : Source::cache_redis;
  if (!entry && words->value) {
    if (auto stored = cache::deserialize(*words->value); stored && fits(*stored, key, need_description) && of_our_time(*plan, *stored)) {
      entry = std::make_shared<const cache::Entry>(std::move(*stored));
      // Where its age matters, Redis is who lets it end.
      if (entry->tag == now && cache::exact(plan->policy.cache.mode)) hub.memory.put(key, entry);
    }
  }
  if (entry && entry->tag == now) {
    result.entry = std::move(entry);
    co_return result;
  }
  result.source = Source::server;
  result.miss = entry ? cache::Miss::written : cache::Miss::absent;
  if (worth_keeping(*plan, key)) result.fill = leave_to_fill(*plan, std::move(key), std::move(now));
  co_return result;
}

void Fill::spoil() {
  spoiled = true;
  entry->rows = std::string();
  lead.end();
}

const std::string& Session::session_key() {
  if (std::exchange(session_key_version_, facts_.version) != facts_.version) session_key_ = cache::session_key(facts_);
  return session_key_;
}

void Session::store(Exec& exec) {
  Fill& fill = *exec.fill;
  auto entry = fill.entry;
  const auto not_kept = [&](cache::Unkept why) { worker_.hub.ledger.not_kept(entry->fingerprint, why); };
  if (fill.spoiled || (exec.prepared && exec.prepared->noisy)) return not_kept(fill.too_large ? cache::Unkept::too_large : cache::Unkept::failed);
  if (worker_.hub.unmarked_sessions.load() != 0) return not_kept(cache::Unkept::overtaken);
  // A standby, or a primary of the past, may be behind what the words tell of.
  if (server_ && !worker_.hub.hosts->is_primary(server_->host)) return not_kept(cache::Unkept::overtaken);
  // A write landed meanwhile: useless already. In a group only Redis knows, and whoever looks asks it.
  if (!worker_.hub.group && !worker_.hub.words.unchanged(facts_.database, entry->tag)) return not_kept(cache::Unkept::overtaken);
  const auto& action = exec.plan->policy.cache;
  entry->row_count = exec.execution.rows;
  // The answer is as old as its execution's start.
  entry->asked_unix_us = steady_unix_us() - static_cast<std::int64_t>(since(exec.execution.arrival) / 1000);
  entry->cost_ms = static_cast<double>(exec.execution.last_byte_ns - exec.execution.sent_ns) / 1e6;
  std::chrono::milliseconds lifetime = kStrictLifetime;
  if (!cache::exact(action.mode)) lifetime = action.staleness;
  // Up to a tenth less: what was filled together does not expire together.
  const auto shorter = std::chrono::microseconds(lifetime).count() / 10 * static_cast<std::int64_t>(worker_.random() % 1024) / 1024;
  entry->expires_unix_us = entry->asked_unix_us + std::chrono::microseconds(lifetime).count() - shorter;
  if (!worker_.hub.memory.put(fill.key, entry)) not_kept(cache::Unkept::no_room);
  counters_->cache_stores.add();
  worker_.hub.ledger.stored(entry->fingerprint);
  const auto config = worker_.snapshot().config;
  if (worker_.redis && entry->cost_ms * 1000 >= static_cast<double>(config->cache.redis_min_cost.count())) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::microseconds(entry->expires_unix_us - steady_unix_us()));
    if (left.count() > 0) worker_.redis->set(redis_key(fill.key), cache::serialize(*entry), left);
  }
}

void Session::report_hit(const std::shared_ptr<const Plan>& plan, const Lookup& found, Clock::time_point arrival) {
  const cache::Entry& entry = *found.entry;
  worker_.hub.ledger.hit(plan->analysis->fingerprint_hex, entry.cost_ms, found.old);
  if (found.old) counters_->cache_old_hits.add();
  seen_unix_us_ = std::max(seen_unix_us_, entry.asked_unix_us);
  counters_->cache_hits.add();
  counters_->queries.add();
  counters_->transactions.add();
  Execution execution;
  execution.arrival = arrival;
  execution.source = found.source;
  execution.rows = entry.row_count;
  execution.bytes = static_cast<std::int64_t>(entry.rows.size());
  execution.last_byte_ns = execution.proxy_ns = since(arrival);
  worker_.meters.count(plan->analysis->kind, Meters::Action::cache_hit, Meters::Ending::ok);
  worker_.meters.from_cache.record(execution.last_byte_ns);
  worker_.outcomes.add(plan, std::move(execution));
}

}  // namespace pgsteer::proxy
