#include "proxy/hosts/hosts.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "proxy/clock.hpp"

namespace pgsteer::proxy {
namespace {

constexpr std::size_t kMostSamples = 600;  ///< ten minutes at one a second; whoever waits for older ones takes the oldest

/// The end of the last record. Where it ends with a page, the position for the next one is behind that page's header, which is not a
/// record and is never replayed.
std::uint64_t end_of_record(std::uint64_t position) {
  constexpr std::uint64_t kPage = 8192, kHeader = 24, kSegmentHeader = 40;
  const auto in_page = position % kPage;
  return in_page == kHeader || in_page == kSegmentHeader ? position - in_page : position;
}

bool is_current_primary(const HostState& host) { return host.role == Role::primary && !host.stale; }

}  // namespace

std::string_view to_string(Role role) {
  switch (role) {
    case Role::unknown: return "unknown";
    case Role::primary: return "primary";
    case Role::standby: return "standby";
  }
  return "?";
}

Hosts::Hosts(const std::string& url) {
  if (auto all = parse_upstreams(url, nullptr)) {
    endpoints_ = std::move(all->hosts);
    wanted_ = all->wanted;
  } else {
    endpoints_.resize(1);
  }
  table_ = std::make_shared<const Table>(endpoints_.size());
  asked_for_.resize(endpoints_.size());
}

std::shared_ptr<const Hosts::Table> Hosts::table() const {
  const std::lock_guard lock(mutex_);
  return table_;
}

bool Hosts::fits(bool in_recovery, bool read_only) const {
  switch (wanted_) {
    case SessionAttributes::read_write: return !in_recovery && !read_only;
    case SessionAttributes::read_only: return in_recovery || read_only;
    case SessionAttributes::primary: return !in_recovery;
    case SessionAttributes::standby: return in_recovery;
    case SessionAttributes::any: case SessionAttributes::prefer_standby: return true;
  }
  return true;
}

bool Hosts::fits(const HostState& host) const {
  if (!particular() || host.role == Role::unknown) return true;
  const bool for_writing = wanted_ == SessionAttributes::primary || wanted_ == SessionAttributes::read_write;
  return fits(host.role == Role::standby, host.read_only) && !(for_writing && host.stale);
}

bool Hosts::fits(int host) const { return !particular() || fits((*table())[static_cast<std::size_t>(host)]); }

bool Hosts::is_primary(int host) const { return !several() || is_current_primary((*table())[static_cast<std::size_t>(host)]); }

std::vector<int> Hosts::candidates(bool verified) const {
  if (!several()) return {0};
  const auto table = this->table();
  std::vector<std::pair<int, int>> ranked;  // how late, which
  for (int i = 0; i < count(); ++i) {
    const HostState& host = (*table)[static_cast<std::size_t>(i)];
    const bool known = host.role != Role::unknown;
    const bool down = host.seen && !host.up;
    int rank = down ? 4 : 0;
    if (particular()) {
      if (known ? !fits(host) : !verified) continue;
      rank += known ? 0 : 1;
    } else if (wanted_ == SessionAttributes::prefer_standby) {
      rank += host.role == Role::standby ? 0 : known ? 1 : 2;
    }
    ranked.emplace_back(rank, i);
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<int> hosts;
  for (const auto& [rank, host] : ranked) hosts.push_back(host);
  return hosts;
}

std::string Hosts::why_none() const {
  const auto table = this->table();
  std::string text;
  for (int i = 0; i < count(); ++i) {
    const HostState& host = (*table)[static_cast<std::size_t>(i)];
    const std::string state = !host.error.empty() ? host.error : !host.seen ? "not looked at yet" : host.stale ? "a primary of the past" : std::string(to_string(host.role));
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", endpoint(i).address(), state);
  }
  return fmt::format("no host of upstream.url is {} ({})", to_string(wanted_), text);
}

/// Which primary is the real one, and how far the others are behind it.
void Hosts::judge(Table& table) const {
  std::uint32_t newest = 0;
  for (const auto& host : table)
    if (host.role == Role::primary) newest = std::max(newest, host.timeline);
  std::uint64_t flushed = 0;
  for (auto& host : table) {
    host.stale = host.role == Role::primary && host.timeline < newest;
    if (is_current_primary(host)) flushed = std::max(flushed, host.position);
  }
  for (auto& host : table) {
    host.lag_bytes.reset();
    const auto position = std::max(host.position, host.caught_up);
    if (host.role == Role::standby && flushed != 0) host.lag_bytes = flushed > position ? flushed - position : 0;
    if (is_current_primary(host)) host.lag_bytes = 0;
  }
}

/// How old a standby's answers may be. By our own clock, whatever it has not replayed is no older than the newest position of the primary's
/// that it has; the standby itself does not know of what it never received, and takes the age of its last transaction for its lag. But
/// where it has all that the primary is known to have had, it knows better how little it may lack.
std::optional<double> Hosts::lag_of(const HostLook& look, std::uint64_t position, bool primary_up) const {
  const auto has = [&](const Sample& sample) { return end_of_record(sample.flushed) <= position; };
  const auto missing = std::find_if_not(samples_.begin(), samples_.end(), has);
  if (missing == samples_.begin()) return look.lag_seconds;
  const double at_most = std::max(0.0, std::chrono::duration<double>(look.asked - std::prev(missing)->asked).count());
  return missing == samples_.end() && primary_up && look.lag_seconds ? std::min(at_most, *look.lag_seconds) : at_most;
}

void Hosts::saw(int host, const HostLook& look) {
  Change change;
  std::string news;
  {
    const std::lock_guard lock(mutex_);
    auto next = std::make_shared<Table>(*table_);
    HostState& state = (*next)[static_cast<std::size_t>(host)];
    const HostState before = state;
    state.seen = true;
    state.up = look.error.empty();
    state.error = look.error;
    state.checked_unix_us = unix_us();
    if (state.up) {
      state.role = look.role;
      state.read_only = look.read_only;
      state.timeline = look.timeline;
      // What it had nothing left of once it has for good, unless it became another.
      const bool same = look.role == before.role && look.position >= before.position;
      state.caught_up = std::max(same ? before.caught_up : 0, look.caught_up);
      state.position = look.position;
      const bool primary_up = std::any_of(next->begin(), next->end(), [](const auto& one) { return is_current_primary(one) && one.up; });
      state.lag_seconds = look.role == Role::primary ? 0 : lag_of(look, std::max(look.position, state.caught_up), primary_up);
    }
    judge(*next);
    if (is_current_primary(state) && state.up && state.position != 0) {
      if (!samples_.empty() && state.position < samples_.back().flushed) samples_.clear();  // another history
      samples_.push_back({look.asked, look.position, std::max(look.position, look.inserted)});
      flushed_within_ = look.flushed_within;
      if (samples_.size() > kMostSamples) samples_.pop_front();
    }
    change.roles = before.role != state.role || before.up != state.up || before.seen != state.seen;
    if (change.roles) {
      state.since_unix_us = state.checked_unix_us;
      news = fmt::format("event=host host={} state={} role={} error=\"{}\"", endpoint(host).address(), state.up ? "up" : "down", to_string(state.role), state.error);
    }
    if (before.role != Role::unknown && before.role != state.role) change.moved.push_back(host);
    for (std::size_t i = 0; i < next->size(); ++i) {
      if (fits((*table_)[i]) && !fits((*next)[i])) change.unfit.push_back(static_cast<int>(i));
      change.primary = change.primary || is_current_primary((*table_)[i]) != is_current_primary((*next)[i]);
    }
    table_ = std::move(next);
  }
  if (!news.empty()) spdlog::info("{}", news);
  if ((change.roles || change.primary || !change.unfit.empty()) && on_change) on_change(change);
}

bool Hosts::replayed(int host, Clock::time_point moment) const {
  const std::lock_guard lock(mutex_);
  return replayed((*table_)[static_cast<std::size_t>(host)], moment);
}

std::string Hosts::why_not_read(const HostState& host, std::optional<Clock::time_point> after, std::chrono::milliseconds max_lag) const {
  if (!host.up) return "down";
  if (max_lag.count() > 0 && !host.lag_seconds) return "nobody knows how far behind";
  if (max_lag.count() > 0 && *host.lag_seconds * 1000 > static_cast<double>(max_lag.count())) return fmt::format("{:.1f} s behind", *host.lag_seconds);
  return after && !replayed(host, *after) ? "may not have this session's writes yet" : "";
}

Hosts::Reading Hosts::choose_for_reading(std::optional<Clock::time_point> after, std::chrono::milliseconds max_lag, bool or_primary) const {
  const std::lock_guard lock(mutex_);
  std::vector<int> usable;
  std::string others;
  for (int i = 0; i < count(); ++i) {
    const HostState& host = (*table_)[static_cast<std::size_t>(i)];
    if (host.role != Role::standby) continue;
    const auto why = why_not_read(host, after, max_lag);
    if (why.empty()) usable.push_back(i);
    else others += fmt::format("{}{} {}", others.empty() ? "" : ", ", endpoint(i).address(), why);
  }
  if (usable.empty()) return {-1, others.empty() ? "primary: no standby is known" : "primary: " + others};
  const std::size_t turn = turns_.fetch_add(1, std::memory_order_relaxed) % (usable.size() + (or_primary ? 1 : 0));
  if (turn == usable.size()) return {-1, "primary: its turn"};
  const int host = usable[turn];
  const auto lag = (*table_)[static_cast<std::size_t>(host)].lag_seconds;
  return {host, fmt::format("replica {}: read-only, {}", endpoint(host).address(), lag ? fmt::format("{:.0f} ms behind", *lag * 1000) : "nobody knows how far behind")};
}

bool Hosts::replayed(const HostState& state, Clock::time_point moment) const {
  const auto first_after = [&](Clock::time_point when) {
    return std::upper_bound(samples_.begin(), samples_.end(), when, [](Clock::time_point at, const Sample& sample) { return at < sample.asked; });
  };
  if (state.role != Role::standby) return false;
  // All that was inserted then; but what no commit waits for (pruning, hints) may stay unflushed, and unsent, for as long as nothing happens.
  const auto after = first_after(moment), settled = first_after(moment + flushed_within_);
  return (after != samples_.end() && state.position >= end_of_record(after->inserted)) ||
         (settled != samples_.end() && state.position >= end_of_record(settled->flushed));
}

void Hosts::look_soon() {
  if (!several()) return;
  {
    const std::lock_guard lock(waiting_mutex_);
    asked_for_.assign(asked_for_.size(), true);
  }
  waiting_.notify_all();
}

bool Hosts::wait_to_look(int host, std::chrono::milliseconds delay) {
  constexpr auto kLeast = std::chrono::milliseconds(50);  // however many ask
  const auto me = static_cast<std::size_t>(host);
  std::unique_lock lock(waiting_mutex_);
  if (waiting_.wait_for(lock, kLeast, [&] { return stopped_; })) return false;
  waiting_.wait_for(lock, delay, [&] { return stopped_ || asked_for_[me]; });
  asked_for_[me] = false;
  return !stopped_;
}

void Hosts::stop() {
  {
    const std::lock_guard lock(waiting_mutex_);
    stopped_ = true;
  }
  waiting_.notify_all();
}

}  // namespace pgsteer::proxy
