// Two connections: the stream of a walsender, and one to ask where the WAL ends. A look-up that is to miss nobody's write asks for the
// end of the WAL after the request came, and waits until the stream has come there: a commit's record is written before anybody sees it.
#include "proxy/feed/feed.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "proxy/learner/connection.hpp"
#include "proxy/survive.hpp"

namespace pgsteer::proxy {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kStep{20};             // how long a shutdown may go unnoticed
constexpr milliseconds kMostOfARound{500};
constexpr milliseconds kPatience{1};          // for the WAL to be flushed by itself
constexpr milliseconds kBetweenReports{1000}; // of our position, so that the server need not keep the WAL
constexpr milliseconds kBetweenLooks{50};     // while commits are not visible yet
constexpr milliseconds kMostOfALeave{300};
constexpr std::chrono::minutes kUnasked{10};  // then the slot is given up
constexpr milliseconds kFirstDelay{250}, kLongestDelay{30000};
constexpr std::size_t kMostCommits = 1000;    // marked together

constexpr const char* kLook =
    "SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text, pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text";
constexpr const char* kFlush = "SELECT pg_catalog.pg_logical_emit_message(true, 'pgsteer', '')";

void put64(std::string& to, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) to.push_back(static_cast<char>(value >> shift));
}

std::uint64_t get64(std::string_view from) {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = (value << 8) | static_cast<unsigned char>(from[static_cast<std::size_t>(i)]);
  return value;
}

std::string one_line(const char* text) {
  std::string line(text ? text : "");
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

}  // namespace

Feed::Feed(Hub& hub, std::string database)
    : hub_(hub), database_(std::move(database)), bell_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), text_("connecting"), stream_(nullptr, PQfinish) {
  counts_.database = database_;
  asked_ = Clock::now();
  thread_ = std::thread([this] { run_thread("feed", [this] { loop(); }); });
}

Feed::~Feed() {
  stopping_ = true;
  ::eventfd_write(bell_, 1);
  thread_.join();
  pending_.clear();
  ::close(bell_);
}

void Feed::ask(Answer answer) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    asked_ = Clock::now();
    if (live_) {
      first = askers_.empty();
      askers_.push_back(std::exchange(answer, nullptr));
    }
  }
  if (answer) answer(false);
  else if (first) ::eventfd_write(bell_, 1);
}

Feed::State Feed::state() const {
  const std::lock_guard lock(mutex_);
  State state = counts_;
  state.text = text_;
  state.live = live_;
  return state;
}

void Feed::say(const std::string& what) {
  {
    const std::lock_guard lock(mutex_);
    if (text_ == what) return;
    text_ = what;
  }
  spdlog::info("event=cache_feed database={} state=\"{}\"", database_, what);
}

std::vector<Feed::Answer> Feed::take_askers() {
  const std::lock_guard lock(mutex_);
  return std::exchange(askers_, {});
}

void Feed::leave(milliseconds at_most) {
  ::eventfd_write(bell_, 1);
  std::unique_lock lock(mutex_);
  gone_.wait_for(lock, at_most, [this] { return !there_; });
}

/// Until somebody rings, the server says something, or the time is over.
void Feed::wait(milliseconds time, bool for_the_stream) {
  std::array<pollfd, 2> files{pollfd{bell_, POLLIN, 0}, pollfd{stream_ && for_the_stream ? PQsocket(stream_.get()) : -1, POLLIN, 0}};
  ::poll(files.data(), files.size(), static_cast<int>(time.count()));
  eventfd_t rung = 0;
  if (files[0].revents != 0) ::eventfd_read(bell_, &rung);
}

void Feed::loop() {
  while (!stopping_) {
    Clock::time_point asked;
    {
      const std::lock_guard lock(mutex_);
      asked = asked_;
    }
    const auto now = Clock::now();
    const bool wanted = now - asked < kUnasked && !hub_.vacancies.asked(database_) && !hub_.snapshot()->panic;
    if (stream_ && !wanted) {
      drop_slot();
      disconnect("not asked for");
    }
    if (!stream_) {
      if (!wanted || now < next_try_ || !connect()) {
        wait(kStep);
        continue;
      }
    }
    auto askers = take_askers();
    const bool unsettled = !pending_.empty() || !live_;
    if (!askers.empty() || (unsettled && now - last_look_ >= kBetweenLooks)) {
      round(std::move(askers));
      continue;
    }
    wait(unsettled ? kStep : kBetweenReports / 4);
    if (!receive() || (Clock::now() >= next_report_ && !report_position(false))) disconnect(one_line(PQerrorMessage(stream_.get())));
  }
  disconnect("stopped");
}

// --- connecting ------------------------------------------------------------------------------------------------------

bool Feed::connect() {
  {
    const std::lock_guard lock(mutex_);
    there_ = true;
  }
  delay_ = std::clamp(delay_ * 2, kFirstDelay, kLongestDelay);
  next_try_ = Clock::now() + delay_;
  if (connect_stream() && begin_stream()) {
    const std::lock_guard lock(mutex_);
    ++counts_.connections;
    return true;
  }
  drop_slot();
  stream_.reset();
  probe_.reset();
  return false;
}

bool Feed::connect_stream() {
  const auto config = hub_.snapshot()->config;
  std::string user, error;
  for (const auto& client : hub_.clients())
    if (!client.is_console && client.database == database_) user = client.user;
  auto target = learning::probe_target(*config, database_, user, &error);
  if (!target) {
    say(error);
    return false;
  }
  for (auto& [key, value] : *target) {
    if (key == "application_name") value = "pgsteer feed";
    if (key == "options") value = "-c lock_timeout=1000 -c synchronous_commit=local";
  }
  const auto interrupted = [this] { return stopping_.load(); };
  probe_ = learning::Connection::open(*target, config->upstream.connect_timeout, interrupted, &error);
  if (!probe_) {
    say("no connection to PostgreSQL: " + error);
    return false;
  }
  const auto level = probe_->run("SELECT pg_catalog.current_setting('wal_level'), pg_catalog.pg_is_in_recovery()");
  if (!level.ok() || level.rows() != 1 || level.text(0, 0) != "logical" || level.text(0, 1) != "f") {
    if (!level.ok()) say(level.message());
    else say(level.text(0, 1) == "t" ? "the server is a standby" : "the server's wal_level is not logical");
    return false;
  }
  target->emplace_back("replication", "database");
  std::vector<const char*> keys, values;
  for (const auto& [key, value] : *target) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  keys.push_back(nullptr);
  values.push_back(nullptr);
  stream_.reset(PQconnectStartParams(keys.data(), values.data(), 0));
  const auto deadline = Clock::now() + config->upstream.connect_timeout;
  auto wanted = PQstatus(stream_.get()) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (wanted != PGRES_POLLING_OK && wanted != PGRES_POLLING_FAILED && !stopping_ && Clock::now() < deadline) {
    pollfd file{PQsocket(stream_.get()), static_cast<short>(wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT), 0};
    if (::poll(&file, 1, static_cast<int>(kStep.count())) > 0) wanted = PQconnectPoll(stream_.get());
  }
  if (wanted == PGRES_POLLING_OK) return true;
  say(wanted == PGRES_POLLING_FAILED ? one_line(PQerrorMessage(stream_.get())) : "no replication connection in time");
  return false;
}

/// A temporary slot, and the stream from it. Making one waits for the transactions that are under way.
bool Feed::begin_stream() {
  slot_ = fmt::format("pgsteer_{}_{}", ::getpid(), PQbackendPID(stream_.get()));
  const auto command = [this](const std::string& text, ExecStatusType expected) {
    if (PQsendQuery(stream_.get(), text.c_str()) != 1) return false;
    while (!stopping_ && !hub_.vacancies.asked(database_)) {
      if (PQconsumeInput(stream_.get()) != 1) return false;
      if (PQisBusy(stream_.get()) == 1) {
        pollfd file{PQsocket(stream_.get()), POLLIN, 0};
        ::poll(&file, 1, static_cast<int>(kStep.count()));
        continue;
      }
      const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQgetResult(stream_.get()), PQclear);
      if (PQresultStatus(result.get()) != expected) return false;
      if (expected != PGRES_COPY_BOTH)
        while (PGresult* more = PQgetResult(stream_.get())) PQclear(more);
      return true;
    }
    return false;
  };
  say("making a slot, behind the transactions that are under way");
  if (!command("CREATE_REPLICATION_SLOT " + slot_ + " TEMPORARY LOGICAL test_decoding NOEXPORT_SNAPSHOT", PGRES_TUPLES_OK) ||
      !command("START_REPLICATION SLOT " + slot_ + " LOGICAL 0/0 (\"include-xids\" 'on', \"skip-empty-xacts\" 'off')", PGRES_COPY_BOTH)) {
    say(one_line(PQerrorMessage(stream_.get())));
    return false;
  }
  decoder_ = {};
  commits_.clear();
  position_ = 0;
  reply_wanted_ = false;
  next_report_ = {};
  // Somebody may have committed before the slot began and not be visible yet: nobody would tell us when he is.
  const auto now = look();
  if (!now) return false;
  before_us_.assign(now->snapshot.under_way.begin(), now->snapshot.under_way.end());
  say(fmt::format("waiting for the {} transactions that were under way", before_us_.size()));
  return true;
}

/// What was kept before the feed began is not known to be true.
void Feed::come_alive() {
  if (!void_) void_ = mark({.writes = true, .everything = true, .relations = {}}, false);
  if (void_.ticket() && !void_.ticket()->granted()) return;
  void_.done(false);
  delay_ = milliseconds(0);
  live_ = true;
  say("live");
}

/// The connection's end is the slot's, a moment later.
void Feed::drop_slot() {
  live_ = false;
  stream_.reset();
  const std::string left = "SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = '" + std::exchange(slot_, {}) + "'";
  for (int i = 0; i < 50 && probe_ && !stopping_; ++i) {
    const auto rows = probe_->run(left);
    if (!rows.ok() || rows.rows() == 0) break;
    std::this_thread::sleep_for(milliseconds(2));
  }
  const std::lock_guard lock(mutex_);
  there_ = false;
  gone_.notify_all();
}

void Feed::disconnect(const std::string& why) {
  live_ = false;
  for (auto& answer : take_askers()) answer(false);
  if (!probe_) return;
  say(why.empty() ? "the connection was closed" : why);
  stream_.reset();
  probe_.reset();
  pending_.clear();  // their relations count as changed
  void_.done(false);
  before_us_.clear();
  const std::lock_guard lock(mutex_);
  there_ = false;
  gone_.notify_all();
}

// --- a round ---------------------------------------------------------------------------------------------------------

std::optional<Feed::Look> Feed::look() {
  last_look_ = Clock::now();
  const auto rows = probe_->run(kLook);
  if (!rows.ok() || rows.rows() != 1) return std::nullopt;
  const auto snapshot = feed::ServerSnapshot::parse(rows.text(0, 0));
  const auto inserted = feed::parse_lsn(rows.text(0, 1));
  if (!snapshot || !inserted) return std::nullopt;
  return Look{*snapshot, *inserted};
}

void Feed::round(std::vector<Answer> askers) {
  const auto begun = Clock::now();
  const auto now = look();
  bool good = now && come_to(*now, begun + kMostOfARound);
  if (now && stream_) release(now->snapshot);
  good = good && granted(begun + kMostOfARound);
  {
    const std::lock_guard lock(mutex_);
    ++counts_.rounds;
    if (!good) counts_.late += askers.size();
    counts_.mean_round_ms += (std::chrono::duration<double, std::milli>(Clock::now() - begun).count() - counts_.mean_round_ms) /
                             static_cast<double>(std::min<std::uint64_t>(counts_.rounds, 1000));
  }
  for (auto& answer : askers) answer(good && live_);
  if (!now) disconnect("the server does not say where its WAL ends");
}

/// Until the stream has told of everything before the WAL's end as it was seen. What is committed asynchronously is decoded only when it
/// has been flushed: if nobody does that, we do.
bool Feed::come_to(const Look& look, Clock::time_point deadline) {
  bool flushed = false;
  const auto begun = Clock::now();
  for (bool first = true; !stopping_; first = false) {
    if (!reply_wanted_ && !report_position(true)) break;
    wait(first ? kPatience : milliseconds(2));
    if (!receive()) break;
    if (feed::reached(position_, look.inserted)) return true;
    const auto now = Clock::now();
    if (now >= deadline) return false;
    if (!flushed && now - begun >= kPatience) {
      flushed = true;
      if (!probe_->run(kFlush).ok()) return false;
    }
  }
  disconnect(one_line(PQerrorMessage(stream_.get())));
  return false;
}

/// Whether what was marked stands where everybody looks: in a group, in Redis.
bool Feed::granted(Clock::time_point deadline) {
  const auto stands = [](const Pending& one) { return !one.mark.ticket() || one.mark.ticket()->granted(); };
  while (!std::all_of(pending_.begin(), pending_.end(), stands)) {
    const auto now = Clock::now();
    if (stopping_ || now >= deadline) return false;
    wait(std::chrono::ceil<milliseconds>(deadline - now), false);
  }
  return true;
}

/// Ends the marks of what everybody sees. In a group only once they are granted.
void Feed::release(const feed::ServerSnapshot& snapshot) {
  std::erase_if(before_us_, [&](std::uint32_t xid) { return !snapshot.in_progress(xid); });
  if (!live_ && before_us_.empty()) come_alive();
  for (auto one = pending_.begin(); one != pending_.end();) {
    std::erase_if(one->xids, [&](std::uint32_t xid) { return !snapshot.in_progress(xid); });
    if (!one->xids.empty() || (one->mark.ticket() && !one->mark.ticket()->granted())) {
      ++one;
      continue;
    }
    if (one->changes_catalog) hub_.catalog_changed(database_);  // before its mark ends: plans by the old picture must not be kept
    one->mark.done(false);
    one = pending_.erase(one);
  }
}

cache::Words::Mark Feed::mark(const cache::WriteSet& writes, bool changes_catalog) {
  return hub_.words.mark(database_, writes, {hub_.snapshot()->picture(database_), changes_catalog, [bell = bell_] { ::eventfd_write(bell, 1); }});
}

// --- the stream ------------------------------------------------------------------------------------------------------

/// Everything that has arrived.
bool Feed::receive() {
  if (PQconsumeInput(stream_.get()) != 1) return false;
  char* data = nullptr;
  int length = 0;
  while (!stopping_ && (length = PQgetCopyData(stream_.get(), &data, 1)) > 0) {
    const std::unique_ptr<char, void (*)(void*)> owner(data, PQfreemem);
    take_in({data, static_cast<std::size_t>(length)});
    if (commits_.size() >= kMostCommits) mark_commits();
  }
  mark_commits();
  return length >= 0;
}

void Feed::take_in(std::string_view message) {
  constexpr std::size_t data_header = 25, keepalive = 18;
  if (message.front() == 'w' && message.size() >= data_header) {
    if (auto commit = decoder_.add(message.substr(data_header))) {
      if (!commit->own) commits_.push_back(std::move(*commit));
    }
    return;
  }
  if (message.front() != 'k' || message.size() < keepalive) return;
  mark_commits();
  reply_wanted_ = false;
  position_ = std::max(position_, get64(message.substr(1)));
  if (message[17] != 0) report_position(false);
}

/// They may be visible from now on, and may not be yet.
void Feed::mark_commits() {
  if (commits_.empty()) return;
  const auto snapshot = hub_.snapshot();
  const sql::Catalog* catalog = snapshot->catalog(database_);
  Pending pending;
  cache::WriteSet writes{.writes = true, .everything = false, .relations = {}};
  for (const auto& commit : commits_) {
    std::erase(before_us_, commit.xid);  // behind the slot's beginning after all
    pending.xids.push_back(commit.xid);
    pending.changes_catalog |= commit.everything;
    writes.everything |= commit.everything;
    for (const auto& [schema, name] : commit.relations) {
      if (const auto* relation = catalog ? catalog->find(schema, name, {}, {}) : nullptr) {
        writes.relations.push_back(relation->oid);
        continue;
      }
      writes.everything = true;
      // Made in the same transaction: of that nobody has told. Once for a picture, should it not get to know the relation.
      if (catalog && std::exchange(asked_at_, catalog->version) != catalog->version) pending.changes_catalog = true;
    }
  }
  pending.mark = mark(writes, pending.changes_catalog);
  {
    const std::lock_guard lock(mutex_);
    counts_.commits += commits_.size();
    counts_.void_all += writes.everything ? 1 : 0;
  }
  commits_.clear();
  pending_.push_back(std::move(pending));
}

bool Feed::report_position(bool ask_for_reply) {
  std::string message = "r";
  for (int i = 0; i < 3; ++i) put64(message, position_);  // written, flushed, applied: nothing of it is needed again
  put64(message, 0);
  message.push_back(ask_for_reply ? 1 : 0);
  next_report_ = Clock::now() + kBetweenReports;
  reply_wanted_ |= ask_for_reply;
  return PQputCopyData(stream_.get(), message.data(), static_cast<int>(message.size())) == 1 && PQflush(stream_.get()) == 0;
}

// --- all of them -----------------------------------------------------------------------------------------------------

std::shared_ptr<Feed> Feeds::of(const std::string& database) {
  const std::lock_guard lock(mutex_);
  const auto found = feeds_.find(database);
  if (found != feeds_.end()) return found->second;
  if (stopped_ || feeds_.size() >= most) return nullptr;
  return feeds_.emplace(database, std::make_shared<Feed>(hub_, database)).first->second;
}

void Feeds::vacate(const std::string& database) {
  std::shared_ptr<Feed> feed;
  {
    const std::lock_guard lock(mutex_);
    const auto found = feeds_.find(database);
    if (found != feeds_.end()) feed = found->second;
  }
  if (feed) feed->leave(kMostOfALeave);
}

void Feeds::stop() {
  std::map<std::string, std::shared_ptr<Feed>> all;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    all.swap(feeds_);
  }
}

std::vector<Feed::State> Feeds::states() const {
  std::vector<Feed::State> states;
  const std::lock_guard lock(mutex_);
  for (const auto& [database, feed] : feeds_) states.push_back(feed->state());
  return states;
}

}  // namespace pgsteer::proxy
