// The words of a group, seen by one of its members.
//
//   tasks (marks, ends of marks, bumps) ──batch──> Redis, one round trip ──> granted
//
// Any failure of a batch leaves open what was done, so it ends the generation: the words of the next one are new, our
// marks that still stand are made in it again before the others can use it (members.cpp). Meanwhile writes wait once until
// the others have stopped answering from the cache, then go on unmarked.
#include "proxy/group/shared_words.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <future>
#include <random>

#include "proxy/survive.hpp"

namespace pgsteer::proxy {

namespace {

using cache::WordChange;
using std::chrono::milliseconds;

constexpr auto kEpoch = static_cast<std::int64_t>(cache::epoch_one);
constexpr auto kDeadline = milliseconds(100);       ///< of a batch; then Redis counts as gone
constexpr auto kGreeting = milliseconds(25);        ///< to connect again; writes wait meanwhile
constexpr auto kLongestDelay = milliseconds(1000);  ///< between two attempts to connect
constexpr std::chrono::nanoseconds kEverybodyHasLooked = kLease + milliseconds(50);
constexpr auto kNobodyListens = milliseconds(2000); ///< what waits for PostgreSQL to tell the others goes on then

std::uint64_t random_generation(bool quiet) {
  std::random_device device;
  const std::uint64_t random = (std::uint64_t{device()} << 32) | device();
  return (random & 0x3FFFFFFFFFFFFFFCull) | 4 | (quiet ? 1 : 0);
}

}  // namespace

struct SharedWords::Mark final : cache::Ticket {
  std::string database;
  WordChange change;
  std::uint64_t picture = cache::no_picture;  ///< that the write set was worked out by
  std::uint64_t seen_picture = 0;             ///< when it was marked
  bool everything = false;
  bool stands = false;   ///< in the adopted generation
  std::function<void()> wake;
  void grant() {
    granted_.store(true, std::memory_order_release);
    if (wake) std::exchange(wake, nullptr)();
  }
};

struct SharedWords::Task {
  enum class Kind : unsigned char { mark, done, bump, picture, settle } kind;
  std::shared_ptr<Mark> mark;
  bool rolled_back = false;
  std::vector<std::string> fields;
  std::shared_ptr<std::promise<std::uint64_t>> answer;
};

SharedWords::SharedWords(cache::RedisOptions redis, const std::string& group, GroupState& state)
    : redis_(std::move(redis)), keys_(group), state_(state) {}
SharedWords::~SharedWords() { stop(); }

void SharedWords::start() {
  thread_ = std::thread([this] { run_thread("shared words", [this] { loop(); }); });
}

void SharedWords::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::string SharedWords::field(const std::string& database, sql::Oid relation) {
  return relation == cache::word_everywhere ? "*" : std::to_string(relation) + ":" + database;
}

void SharedWords::put(Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ && task.answer) task.answer->set_value(cache::no_picture);
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

std::shared_ptr<cache::Ticket> SharedWords::mark(const std::string& database, std::vector<sql::Oid> relations, const cache::MarkOrigin& origin) {
  auto mark = std::make_shared<Mark>();
  mark->database = database;
  mark->picture = origin.picture;
  mark->wake = origin.wake;
  mark->everything = std::find(relations.begin(), relations.end(), cache::word_cat) != relations.end();
  if (origin.changes_picture) relations.push_back(cache::word_picture);
  mark->change.delta = 1;
  mark->change.picture = field(database, cache::word_picture);
  for (const auto relation : relations) mark->change.fields.push_back(field(database, relation));
  put({Task::Kind::mark, mark, false, {}, nullptr});
  return mark;
}

void SharedWords::done(const std::shared_ptr<cache::Ticket>& ticket, bool certainly_rolled_back) {
  put({Task::Kind::done, std::static_pointer_cast<Mark>(ticket), certainly_rolled_back, {}, nullptr});
}

void SharedWords::bump(const std::string& database, std::span<const sql::Oid> relations) {
  Task task{Task::Kind::bump, nullptr, false, {}, nullptr};
  for (const auto relation : relations) task.fields.push_back(field(database, relation));
  put(std::move(task));
}

std::uint64_t SharedWords::picture(const std::string& database) {
  auto answer = std::make_shared<std::promise<std::uint64_t>>();
  auto future = answer->get_future();
  put({Task::Kind::picture, nullptr, false, {field(database, cache::word_picture)}, std::move(answer)});
  if (future.wait_for(milliseconds(500)) != std::future_status::ready) return cache::no_picture;
  return future.get();
}

void SharedWords::settle() {
  auto answer = std::make_shared<std::promise<std::uint64_t>>();
  auto future = answer->get_future();
  put({Task::Kind::settle, nullptr, false, {}, std::move(answer)});
  future.wait_for(milliseconds(1000));
}

void SharedWords::renew(std::uint64_t expected, std::vector<int> vanished) {
  state_.renewing = true;
  {
    const std::lock_guard lock(mutex_);
    wanted_.push_back({expected, std::move(vanished)});
  }
  wake_.notify_one();
}

SharedWords::Counts SharedWords::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

std::string SharedWords::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

// ---- the thread

void SharedWords::loop() {
  for (;;) {
    std::deque<Task> tasks;
    std::vector<Wanted> wanted;
    bool last = false;
    {
      std::unique_lock lock(mutex_);
      const bool waiting = std::any_of(live_.begin(), live_.end(), [](const auto& one) { return !one.second->granted(); });
      wake_.wait_for(lock, link_ && !waiting ? milliseconds(100) : milliseconds(10), [this] { return stopping_ || !tasks_.empty() || !wanted_.empty(); });
      tasks.swap(tasks_);
      wanted.swap(wanted_);
      last = stopping_;
    }
    if (!link_) connect();
    if (link_ && tasks.empty() && wanted.empty()) {  // somebody else may have begun a generation
      if (const auto now = link_->generation(keys_); !now) lost();
      else if (*now != state_.adopted) *now == 0 ? begin_generation(1, {}) : adopt(*now);
    }
    for (const auto& one : wanted) {
      quiet_due_ = true;
      if (link_) begin_generation(one.expected, one.vanished);
    }
    if (link_) state_.renewing = false;
    carry_out(tasks);
    grant();
    if (!last) continue;
    // Nothing of ours is under way: what we leave behind is in the words.
    if (link_ && live_.empty() && state_.present) link_->say_farewell(keys_, state_.server_pid);
    for (auto& [raw, mark] : live_) mark->grant();
    live_.clear();
    return;
  }
}

void SharedWords::connect() {
  const auto now = GroupClock::now();
  if (now < next_try_) return;
  std::string error;
  link_ = cache::WordLink::open(redis_, lossy_ ? kGreeting : kDeadline, &error);
  if (!link_) {
    delay_ = std::clamp(delay_ * 2, milliseconds(25), kLongestDelay);
    next_try_ = GroupClock::now() + delay_;
    const std::lock_guard lock(mutex_);
    error_ = error;
    return;
  }
  delay_ = milliseconds(0);
  link_->set_deadline(kDeadline);
  // After a loss whatever is in force is of before it.
  begin_generation(lossy_ || quiet_due_ ? 0 : 1, {});
}

/// `expected` 1 matches none: only where there is no generation.
void SharedWords::begin_generation(std::uint64_t expected, const std::vector<int>& vanished) {
  const bool quiet = expected > 1 || quiet_due_;
  for (int i = 0; i < 4 && link_; ++i) {
    const std::uint64_t fresh = random_generation(quiet);
    const auto now = link_->renew(keys_, expected, fresh, vanished);
    if (!now) return lost();
    if (*now == fresh) {
      spdlog::info("event=cache_generation begun={:x} reason={}", fresh, quiet ? "member_vanished" : lossy_ ? "redis_was_away" : "first");
      const std::lock_guard lock(mutex_);
      ++counts_.renewals;
    }
    if (*now != state_.adopted) adopt(*now);
    if (!quiet || *now == fresh || awaits_quiet(*now) || *now == expected) {
      quiet_due_ = false;
      return;
    }
    expected = *now;  // begun by somebody who did not know of the vanished
  }
}

/// Every mark of ours is made in this generation; only then the others are told that we are in it.
void SharedWords::adopt(std::uint64_t generation) {
  for (int i = 0; i < 8 && link_; ++i) {
    std::vector<const WordChange*> changes;
    for (auto& [raw, mark] : live_) changes.push_back(&mark->change);
    const auto replies = link_->apply(keys_, generation, changes);
    if (!replies) return lost();
    if (std::all_of(replies->begin(), replies->end(), [](const auto& reply) { return reply.stands; })) {
      std::size_t at = 0;
      state_.redis = link_->server();
      state_.adopted = generation;
      state_.fence_wanted = lossy_ = false;
      for (auto& [raw, mark] : live_) {
        mark->stands = true;
        mark->seen_picture = (*replies)[at++].picture;
        if (!judge(*mark, mark->seen_picture)) return lost();
      }
      if (on_change) on_change();
      return;
    }
    const auto now = link_->generation(keys_);
    if (!now) return lost();
    // The words of the generation in force are gone, or there is none: nothing of it may count.
    const auto renewed = *now == generation || *now == 0 ? link_->renew(keys_, 0, random_generation(false), {}) : now;
    if (!renewed) return lost();
    generation = *renewed;
  }
}

void SharedWords::lost() {
  spdlog::warn("event=cache_words_lost error=\"{}\"", link_ ? link_->error() : "");
  {
    const std::lock_guard lock(mutex_);
    ++counts_.losses;
    error_ = link_ ? link_->error() : error_;
  }
  link_.reset();
  lossy_ = true;
  state_.adopted = 0;
  for (auto& [raw, mark] : live_) mark->stands = false;
  delay_ = milliseconds(25);
  next_try_ = GroupClock::now() + delay_;
  if (on_change) on_change();
}

/// A write set that was worked out by another picture of the catalog than the one in force may be too narrow.
bool SharedWords::judge(Mark& mark, std::uint64_t picture) {
  if (mark.everything || picture == mark.picture) return true;
  if (mark.picture != cache::no_picture) picture_moved(mark.database, picture);
  WordChange wider = mark.change;
  wider.fields = {field(mark.database, cache::word_cat)};
  const auto replies = link_->apply(keys_, state_.adopted, {&wider});
  if (!replies || !replies->front().stands) return false;
  mark.everything = true;
  mark.change.fields.push_back(wider.fields.front());
  const std::lock_guard lock(mutex_);
  ++counts_.widened;
  return true;
}

void SharedWords::picture_moved(const std::string& database, std::uint64_t word) {
  if ((word & cache::in_flight_mask) != 0) return;  // it is about to move on
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(told_[database], word) == word) return;
  }
  if (on_picture) on_picture(database);
}

void SharedWords::carry_out(std::deque<Task>& tasks) {
  std::vector<WordChange> changes;
  std::vector<Mark*> marked;  ///< null for what is no mark
  for (auto& task : tasks) {
    if (task.kind == Task::Kind::mark) {
      live_[task.mark.get()] = task.mark;
      changes.push_back(task.mark->change);
      marked.push_back(task.mark.get());
    } else if (task.kind == Task::Kind::bump) {
      changes.push_back({WordChange::Kind::bump, std::move(task.fields), kEpoch, {}, {}, {}});
      marked.push_back(nullptr);
    }
  }
  const auto apply = [&] {
    if (changes.empty() || !link_) return;
    std::vector<const WordChange*> pointers;
    for (const auto& change : changes) pointers.push_back(&change);
    const auto replies = link_->apply(keys_, state_.adopted, pointers);
    if (!replies) return lost();
    bool moved = false;
    for (std::size_t i = 0; i < replies->size(); ++i) {
      moved = moved || !(*replies)[i].stands;
      if (marked[i]) marked[i]->stands = (*replies)[i].stands, marked[i]->seen_picture = (*replies)[i].picture;
    }
    if (moved) {
      const auto now = link_->generation(keys_);
      if (!now) return lost();
      if (*now == 0 || *now == state_.adopted) return begin_generation(0, {});
      return adopt(*now);
    }
    for (Mark* mark : marked) {
      if (mark && !judge(*mark, mark->seen_picture)) return lost();
    }
  };
  apply();
  {
    const std::lock_guard lock(mutex_);
    counts_.marks += static_cast<std::uint64_t>(std::count_if(marked.begin(), marked.end(), [](const Mark* mark) { return mark != nullptr; }));
  }
  // Ends come behind the marks of the same batch: what is ended must have stood.
  changes.clear();
  marked.clear();
  for (auto& task : tasks) {
    if (task.kind != Task::Kind::done) continue;
    Mark& mark = *task.mark;
    if (mark.stands) {
      WordChange change{WordChange::Kind::done, mark.change.fields, task.rolled_back ? -1 : kEpoch - 1, {}, {}, {}};
      if (!mark.everything && !task.rolled_back) {
        change.picture = mark.change.picture;
        change.expected = std::to_string(mark.seen_picture);
        change.otherwise = field(mark.database, cache::word_cat);
      }
      changes.push_back(std::move(change));
      marked.push_back(nullptr);
    }
    mark.wake = nullptr;
    live_.erase(&mark);
  }
  apply();
  for (auto& task : tasks) {
    if (!task.answer) continue;
    std::uint64_t word = cache::no_picture;
    if (task.kind == Task::Kind::picture && link_ && state_.adopted != 0) {
      if (const auto found = link_->word(keys_, state_.adopted, task.fields.front()); !found) lost();
      else if ((*found & cache::in_flight_mask) == 0) word = *found;
    }
    task.answer->set_value(word);
  }
}

/// Nobody answers by another Redis than ours. Whoever has marks in the same one is asked about by every reader; from whoever has
/// not, the lock keeps all that have looked since, and the lease those that have not.
bool SharedWords::everybody_knows() const {
  if (state_.told_redis != state_.redis) return false;
  const auto told = state_.told_ns.load();  // behind the other: hold() takes the old time away first
  return told != 0 && steady_ns() - told > kEverybodyHasLooked.count();
}

/// Marks that stand, once the others know where; without Redis those that the others were given time to learn of.
void SharedWords::grant() {
  const auto now = GroupClock::now();
  if (state_.present) alone_since_.reset();
  else if (!alone_since_) alone_since_ = now;
  const bool late = alone_since_ && now - *alone_since_ > kNobodyListens;
  const std::lock_guard fence(state_.fence);
  const auto fenced = state_.fenced_ns.load();
  const bool out_of_reach = fenced != 0 && steady_ns() - fenced > kEverybodyHasLooked.count();
  const bool known = everybody_knows();
  bool unmarked = false;
  for (auto& [raw, mark] : live_) {
    if (mark->granted()) continue;
    if (mark->stands ? known || late : out_of_reach || late) {
      const std::lock_guard lock(mutex_);
      if (!mark->stands) ++(out_of_reach ? counts_.fenced : counts_.unprotected), lossy_ = true;
      mark->grant();
    } else {
      unmarked = unmarked || !mark->stands;
    }
  }
  if (unmarked && !state_.fence_wanted.exchange(true) && on_change) on_change();
}

}  // namespace pgsteer::proxy
