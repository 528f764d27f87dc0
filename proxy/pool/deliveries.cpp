#include "proxy/pool/deliveries.hpp"

#include <boost/asio/post.hpp>

#include "proxy/pool/pools.hpp"
#include "proxy/worker.hpp"

namespace pgsteer::proxy {

Deliveries::Deliveries(Worker& worker) : worker_(worker) {}

Deliveries::~Deliveries() { clear(); }

void Deliveries::tell(std::shared_ptr<Waiter> waiter) noexcept { give(std::move(waiter), {}); }

void Deliveries::give(std::shared_ptr<Waiter> waiter, Parcel parcel) noexcept {
  bool first;
  {
    const std::lock_guard lock(mutex_);
    Waiter& w = *waiter;
    if (parcel.server || parcel.slot || parcel.timed_out) w.parcel = std::move(parcel);
    if (!std::exchange(w.under_way, true)) {
      (last_ ? last_->behind : first_) = std::move(waiter);
      last_ = &w;
    }
    first = !std::exchange(announced_, true);
  }
  if (first) announce();
}

void Deliveries::take_away(std::unique_ptr<ServerConnection> server) noexcept {
  bool first;
  {
    const std::lock_guard lock(mutex_);
    server->behind = std::move(servers_);
    servers_ = std::move(server);
    first = !std::exchange(announced_, true);
  }
  if (first) announce();
}

/// Without memory for the message the next tick finds it.
void Deliveries::announce() noexcept {
  try {
    boost::asio::post(worker_.loop, [this] { open(); });
  } catch (const std::exception&) {
    const std::lock_guard lock(mutex_);
    announced_ = false;
  }
}

std::shared_ptr<Waiter> Deliveries::next_waiter(Parcel* parcel) {
  const std::lock_guard lock(mutex_);
  if (!first_) return nullptr;
  auto waiter = std::move(first_);
  first_ = std::move(waiter->behind);
  if (!first_) last_ = nullptr;
  waiter->under_way = false;
  *parcel = std::exchange(waiter->parcel, {});
  return waiter;
}

std::unique_ptr<ServerConnection> Deliveries::next_server() {
  const std::lock_guard lock(mutex_);
  if (!servers_) return nullptr;
  auto server = std::move(servers_);
  servers_ = std::move(server->behind);
  return server;
}

void Deliveries::open() {
  {
    const std::lock_guard lock(mutex_);
    announced_ = false;
  }
  while (auto server = next_server()) {
    if (const auto waiter = std::exchange(server->bound_for, nullptr)) {
      server->stream.unwatch();
      server->worker = &waiter->worker;
      waiter->worker.deliveries.give(waiter, {.server = std::move(server), .slot = {}, .timed_out = false});
      continue;
    }
    const auto pool = server->pool;
    server->say_goodbye();
    server.reset();
    --pool->leaving;
  }
  Parcel parcel;
  while (const auto waiter = next_waiter(&parcel)) {
    if (waiter->abandoned) {
      if (parcel.server) worker_.hub.pools->give_back(std::move(parcel.server));
      parcel = {};
      continue;
    }
    if (parcel.server) waiter->server = std::move(parcel.server);
    if (parcel.slot) waiter->slot = std::move(parcel.slot);
    waiter->timed_out = waiter->timed_out || parcel.timed_out;
    waiter->wake();
  }
}

void Deliveries::clear() {
  Parcel parcel;
  while (next_waiter(&parcel)) parcel = {};
  while (next_server()) {}
}

}  // namespace pgsteer::proxy
