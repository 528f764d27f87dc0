// pool.min_pool_size: connections that are made before anybody asks for them.
#include <spdlog/spdlog.h>

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

Pools::Opening::Opening(Pools& the_pools, std::shared_ptr<Pool> the_pool) : pools(the_pools), pool(std::move(the_pool)), slot(pools.new_slot(pool)) {
  pool->ahead.under_way = true;
}

Pools::Opening::~Opening() {
  const Lock lock(pools.mutex_);
  pool->ahead.under_way = false;
}

void Pools::note_openings(const Config& config, Clock::time_point now, Openings& openings) {
  if (config.pool.min_pool_size == 0 || workers_.empty()) return;
  for (const auto& [name, pool] : pools_) {
    if (!pool->waiters.empty()) return;  // whoever waits comes first, whichever limit it is that he waits for
  }
  openings.reserve(pools_.size());
  for (const auto& [name, pool] : pools_) {
    auto& ahead = pool->ahead;
    if (!ahead.wanted || ahead.under_way || now < ahead.not_before || hub_.vacancies.asked(pool->database, now) || pool->open - pool->leaving >= config.pool.min_pool_size) continue;
    if (pool->host == Pool::kReplication || pool_mode(config, pool->database, pool->user) != PoolMode::transaction || !may_open(*pool, config, false)) continue;
    openings.push_back(std::make_unique<Opening>(*this, pool));
  }
}

/// One at a time in each pool; after a failure with a rest that doubles.
Awaitable<void> Pools::open_one(Worker& worker, std::unique_ptr<Opening> opening) {
  ServerRefusal refusal;
  bool wanted = true;
  const auto pool = opening->pool;
  auto server = co_await open_server(worker, pool, std::move(opening->slot), true, &refusal);
  {
    const Lock lock(mutex_);
    auto& ahead = pool->ahead;
    ahead.rest = server ? std::chrono::milliseconds() : std::clamp(2 * ahead.rest, kFirstRest, kLongestRest);
    ahead.not_before = Clock::now() + ahead.rest;
    if (!server && for_good(refusal.message)) wanted = ahead.wanted = false;
  }
  if (server) co_return give_back(std::move(server));
  spdlog::info("event=not_opened_ahead database={} user={} again={}", pool->database, pool->user, wanted ? "later" : "when it is used");
}

}  // namespace pgsteer::proxy
