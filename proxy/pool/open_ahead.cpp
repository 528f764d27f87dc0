// pool.min_pool_size: connections that are made before anybody asks for them.
#include <spdlog/spdlog.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "protocol/wire.hpp"
#include "proxy/auth/server_login.hpp"
#include "proxy/hub.hpp"
#include "proxy/pool/pools.hpp"
#include "proxy/worker.hpp"

namespace pgsteer::proxy {

namespace {

constexpr std::chrono::milliseconds kFirstRest{1000}, kLongestRest{60000};

/// The server says no to this user or this database: asking again would only fill its log, until a client has come with what it takes.
bool for_good(std::string_view refusal) {
  const auto sqlstate = protocol::error_field(refusal.substr(protocol::kHeaderBytes), 'C');
  return sqlstate.starts_with("28") || sqlstate == "3D000" || sqlstate == "42501";
}

}  // namespace

void Pools::open_ahead(const Config& config, Clock::time_point now) {
  if (config.pool.min_pool_size == 0 || workers_.empty()) return;
  for (const auto& [name, pool] : pools_) {
    if (!pool->waiters.empty()) return;  // whoever waits comes first, whichever limit it is that he waits for
  }
  for (const auto& [name, pool] : pools_) {
    auto& ahead = pool->ahead;
    if (!ahead.wanted || ahead.under_way || now < ahead.not_before || hub_.vacancies.asked(pool->database, now) || pool->open - pool->leaving >= config.pool.min_pool_size) continue;
    if (pool->host == Pool::kReplication || pool_mode(config, pool->database, pool->user) != PoolMode::transaction || !may_open(*pool, config, false)) continue;
    ahead.under_way = true;
    ++pool->open;
    Worker& worker = *workers_[next_worker_++ % workers_.size()];
    boost::asio::co_spawn(worker.loop, open_one(worker, pool, std::make_shared<Slot>(*this, pool)), boost::asio::detached);
  }
}

/// One at a time in each pool; after a failure with a rest that doubles.
Awaitable<void> Pools::open_one(Worker& worker, std::shared_ptr<Pool> pool, std::shared_ptr<Slot> slot) {
  ServerRefusal refusal;
  bool wanted = true;
  auto server = co_await open_server(worker, pool, std::move(*slot), true, &refusal);
  {
    const Lock lock(mutex_);
    auto& ahead = pool->ahead;
    ahead.under_way = false;
    ahead.rest = server ? std::chrono::milliseconds() : std::clamp(2 * ahead.rest, kFirstRest, kLongestRest);
    ahead.not_before = Clock::now() + ahead.rest;
    if (!server && for_good(refusal.message)) wanted = ahead.wanted = false;
  }
  if (server) co_return give_back(std::move(server));
  spdlog::info("event=not_opened_ahead database={} user={} again={}", pool->database, pool->user, wanted ? "later" : "when it is used");
}

}  // namespace pgsteer::proxy
