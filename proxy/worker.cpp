#include "proxy/worker.hpp"

#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "predictor/time_of_week.hpp"
#include "proxy/pool/pools.hpp"

namespace pgsteer::proxy {

Worker::Worker(Hub& the_hub, int the_index)
    : hub(the_hub),
      index(the_index),
      meters(the_hub.thread_meters(the_index)),
      outcomes(the_hub.outcomes(the_index)),
      pipeline(*the_hub.snapshot()->config),
      snapshot_(the_hub.snapshot()),
      random_(snapshot_->config->learning.seed * 1000003 + static_cast<std::uint64_t>(the_index)) {}

Worker::~Worker() = default;

Arriving::~Arriving() {
  if (descriptor_ >= 0) ::close(descriptor_);
  over();
}

Circumstances Worker::circumstances(std::optional<policies::Mode> session_mode) {
  Circumstances now;
  now.load.in_flight = in_flight;
  now.load.recent_p95_ms = recent_p95_ms;
  const std::int64_t seconds = std::time(nullptr);
  if (seconds >= calendar_until_ || seconds < calendar_until_ - 60) read_calendar(seconds);
  now.unix_seconds = static_cast<double>(seconds);
  now.hour_of_day = hour_of_day_;
  now.day_of_week = day_of_week_;
  now.random = random_();
  now.session_mode = session_mode;
  return now;
}

void Worker::read_calendar(std::int64_t unix_seconds) {
  const auto now = predictor::time_of_week(unix_seconds);
  hour_of_day_ = now.hour;
  day_of_week_ = now.day;
  calendar_until_ = unix_seconds - unix_seconds % 60 + 60;
}

void Worker::observe_latency(double milliseconds) {
  // Stochastic quantile tracking: steps up are 19 times steps down, so it settles at the 95th percentile.
  const double step = std::max(0.001, 0.02 * std::max(recent_p95_ms, milliseconds * 0.05));
  recent_p95_ms = milliseconds > recent_p95_ms ? recent_p95_ms + step : std::max(0.0, recent_p95_ms - step / 19);
}

std::unique_ptr<char[]> Worker::take_buffer() {
  // Not zeroed: of a client that waits for a server with one small statement, one page is in memory, not sixteen.
  if (buffers_.empty()) return std::make_unique_for_overwrite<char[]>(kBufferBytes);
  auto buffer = std::move(buffers_.back());
  buffers_.pop_back();
  return buffer;
}

void Worker::give_buffer(std::unique_ptr<char[]> buffer) {
  if (buffer && buffers_.size() < 64) buffers_.push_back(std::move(buffer));
}

}  // namespace pgsteer::proxy
