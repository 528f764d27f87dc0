#include "proxy/group/members.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <charconv>
#include <cstdlib>

#include "proxy/hub.hpp"
#include "proxy/survive.hpp"
#include "proxy/upstream.hpp"

namespace pgsteer::proxy {

namespace {

using std::chrono::milliseconds;

/// First key of our advisory locks: "pgst". One for all groups, so that two in front of one server see that they are not alone.
constexpr int kLockClass = 0x70677374;
constexpr int kWatchClass = kLockClass + 1;
constexpr int kFenced = 0;

int number(std::string_view text) {
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

Members::Members(Hub& hub, cache::RedisOptions redis, const std::string& group) : hub_(hub), words_(std::move(redis), group, state_) {
  words_.on_change = [this] {
    {
      const std::lock_guard lock(mutex_);
      poked_ = true;
    }
    wake_.notify_one();
  };
  words_.on_picture = [this](const std::string& database) { hub_.catalog_changed(database); };
}

Members::~Members() { stop(); }

void Members::start() {
  words_.start();
  thread_ = std::thread([this] { run_thread("group", [this] { loop(); }); });
}

void Members::stop() {
  words_.stop();  // the farewell comes before the lock goes
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  interrupted_ = true;
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Members::say(const std::string& what) {
  {
    const std::lock_guard lock(text_mutex_);
    if (text_ == what) return;
    text_ = what;
  }
  spdlog::info("event=cache_group state=\"{}\"", what);
}

void Members::loop() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, kBetweenPolls, [this] { return stopping_ || poked_; });
      poked_ = false;
      if (stopping_) break;
    }
    if (!connection_ && !connect()) continue;
    const std::uint64_t adopted = state_.adopted;
    const bool fence = state_.fence_wanted && adopted == 0;
    bool good = true;
    const std::uint64_t redis = state_.redis;
    if (fence) good = hold(kFenced, redis);
    else if (adopted != 0 && lower_fence(adopted)) good = hold(lock_of(adopted, redis), redis);
    if (!good || connection_->broken()) {
      leave();
      continue;
    }
    look();
  }
  connection_.reset();
}

bool Members::connect() {
  const auto now = GroupClock::now();
  if (now < next_try_) return false;
  next_try_ = now + milliseconds(250);
  const auto config = hub_.snapshot()->config;
  std::string error;
  // Any database will do: the server shows all its locks to everybody.
  const auto login = parse_upstreams(config->upstream.probe_url.empty() ? config->upstream.url : config->upstream.probe_url, &error);
  std::string database = login ? login->hosts.front().database : "", user;
  for (const auto& client : hub_.clients()) {
    if (client.is_console) continue;
    if (database.empty()) database = client.database;
    if (user.empty()) user = client.user;
  }
  if (database.empty()) database = "postgres";
  if (auto target = learning::probe_target(*config, database, user, &error)) {
    for (auto& [key, value] : *target) {
      if (key == "application_name") value = "pgsteer group";
    }
    connection_ = learning::Connection::open(*target, config->upstream.connect_timeout, [this] { return interrupted_.load(); }, &error);
  }
  if (!connection_) {
    say("no connection to PostgreSQL: " + error);
    return false;
  }
  const auto pid = connection_->run("SELECT pg_catalog.pg_backend_pid()");
  if (!pid.ok() || pid.rows() != 1) {
    connection_.reset();
    return false;
  }
  state_.server_pid = number(pid.text(0, 0));
  known_.clear();
  // Whatever happened while we were away was seen by nobody on our behalf; the server itself may be another.
  if (was_there_) words_.renew(state_.adopted.load() > 1 ? state_.adopted.load() : 2, {});
  return true;
}

void Members::leave() {
  state_.present = false;
  state_.told_ns = 0;
  state_.fenced_ns = 0;
  state_.armed = 0;
  held_.reset();
  watched_.reset();
  settled_ = false;
  connection_.reset();
  say("the connection to PostgreSQL is gone");
}

/// False when Redis went away again: what waits may be let go behind the fence at any moment.
bool Members::lower_fence(std::uint64_t adopted) {
  const std::lock_guard lock(state_.fence);
  if (state_.adopted != adopted) return false;
  state_.fenced_ns = 0;
  return true;
}

/// The new lock before the old one goes: who looks in between sees both, and stands aside.
bool Members::hold(int lock, std::uint64_t redis) {
  if (held_ == lock && lock == kFenced && state_.fenced_ns == 0) state_.fenced_ns = steady_ns();
  if (held_ == lock) return true;
  const auto got = connection_->run(fmt::format("SELECT pg_catalog.pg_try_advisory_lock_shared({}, {})", kLockClass, lock));
  if (!got.ok() || got.rows() != 1 || got.text(0, 0) != "t") return false;
  if (lock == kFenced) {
    state_.fenced_ns = steady_ns();
  } else if (state_.told_ns == 0 || state_.told_redis != redis) {
    state_.told_ns = 0;
    state_.told_redis = redis;
    state_.told_ns = steady_ns();
  }
  state_.present = was_there_ = true;
  if (held_ && !connection_->run(fmt::format("SELECT pg_catalog.pg_advisory_unlock_shared({}, {})", kLockClass, *held_)).ok()) return false;
  held_ = lock;
  return true;
}

/// Tells who comes later that somebody has seen everyone die that was in this generation.
bool Members::watch(int lock) {
  if (watched_ == lock) return true;
  if (watched_ && !connection_->run(fmt::format("SELECT pg_catalog.pg_advisory_unlock_shared({}, {})", kWatchClass, *watched_)).ok()) return false;
  watched_.reset();
  const auto got = connection_->run(fmt::format("SELECT pg_catalog.pg_try_advisory_lock_shared({}, {})", kWatchClass, lock));
  if (!got.ok() || got.rows() != 1 || got.text(0, 0) != "t") return false;
  watched_ = lock;
  return true;
}

void Members::look() {
  const auto begun = GroupClock::now();
  const auto rows = connection_->run(fmt::format(
      "SELECT pid, objid, classid FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND classid IN ({}, {}) AND objsubid = 2 AND granted", kLockClass,
      kWatchClass));
  if (!rows.ok()) return leave();
  const std::uint64_t adopted = state_.adopted, redis = state_.redis;
  const int ours = lock_of(adopted, redis);
  std::map<int, Member> now;
  bool watched = false;
  for (int i = 0; i < rows.rows(); ++i) {
    const int pid = number(rows.text(i, 0)), lock = number(rows.text(i, 1));
    if (number(rows.text(i, 2)) == kLockClass) now[pid].locks.insert(lock);
    else watched = watched || lock == ours;
  }
  state_.members = static_cast<int>(now.size());
  std::vector<int> vanished;
  for (const auto& [pid, member] : known_)
    if (!now.contains(pid)) vanished.push_back(pid);
  const bool gap = last_look_ != GroupClock::time_point() && begun - last_look_ > kLease;
  known_ = std::move(now);
  last_look_ = begun;
  if (gap || !vanished.empty()) {
    // Somebody may have gone with writes under way that nobody else knows of.
    state_.armed = 0;
    words_.renew(adopted > 1 ? adopted : 2, gap ? std::vector<int>{} : vanished);
    return say(gap ? "a look at the others came too late" : "a member is gone");
  }
  if (adopted != 0 && !std::exchange(settled_, true) && !watched) {
    words_.renew(adopted, {});
    return say("nobody has watched this generation");
  }
  int elsewhere = 0;
  for (const auto& [pid, member] : known_)
    if (member.locks != std::set<int>{ours}) ++elsewhere;
  state_.lease_until_ns = std::chrono::duration_cast<std::chrono::nanoseconds>((begun + kLease).time_since_epoch()).count();
  const bool together = adopted != 0 && held_ == ours && elsewhere == 0 && !state_.renewing;
  if (!together) {
    state_.armed = 0;
    if (adopted == 0) return say(state_.fenced_ns != 0 ? "Redis is away: writes go on, nobody answers from the cache" : "Redis is away");
    return say(fmt::format("waiting for {} of {} members", elsewhere, known_.size()));
  }
  if (!quiet(adopted)) {
    state_.armed = 0;
    return say("waiting for the transactions that were under way when a member was lost");
  }
  if (!watch(ours)) return leave();
  state_.armed = place_of(adopted, redis);
  say("in use");
}

/// Of whom no mark is known: everybody who was in a transaction when the generation was adopted. A server process whose
/// client is gone ends as soon as it has done what it was sent, so twice seen out of a transaction is out of it for good.
bool Members::quiet(std::uint64_t generation) {
  if (!awaits_quiet(generation)) return true;
  if (quiet_for_ == generation && busy_.empty()) return true;
  const auto rows = connection_->run(
      "SELECT DISTINCT l.pid FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid"
      " WHERE l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock' AND l.pid <> pg_catalog.pg_backend_pid()"
      " AND coalesce(a.backend_type, 'client backend') = 'client backend'");
  if (!rows.ok()) return false;
  std::set<int> working;
  for (int i = 0; i < rows.rows(); ++i) working.insert(number(rows.text(i, 0)));
  if (quiet_for_ != generation) {
    quiet_for_ = generation;
    busy_.clear();
    for (const int pid : working) busy_[pid] = 0;
    return busy_.empty();
  }
  for (auto& [pid, calm] : busy_) calm = working.contains(pid) ? 0 : calm + 1;
  std::erase_if(busy_, [](const auto& one) { return one.second >= 2; });
  return busy_.empty();
}

std::vector<std::pair<std::string, std::string>> Members::describe() const {
  std::vector<std::pair<std::string, std::string>> rows;
  {
    const std::lock_guard lock(text_mutex_);
    rows.emplace_back("group", generation() != 0 ? "in use" : text_);
  }
  const auto counts = words_.counts();
  rows.emplace_back("group_members", std::to_string(state_.members.load()));
  rows.emplace_back("group_generation", fmt::format("{:x}", state_.adopted.load()));
  rows.emplace_back("group_marks", std::to_string(counts.marks));
  rows.emplace_back("group_marks_widened", std::to_string(counts.widened));
  rows.emplace_back("group_generations_begun", std::to_string(counts.renewals));
  rows.emplace_back("group_redis_losses", std::to_string(counts.losses));
  rows.emplace_back("group_writes_behind_the_fence", std::to_string(counts.fenced));
  rows.emplace_back("group_writes_unprotected", std::to_string(counts.unprotected));
  return rows;
}

}  // namespace pgsteer::proxy
