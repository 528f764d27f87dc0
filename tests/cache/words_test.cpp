#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <set>
#include <thread>

#include "cache/cache.hpp"

using namespace pgsteer::cache;
using pgsteer::sql::Oid;

namespace {

const std::vector<Oid> both{16400, 16401};
WriteSet writing(std::vector<Oid> relations) { return {true, false, std::move(relations)}; }
const WriteSet all_of_it{true, true, {}};

}  // namespace

TEST_CASE("words: a tag holds word(cat) first, then the relations") {
  Words words;
  const auto tag = words.read("db", both);
  REQUIRE(tag);
  REQUIRE(tag->size() == 3);
  CHECK((*tag)[0].first == 0);
  CHECK((*tag)[1].first == 16400);
  CHECK((*tag)[2].first == 16401);
  CHECK(words.unchanged("db", *tag));
  CHECK(words.read("db", both) == tag);
  CHECK(words.read("db", {})->size() == 1);
}

TEST_CASE("words: what voids a tag and what does not") {
  struct Case {
    const char* name;
    std::function<void(Words&)> act;
    bool still_good;
  };
  const Case cases[] = {
      {"nothing", [](Words&) {}, true},
      {"committed write", [](Words& w) { w.mark("db", writing({16400})).done(false); }, false},
      {"rolled back write", [](Words& w) { w.mark("db", writing({16400})).done(true); }, true},
      {"unfinished write", [](Words& w) { auto m = w.mark("db", writing({16400})); }, false},
      {"write elsewhere", [](Words& w) { w.mark("db", writing({16402})).done(false); }, true},
      {"write in another database", [](Words& w) { w.mark("bd", writing({16400})).done(false); }, true},
      {"no write", [](Words& w) { w.mark("db", WriteSet{}).done(false); }, true},
      {"write to everything", [](Words& w) { w.mark("db", all_of_it).done(false); }, false},
      {"write to nobody knows where", [](Words& w) { w.mark("db", writing({})).done(false); }, false},
      {"bump of the second", [](Words& w) { w.bump("db", std::vector<Oid>{16401}); }, false},
      {"bump of the catalog", [](Words& w) { w.bump("db", std::vector<Oid>{0}); }, false},
      {"flush of the database", [](Words& w) { w.flush("db"); }, false},
      {"flush of another", [](Words& w) { w.flush("bd"); }, true},
      {"flush of all", [](Words& w) { w.flush(); }, false},
  };
  for (const Case& one : cases) {
    Words words;
    INFO(std::string(one.name));
    const auto tag = words.read("db", both);
    REQUIRE(tag);
    one.act(words);
    CHECK(words.unchanged("db", *tag) == one.still_good);
    REQUIRE(words.read("db", both));
    CHECK((words.read("db", both) == tag) == one.still_good);
  }
}

TEST_CASE("words: a write in flight blocks reading and voids what was tagged before") {
  Words words;
  const auto tag = words.read("db", both);
  auto first = words.mark("db", writing({16400, 16400}));
  CHECK(static_cast<bool>(first));
  CHECK_FALSE(words.read("db", both));
  CHECK_FALSE(words.unchanged("db", *tag));
  CHECK(words.read("db", std::vector<Oid>{16401}));
  auto second = words.mark("db", writing({16400}));
  first.done(true);
  CHECK_FALSE(words.read("db", both));
  second.done(true);
  CHECK(words.unchanged("db", *tag));
  auto everything = words.mark("db", all_of_it);
  CHECK_FALSE(words.read("db", std::vector<Oid>{16401}));
  CHECK_FALSE(words.read("db", {}));
  CHECK(words.read("bd", both));
}

TEST_CASE("words: a flush does not forget the writes in flight") {
  Words words;
  auto mark = words.mark("db", writing({16400}));
  const auto before = words.generation();
  words.flush("db");
  words.flush();
  CHECK(words.generation() != before);
  CHECK_FALSE(words.read("db", both));
  mark.done(true);
  CHECK(words.read("db", both));
}

TEST_CASE("words: a mark is finished once, wherever it was moved") {
  Words words;
  const auto tag = words.read("db", both);
  {
    auto a = words.mark("db", writing({16400}));
    Words::Mark b(std::move(a));
    CHECK_FALSE(static_cast<bool>(a));
    a.done(false);  // of nothing
    CHECK_FALSE(words.read("db", both));
    Words::Mark c;
    c = std::move(b);
    Words::Mark& self = c;
    c = std::move(self);
    CHECK(static_cast<bool>(c));
    c.done(true);
    c.done(false);
    CHECK_FALSE(static_cast<bool>(c));
  }
  CHECK(words.unchanged("db", *tag));
  auto a = words.mark("db", writing({16400}));
  auto b = words.mark("db", writing({16401}));
  a = std::move(b);  // the first is of unknown outcome now: changed
  CHECK(words.read("db", std::vector<Oid>{16400}));
  CHECK_FALSE(words.read("db", std::vector<Oid>{16401}));
  a.done(true);
  CHECK_FALSE(words.unchanged("db", *tag));
}

TEST_CASE("words: tags of another process never fit, and neither does a made-up one") {
  Words here, before;
  CHECK(here.generation() != before.generation());
  const auto tag = before.read("db", both);
  here.read("db", both);
  CHECK_FALSE(here.unchanged("db", *tag));
  CHECK_FALSE(here.unchanged("nowhere", *tag));
  const auto mine = here.read("db", both);
  CHECK_FALSE(here.unchanged("db", {}));
  CHECK_FALSE(here.unchanged("db", {mine->begin() + 1, mine->end()}));  // without word(cat)
  auto unknown = *mine;
  unknown.emplace_back(99999, 0);
  CHECK_FALSE(here.unchanged("db", unknown));
  std::set<std::uint64_t> bases;
  for (Oid oid = 20000; oid < 30000; ++oid) bases.insert((*here.read("db", std::vector<Oid>{oid}))[1].second);
  CHECK(bases.size() == 10000);  // no common start, above all not 0
  CHECK(bases.count(0) == 0);
}

TEST_CASE("words: a missing word is created once, however many ask at once") {
  for (int round = 0; round < 50; ++round) {
    Words words;
    std::atomic<int> waiting{0};
    std::vector<std::optional<Words::Tag>> tags(4);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < tags.size(); ++t)
      threads.emplace_back([&, t] {
        ++waiting;
        while (waiting < 4) {
        }
        tags[t] = words.read("db", std::vector<Oid>{16400, 16400 + 4096, 16400 + 8192});
      });
    for (auto& thread : threads) thread.join();
    for (const auto& tag : tags) CHECK(tag == tags[0]);
  }
}

// A real database in small: `value` is committed state, writers follow the protocol or roll back, readers cache. The
// fill that comes late is the point: it is stored long after its tag was read.
TEST_CASE("words: under threads a late fill never validates and no hit is stale") {
  Words words;
  using Held = std::shared_ptr<const std::pair<Words::Tag, int>>;
  class Slot {  // g++ 12's atomic<shared_ptr> raises a false alarm under TSan
   public:
    Held load() {
      const std::lock_guard lock(mutex_);
      return held_;
    }
    void store(Held held) {
      const std::lock_guard lock(mutex_);
      held_ = std::move(held);
    }

   private:
    std::mutex mutex_;
    Held held_;
  } slot;
  std::atomic<int> value{0}, acknowledged{0};
  std::atomic<bool> stop{false};
  std::atomic<long> hits{0}, stale{0}, fills{0};

  const auto writer = [&](unsigned seed) {
    std::uint64_t random = seed * 0x9E3779B97F4A7C15ull;
    const auto next = [&] { return (random = random * 6364136223846793005ull + 1442695040888963407ull) >> 33; };
    while (!stop) {
      auto mark = words.mark("db", next() % 8 == 0 ? all_of_it : writing({16401}));
      if (next() % 4 == 0) {
        mark.done(true);
      } else {
        const int mine = ++value;  // the commit
        if (next() % 2) std::this_thread::yield();
        mark.done(false);
        for (int seen = acknowledged; seen < mine && !acknowledged.compare_exchange_weak(seen, mine);) {
        }
      }
      for (auto pause = next() % 40; pause > 0 && !stop; --pause) std::this_thread::yield();
    }
  };
  const auto reader = [&] {
    while (!stop) {
      const int floor = acknowledged;
      if (const auto held = slot.load(); held && words.unchanged("db", held->first)) {
        ++hits;
        if (held->second < floor) ++stale;
        continue;
      }
      const auto tag = words.read("db", both);
      const int answer = value;
      if (fills % 3 == 0) std::this_thread::yield();  // the late one
      if (tag) {
        slot.store(std::make_shared<const std::pair<Words::Tag, int>>(*tag, answer));
        ++fills;
      }
    }
  };
  std::vector<std::thread> threads;
  for (unsigned w = 1; w <= 2; ++w) threads.emplace_back(writer, w);
  for (int r = 0; r < 3; ++r) threads.emplace_back(reader);
  // At least a second, and until enough has happened on a busy machine.
  for (int tenth = 0; tenth < 600 && (tenth < 10 || hits < 1000 || fills < 100 || value < 100); ++tenth)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  stop = true;
  for (auto& thread : threads) thread.join();
  CHECK(stale.load() == 0);
  CHECK(hits.load() >= 1000);
  CHECK(fills.load() >= 100);
  CHECK(value.load() >= 100);
}

// The real class through every interleaving of two writers and one reader that fills and then looks up.
TEST_CASE("words: the class itself in all interleavings") {
  long schedules = 0, hits = 0, stale = 0;
  std::vector<int> schedule;
  const std::array<int, 3> lengths{3, 3, 6};
  const auto run = [&](int rolled_back) {
    ++schedules;
    Words words;
    std::array<Words::Mark, 2> marks;
    std::array<int, 2> rows{};
    std::array<int, 3> step{};
    std::optional<Words::Tag> tag;
    std::array<int, 2> answer{};
    bool stored = false;
    std::set<std::array<int, 2>> since_arrival;
    for (const int actor : schedule) {
      const int at = step[static_cast<std::size_t>(actor)]++;
      if (actor < 2) {
        const auto w = static_cast<std::size_t>(actor);
        if (at == 0) marks[w] = words.mark("db", writing({both[w]}));
        const bool undone = (rolled_back >> actor & 1) != 0;
        if (at == 1 && !undone && ++rows[w]) since_arrival.insert(rows);
        if (at == 2) marks[w].done(undone);
        continue;
      }
      if (at == 0 || at == 3) tag = at == 0 ? words.read("db", both) : tag;
      if (at == 1) answer = rows;
      if (at == 2) stored = tag.has_value();
      if (at == 4) since_arrival = {rows};  // the second request arrives
      if (at == 5 && stored && words.unchanged("db", *tag)) {
        ++hits;
        if (!since_arrival.contains(answer)) ++stale;
      }
    }
  };
  const std::function<void(std::array<int, 3>)> extend = [&](std::array<int, 3> left) {
    if (left == std::array<int, 3>{}) {
      for (int rolled_back = 0; rolled_back < 4; ++rolled_back) run(rolled_back);
      return;
    }
    for (int actor = 0; actor < 3; ++actor) {
      auto& one = left[static_cast<std::size_t>(actor)];
      if (one == 0) continue;
      --one;
      schedule.push_back(actor);
      extend(left);
      schedule.pop_back();
      ++one;
    }
  };
  extend(lengths);
  CHECK(schedules == 4 * 18480);  // 12! / (3! 3! 6!), each writer committing or rolling back
  CHECK(stale == 0);
  CHECK(hits > 100);
}
