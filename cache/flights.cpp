#include "cache/flights.hpp"

#include <utility>

namespace pgsteer::cache {

Flights::Lead::Lead(Lead&& other) noexcept : flights_(std::exchange(other.flights_, nullptr)), hash_(other.hash_) {}

Flights::Lead& Flights::Lead::operator=(Lead&& other) noexcept {
  if (this == &other) return *this;
  end();
  flights_ = std::exchange(other.flights_, nullptr);
  hash_ = other.hash_;
  return *this;
}

void Flights::Lead::end() {
  Flights* flights = std::exchange(flights_, nullptr);
  if (flights == nullptr) return;
  const std::lock_guard lock(flights->mutex_);
  const auto found = flights->flights_.find(hash_);
  for (const auto& wake : found->second.wakes) wake();
  flights->flights_.erase(found);
}

Flights::Wait::Wait(Wait&& other) noexcept
    : flights_(std::exchange(other.flights_, nullptr)), hash_(other.hash_), flight_(other.flight_), place_(other.place_) {}

Flights::Wait::~Wait() {
  if (flights_ == nullptr) return;
  const std::lock_guard lock(flights_->mutex_);
  const auto found = flights_->flights_.find(hash_);
  if (found != flights_->flights_.end() && found->second.number == flight_) found->second.wakes.erase(place_);
}

Flights::Lead Flights::lead(const Key& key) {
  Lead lead;
  const std::lock_guard lock(mutex_);
  if (!flights_.try_emplace(key.hash, Flight{++numbers_, {}}).second) return lead;
  lead.flights_ = this;
  lead.hash_ = key.hash;
  return lead;
}

Flights::Wait Flights::wait(const Key& key, std::function<void()> wake) {
  Wait wait;
  const std::lock_guard lock(mutex_);
  const auto found = flights_.find(key.hash);
  if (found == flights_.end()) return wait;
  wait.flights_ = this;
  wait.hash_ = key.hash;
  wait.flight_ = found->second.number;
  wait.place_ = found->second.wakes.insert(found->second.wakes.end(), std::move(wake));
  return wait;
}

}  // namespace pgsteer::cache
