#include "proxy/pool/pools.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "policies/policy.hpp"
#include "protocol/wire.hpp"
#include "proxy/hosts/hosts.hpp"
#include "proxy/hub.hpp"
#include "proxy/worker.hpp"

namespace pgsteer::proxy {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

namespace {

/// A connection goes to the first waiter of its own worker, which costs nothing, unless one elsewhere has been waiting four times as long and
/// so much more: moving it costs two threads a wake-up each, which under load is more than a transaction.
constexpr auto kLocality = std::chrono::milliseconds(10);

bool expired(const ServerConnection& server, Clock::time_point now, std::chrono::milliseconds limit, Clock::time_point since) {
  return limit.count() > 0 && now - since > limit && server.pool;
}

}  // namespace

PoolMode pool_mode(const Config& config, std::string_view database, std::string_view user) {
  if (config.auth.mode != "terminate") return PoolMode::session;
  const std::string name = std::string(database) + "/" + std::string(user);
  const auto matches = [&](const std::vector<std::string>& patterns) {
    return std::any_of(patterns.begin(), patterns.end(), [&](const auto& p) { return policies::glob_match(p, name); });
  };
  if (matches(config.pool.session)) return PoolMode::session;
  if (matches(config.pool.transaction)) return PoolMode::transaction;
  return config.pool.mode == "transaction" ? PoolMode::transaction : PoolMode::session;
}

void Slot::release() {
  if (pools_) std::exchange(pools_, nullptr)->slot_free(std::exchange(pool_, nullptr));
}

void ServerConnection::say_goodbye() {
  std::string bytes;
  protocol::append_empty(bytes, 'X');
  boost::system::error_code ignored;
  stream.write_some(asio::buffer(bytes), ignored);
}

bool ServerConnection::alive() {
  char byte;
  const auto n = ::recv(stream.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

Pools::Pools(Hub& hub) : hub_(hub), not_before_(static_cast<std::size_t>(hub.hosts->count())) {}

/// Read under the lock: close_idle() comes after the flag is set, so nothing is idle while it is.
bool Pools::paused() const { return hub_.paused.load(); }

std::shared_ptr<const Config> Pools::config() const { return hub_.snapshot()->config; }

std::shared_ptr<Pool> Pools::pool(const std::string& database, const std::string& user, int host) {
  const std::lock_guard lock(mutex_);
  auto& place = pools_[{database, user, host}];
  if (!place) place = std::make_shared<Pool>(database, user, host);
  return place;
}

bool Pools::may_open(const Pool& pool, const Config& config, bool reserve) const {
  if (pool.open >= config.pool.default_pool_size + (reserve ? config.pool.reserve_pool : 0)) return false;
  int of_database = 0, of_user = 0;
  if (config.pool.max_db_connections == 0 && config.pool.max_user_connections == 0) return true;
  for (const auto& [name, other] : pools_) {
    if (other->limited_with() != pool.limited_with()) continue;  // each server has limits of its own
    if (other->database == pool.database) of_database += other->open;
    if (other->user == pool.user) of_user += other->open;
  }
  return (config.pool.max_db_connections == 0 || of_database < config.pool.max_db_connections) &&
         (config.pool.max_user_connections == 0 || of_user < config.pool.max_user_connections);
}

/// Closes the connection that was idle for longest in another pool which counts towards the same limit. True: a slot will become free.
bool Pools::make_room(const Pool& wanting, const Config& config) {
  if (wanting.open >= config.pool.default_pool_size) return false;
  Pool* from = nullptr;
  for (const auto& [name, other] : pools_) {
    const bool related = (config.pool.max_db_connections > 0 && other->database == wanting.database) ||
                         (config.pool.max_user_connections > 0 && other->user == wanting.user);
    if (other.get() == &wanting || !related || other->limited_with() != wanting.limited_with() || other->idle.empty()) continue;
    if (!from || other->idle.front()->idle_since < from->idle.front()->idle_since) from = other.get();
  }
  if (!from) return false;
  close_on_its_worker(std::move(from->idle.front()));
  from->idle.erase(from->idle.begin());
  return true;
}

/// Its slot is free only when its socket is closed; until then it is counted in `leaving` too.
void Pools::close_on_its_worker(std::unique_ptr<ServerConnection> server) noexcept {
  ++server->pool->leaving;
  Deliveries& there = server->worker->deliveries;
  there.take_away(std::move(server));
}

/// Moves a connection into a waiter's hands, on the waiter's thread.
void Pools::hand(std::unique_ptr<ServerConnection> server, std::shared_ptr<Waiter> waiter) noexcept {
  Deliveries& from = server->worker->deliveries;
  Deliveries& to = waiter->worker.deliveries;
  if (&from == &to) return to.give(std::move(waiter), {.server = std::move(server), .slot = {}, .timed_out = false});
  server->bound_for = std::move(waiter);
  from.take_away(std::move(server));
}

/// Room for it among the idle ones is made now, so that handing it back takes no memory.
Slot Pools::new_slot(const std::shared_ptr<Pool>& pool) {
  pool->idle.reserve(static_cast<std::size_t>(pool->open) + 1);
  ++pool->open;
  return Slot(*this, pool);
}

/// Idle connections of the waiter's own worker first, the one used last first: its caches are warm, and the others may grow old.
bool Pools::take_idle(Pool& pool, const std::shared_ptr<Waiter>& waiter, bool may_open) {
  if (pool.idle.empty()) return false;
  auto best = std::find_if(pool.idle.rbegin(), pool.idle.rend(), [&](const auto& s) { return s->worker == &waiter->worker; });
  if (best == pool.idle.rend()) {
    if (may_open) return false;  // one more of its own is cheaper in the long run than one that goes to and fro
    best = pool.idle.rbegin();
  }
  auto server = std::move(*best);
  pool.idle.erase(std::next(best).base());
  if (server->worker == &waiter->worker) waiter->server = std::move(server);
  else hand(std::move(server), waiter);
  return true;
}

void Pools::acquire(const std::shared_ptr<Waiter>& waiter) {
  const auto settings = waiter->worker.snapshot().config;
  const Lock lock(mutex_);
  Pool& pool = *waiter->pool;
  pool.ahead.wanted = true;
  if (pool.waiters.empty() && !paused()) {
    const bool room = may_open(pool, *settings, false);
    if (take_idle(pool, waiter, room)) return;
    if (room) {
      waiter->slot = new_slot(waiter->pool);
      return;
    }
  }
  pool.waiters.push_back(waiter);
  if (pool.idle.empty() && !paused()) make_room(pool, *settings);
}

std::unique_ptr<ServerConnection> Pools::take_near(Worker& worker, Pool& pool) {
  const Lock lock(mutex_);
  if (!pool.waiters.empty() || paused()) return nullptr;
  const auto best = std::find_if(pool.idle.rbegin(), pool.idle.rend(), [&](const auto& s) { return s->worker == &worker; });
  if (best == pool.idle.rend()) return nullptr;
  auto server = std::move(*best);
  pool.idle.erase(std::next(best).base());
  return server;
}

void Pools::withdraw(const std::shared_ptr<Waiter>& waiter) {
  waiter->abandoned = true;
  {
    const Lock lock(mutex_);
    std::erase(waiter->pool->waiters, waiter);
  }
  if (waiter->server) give_back(std::move(waiter->server));
  waiter->slot = {};
}

void Pools::give_back(std::unique_ptr<ServerConnection> server, Clock::time_point now) {
  server->idle_since = now;
  // In a busy pool nothing is ever idle: what is too old goes here, and its slot to whoever waits.
  const auto lifetime = server->worker->snapshot().config->pool.server_lifetime;
  if (outdated(*server) || hub_.vacancies.asked(server->pool->database, server->idle_since) || expired(*server, server->idle_since, lifetime, server->connected)) {
    return close_on_its_worker(std::move(server));
  }
  const auto pool = server->pool;
  const Lock lock(mutex_);
  if (paused()) return close_on_its_worker(std::move(server));
  auto& waiters = pool->waiters;
  if (waiters.empty()) {
    pool->idle.push_back(std::move(server));
    return;
  }
  auto next = waiters.begin();
  const auto near = std::find_if(waiters.begin(), waiters.end(), [&](const auto& w) { return &w->worker == server->worker; });
  const auto waited = [&](const auto& w) { return server->idle_since - w->since; };
  if (near != waiters.end() && waited(*next) <= 4 * waited(*near) + kLocality) next = near;
  auto waiter = *next;
  waiters.erase(next);
  hand(std::move(server), std::move(waiter));
}

void Pools::slot_free(const std::shared_ptr<Pool>& pool) {
  const auto settings = config();
  const Lock lock(mutex_);
  --pool->open;
  serve_waiters(*settings);
}

/// Gives free slots to those who have waited longest. Where there is no memory for that, tick() comes again.
void Pools::serve_waiters(const Config& config) noexcept try {
  while (!paused()) {
    Pool* first = nullptr;
    for (const auto& [name, pool] : pools_) {
      if (pool->waiters.empty() || !may_open(*pool, config, false)) continue;
      if (!first || pool->waiters.front()->since < first->waiters.front()->since) first = pool.get();
    }
    if (!first) return;
    serve_first(*first);
  }
} catch (const std::exception&) {
}

void Pools::serve_first(Pool& pool) {
  auto waiter = pool.waiters.front();
  Slot slot = new_slot(waiter->pool);
  pool.waiters.pop_front();
  Deliveries& there = waiter->worker.deliveries;
  there.give(std::move(waiter), {.server = nullptr, .slot = std::move(slot), .timed_out = false});
}

void Pools::tick() {
  const auto settings = config();
  const auto now = Clock::now();
  const bool look = ++ticks_ % 20 == 0;  // once a second
  Openings openings;
  Lock lock(mutex_);
  if (look) {  // whose client is gone is noticed by its session
    for (const auto& [name, pool] : pools_) {
      for (const auto& waiter : pool->waiters) waiter->worker.deliveries.tell(waiter);
    }
  }
  if (paused()) return;
  for (const auto& [name, pool] : pools_) {
    const auto wait_limit = settings->pool.query_wait_timeout;
    while (!pool->waiters.empty() && wait_limit.count() > 0 && now - pool->waiters.front()->since > wait_limit) {
      const auto waiter = pool->waiters.front();
      pool->waiters.pop_front();
      waiter->worker.deliveries.give(waiter, {.server = nullptr, .slot = {}, .timed_out = true});
    }
    while (!pool->waiters.empty() && settings->pool.reserve_pool > 0 &&
           now - pool->waiters.front()->since > settings->pool.reserve_pool_timeout && may_open(*pool, *settings, true)) {
      serve_first(*pool);
    }
    for (auto it = pool->idle.begin(); it != pool->idle.end();) {
      ServerConnection& server = **it;
      const bool spare = pool->open - pool->leaving > settings->pool.min_pool_size;
      const bool surplus = pool->open - pool->leaving > settings->pool.default_pool_size + settings->pool.reserve_pool;
      const bool dead = look && !server.alive();
      if (dead && !pool->for_reading()) hub_.words.flush();  // its end may be a crash
      const bool close = dead || surplus || outdated(server) ||
                         expired(server, now, settings->pool.server_lifetime, server.connected) ||
                         (spare && expired(server, now, settings->pool.server_idle_timeout, server.idle_since));
      if (!close) {
        ++it;
        continue;
      }
      close_on_its_worker(std::move(*it));
      it = pool->idle.erase(it);
    }
  }
  serve_waiters(*settings);
  note_openings(*settings, now, openings);
  lock.unlock();
  for (auto& opening : openings) {
    Worker& worker = *workers_[next_worker_++ % workers_.size()];
    asio::co_spawn(worker.loop, open_one(worker, std::move(opening)), asio::detached);
  }
}

void Pools::reconnect() {
  for (auto& one : not_before_) one = Clock::now();
  close_idle();
}

void Pools::reconnect(int host) {
  not_before_[static_cast<std::size_t>(host)] = Clock::now();
  close_idle_where([&](const ServerConnection& server) { return server.host == host; });
}

void Pools::resume() {
  const auto settings = config();
  const Lock lock(mutex_);
  for (const auto& [name, pool] : pools_) {
    for (const auto& waiter : pool->waiters) waiter->since = Clock::now();
  }
  hub_.paused = false;  // under the lock: tick() would send away who has waited since before
  serve_waiters(*settings);
}

int Pools::open() {
  const Lock lock(mutex_);
  int all = 0;
  for (const auto& [name, pool] : pools_) all += pool->open;
  return all;
}

void Pools::close_idle() {
  close_idle_where([](const ServerConnection&) { return true; });
}

void Pools::vacate(const std::string& database) {
  close_idle_where([&](const ServerConnection& server) { return server.pool->database == database; });
}

void Pools::disown(const std::string& user) {
  constexpr std::chrono::seconds kUntilDone{6};  // whoever logs in meanwhile may still be the old one
  {
    const Lock lock(mutex_);
    for (const auto& [name, pool] : pools_)
      if (pool->user == user) pool->not_before = Clock::now() + kUntilDone;
  }
  close_idle_where([&](const ServerConnection& server) { return server.pool->user == user; });
}

void Pools::close_idle_where(const std::function<bool(const ServerConnection&)>& leaves) {
  const Lock lock(mutex_);
  for (const auto& [name, pool] : pools_) {
    for (auto& server : pool->idle)
      if (leaves(*server)) close_on_its_worker(std::move(server));
    std::erase(pool->idle, nullptr);
  }
}

void Pools::shut_down() {
  std::vector<std::unique_ptr<ServerConnection>> closing;  // destroyed after the lock: each gives its slot back
  for (auto* worker : workers_) worker->deliveries.clear();
  const Lock lock(mutex_);
  for (const auto& [name, pool] : pools_) {
    std::move(pool->idle.begin(), pool->idle.end(), std::back_inserter(closing));
    pool->idle.clear();
    pool->waiters.clear();
  }
}

std::optional<Welcome> Pools::welcome(Pool& pool, const std::string& startup_settings) {
  const Lock lock(mutex_);
  const auto found = pool.welcomes.find(startup_settings);
  if (found == pool.welcomes.end()) return std::nullopt;
  return found->second;
}

void Pools::set_welcome(Pool& pool, const std::string& startup_settings, Welcome welcome) {
  constexpr std::size_t kMostWelcomes = 1000;  // startup settings come from clients
  const Lock lock(mutex_);
  if (pool.welcomes.size() >= kMostWelcomes) pool.welcomes.clear();
  pool.welcomes[startup_settings] = std::move(welcome);
}

Proof Pools::proof(Pool& pool) {
  const Lock lock(mutex_);
  if (!pool.for_reading()) return pool.proof;
  const auto main = pools_.find({pool.database, pool.user, Pool::kMain});  // one proof fits all hosts: they have the same secrets
  return main == pools_.end() ? pool.proof : main->second->proof;
}

void Pools::set_proof(Pool& pool, Proof proof) {
  const Lock lock(mutex_);
  pool.proof = std::move(proof);
}

std::vector<Pools::Numbers> Pools::numbers() {
  const auto settings = config();
  const auto now = Clock::now();
  const Lock lock(mutex_);
  std::vector<Numbers> all;
  for (const auto& [name, pool] : pools_) {
    Numbers one{pool->database, pool->user, pool->limited_with(), pool->host != Pool::kReplication && pool_mode(*settings, pool->database, pool->user) == PoolMode::transaction, pool->open, static_cast<int>(pool->idle.size()), static_cast<int>(pool->waiters.size()), 0};
    if (!pool->waiters.empty()) {
      one.longest_wait_us = std::chrono::duration_cast<std::chrono::microseconds>(now - pool->waiters.front()->since).count();
    }
    all.push_back(one);
  }
  return all;
}

}  // namespace pgsteer::proxy
