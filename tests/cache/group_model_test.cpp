// Exhaustive check of the words that several processes share: two proxies with a reader each, a write through one of them, one Redis that may
// stall or come back empty, one PostgreSQL in which the proxies see each other, or a proxy that may die at any moment. Asked at
// every reply, as in model_check_test.cpp: was this answer the database's state at some instant since the request arrived?
// Each wrong variant leaves out one step of proxy/group and must be caught.
#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

namespace {

using Byte = std::uint8_t;

struct Variant {
  const char* name;
  bool stale;
  bool no_quarantine = false;        ///< answers count without a look at the others' generation
  bool no_fence = false;             ///< a write that Redis cannot be told of goes on at once
  bool no_wait = false;              ///< the fence is up, but nobody waits for the others to see it
  bool fence_keeps_generation = false;  ///< after unmarked writes the old generation goes on
  bool no_remark = false;            ///< marks are not made again in a new generation
  bool crash_unnoticed = false;      ///< a member that is gone is just gone; its marks are cleared by whoever is left
  bool no_quiet = false;             ///< the generation after a crash is used while the dead one's write is still at work
  bool mark_any_generation = false;  ///< a mark is made in the generation the proxy thinks of
  bool same_names = false;           ///< Redis comes back empty and the generation has its old name
  bool words_only = false;           ///< the reader does not ask for the generation
  bool late_look_forgiven = false;   ///< a look that came after the lease had run out is one like the others
  bool lost_words_are_zero = false;  ///< words that are not there, because Redis has lost them, count as words that never moved
  bool trusts_first_look = false;    ///< who starts uses the generation it finds, though nobody has watched who died in it
  bool crashes = true, restarts = true;  ///< what may happen, each once
};

constexpr std::size_t proxies = 2, generations = 3;
constexpr int reads_together = 2;
constexpr Byte no_lock = 0xFF, fence_lock = 0xFE;

struct Word {
  Byte epoch = 0, marks = 0;
};

enum Write : Byte { idle = 0, asked, granted, sent, committed, over };
enum Read : Byte { resting = 0, asks_generation, asks_word, decides, executes, stores };

struct Proxy {
  Byte alive = 1;
  Byte adopted = 0, lossy = 0;
  Byte lock = no_lock, armed = 0, knows_other = 0, renew_due = 0;
  Byte settled = 0, watches = 0;     ///< has looked once; generation in which it is known to watch
  Byte write = idle, marked_in = 0;  ///< generation of the mark; 0: none
  Byte read = resting, at = 0, answer = 0, tag_generation = 0, tag_epoch = 0, permit = 0;
  Byte seen = 0;  ///< bit per database state since arrival
};

struct State {
  Byte redis_up = 1, restarts = 0, crashes = 0, reads = 0;
  Byte generation = 0, fresh = 0;
  Byte writes = 0;  ///< begun
  Byte rows = 0;    ///< the write is visible
  std::array<Word, generations + 1> words{};
  std::array<Byte, generations + 1> quiet{}, alive{};
  Byte cached_present = 0, cached_state = 0, cached_generation = 0, cached_epoch = 0;
  std::array<Proxy, proxies> proxy{};
};
static_assert(std::has_unique_object_representations_v<State>);

struct Hash {
  std::size_t operator()(const State& state) const { return std::hash<std::string_view>{}({reinterpret_cast<const char*>(&state), sizeof state}); }
};
struct Same {
  bool operator()(const State& a, const State& b) const { return std::memcmp(&a, &b, sizeof a) == 0; }
};

class Checker {
 public:
  explicit Checker(const Variant& variant) : v_(variant) {}
  bool finds_stale() {
    State first{};
    first.crashes = v_.crashes ? 0 : 1;
    first.restarts = v_.restarts ? 0 : 1;
    std::vector<State> open{first};
    seen_.insert(open.back());
    while (!open.empty() && !stale_) {
      const State state = open.back();
      open.pop_back();
      next_.clear();
      for (std::size_t p = 0; p < proxies; ++p) {
        if (!state.proxy[p].alive) {
          orphan(state, p);
          continue;
        }
        member(state, p);
        write(state, p);
        read(state, p);
        crash(state, p);
      }
      redis(state);
      for (const State& next : next_)
        if (seen_.insert(next).second) open.push_back(next);
    }
    return stale_;
  }
  std::size_t states() const { return seen_.size(); }

 private:
  void add(State next) {
    for (auto& proxy : next.proxy)
      if (proxy.read != resting) proxy.seen = static_cast<Byte>(proxy.seen | 1u << next.rows);
    // The proxies are alike: which is which does not matter. Halves the states.
    if (std::memcmp(&next.proxy[0], &next.proxy[1], sizeof(Proxy)) > 0) {
      std::swap(next.proxy[0], next.proxy[1]);
    }
    next_.push_back(next);
  }

  // ---- Redis: stalls or dies once; comes back as it was, or empty

  void redis(const State& state) {
    State next = state;
    if (state.redis_up && state.restarts == 0) {
      next.redis_up = 0;
      next.restarts = 1;
      add(next);
    } else if (!state.redis_up) {
      next.redis_up = 1;
      add(next);
      for (auto& word : next.words) word = {};
      if (!v_.same_names) next.alive = {};
      if (!v_.same_names) next.generation = 0;
      for (auto& proxy : next.proxy) proxy.lossy |= proxy.adopted != 0 && !v_.same_names;  // its connection is gone
      add(next);
    }
  }

  // ---- a member: Redis's side, then PostgreSQL's

  bool fresh(State& next, bool quiet) {
    if (next.fresh == generations) return false;
    next.generation = ++next.fresh;
    next.quiet[next.generation] = quiet;
    next.alive[next.generation] = 1;
    return true;
  }

  void adopt(State& next, Proxy& proxy) {
    if (proxy.write >= granted && proxy.write <= committed && !v_.no_remark) {
      proxy.marked_in = next.generation;
      ++next.words[next.generation].marks;
    } else if (proxy.write >= granted && proxy.write <= committed) {
      proxy.marked_in = 0;
    }
    proxy.adopted = next.generation;
    proxy.lossy = 0;
  }

  void member(const State& state, std::size_t p) {
    const Proxy& now = state.proxy[p];
    const Proxy& other = state.proxy[1 - p];
    if (!state.redis_up && now.adopted != 0) {  // notices
      State next = state;
      next.proxy[p].adopted = 0;
      next.proxy[p].lossy = 1;
      next.proxy[p].marked_in = 0;
      add(next);
    }
    if (state.redis_up && (now.lossy || now.adopted != state.generation || state.generation == 0)) {
      State next = state;
      const bool begins = next.generation == 0 || (now.lossy && !v_.fence_keeps_generation);
      if (!begins || fresh(next, false)) {
        adopt(next, next.proxy[p]);
        add(next);
      }
    }
    if (now.renew_due && state.redis_up && now.adopted != 0 && !now.lossy) {
      State next = state;
      if (fresh(next, true)) {
        next.proxy[p].renew_due = 0;
        adopt(next, next.proxy[p]);
        add(next);
      }
    }
    const Byte wanted = now.adopted != 0 ? now.adopted : now.write == asked ? fence_lock : now.lock;
    if (wanted != no_lock) {  // takes the lock that says so, then looks at the others
      State next = state;
      Proxy& mine = next.proxy[p];
      mine.lock = wanted;
      const bool there = other.alive && other.lock != no_lock;
      const bool vanished = now.knows_other && !there;
      mine.knows_other = there;
      mine.armed = 0;
      if (now.adopted != 0 && !now.settled) {
        mine.settled = 1;
        mine.renew_due = !v_.trusts_first_look && !(there && other.watches == now.adopted);
      }
      if (vanished && v_.crash_unnoticed) {
        next.words[next.generation].marks = static_cast<Byte>(now.marked_in == next.generation && now.write >= granted && now.write <= committed);
      } else if (vanished) {
        mine.renew_due = 1;
      }
      const bool together = now.adopted != 0 && wanted == now.adopted && (!there || other.lock == now.adopted || v_.no_quarantine);
      const bool quiet = !state.quiet[now.adopted] || other.alive || other.write != sent || v_.no_quiet;
      if (together && quiet && !mine.renew_due) mine.armed = mine.watches = now.adopted;
      add(next);
    }
    const bool fenced = now.lock == fence_lock || other.lock == fence_lock;
    if (now.armed != 0 && fenced) {  // the lease runs out before the next look; without a fence nobody would notice
      State next = state;
      next.proxy[p].armed = 0;
      next.proxy[p].renew_due = !v_.late_look_forgiven;  // who knows what came and went meanwhile
      add(next);
    }
  }

  void crash(const State& state, std::size_t p) {
    if (state.crashes != 0) return;
    State next = state;
    next.crashes = 1;
    const Byte fate = state.proxy[p].write == sent ? sent : over;
    next.proxy[p] = Proxy{};
    next.proxy[p].alive = 0;
    next.proxy[p].write = fate;
    add(next);
  }

  /// What a dead proxy has sent is done by the server all the same, sooner or later.
  void orphan(const State& state, std::size_t p) {
    if (state.proxy[p].write != sent) return;
    State next = state;
    next.proxy[p].write = over;
    next.rows = 1;
    add(next);
  }

  // ---- the writer

  void write(const State& state, std::size_t p) {
    State next = state;
    Proxy& proxy = next.proxy[p];
    switch (proxy.write) {
      case idle:
        if (next.writes++ != 0) return;
        proxy.write = asked;
        return add(next);
      case asked: {
        const bool marks = proxy.adopted != 0 && state.redis_up && !proxy.lossy && (state.generation == proxy.adopted || v_.mark_any_generation);
        if (marks && proxy.lock != no_lock) {
          proxy.marked_in = proxy.adopted;
          ++next.words[proxy.adopted].marks;
          proxy.write = granted;
          return add(next);
        }
        if (proxy.adopted != 0) return;
        bool others_know = proxy.lock == fence_lock;
        for (const auto& one : state.proxy) others_know = others_know && (v_.no_wait || one.armed == 0);
        if (!others_know && !v_.no_fence) return;
        proxy.lossy = 1;
        proxy.write = granted;
        return add(next);
      }
      case granted:
        proxy.write = sent;
        return add(next);
      case sent:
        proxy.write = committed;
        next.rows = 1;
        return add(next);
      case committed:
        if (proxy.marked_in != 0 && proxy.adopted != 0) {
          if (!state.redis_up) return;  // it will notice
          Word& word = next.words[proxy.marked_in];
          ++word.epoch;
          if (word.marks > 0) --word.marks;
        }
        proxy.write = over;
        proxy.marked_in = 0;
        return add(next);
      default: return;
    }
  }

  // ---- the reader

  void reply(State& next, Proxy& proxy, Byte answer) {
    if ((proxy.seen >> answer & 1) == 0) stale_ = true;
    rest(proxy);
    add(next);
  }
  /// Nothing is kept, or elsewhere: what others find is older.
  void add_reply_without_store(State next, std::size_t p) { reply(next, next.proxy[p], next.proxy[p].answer); }
  void rest(Proxy& proxy) {
    proxy.read = resting;
    proxy.at = proxy.answer = proxy.tag_generation = proxy.tag_epoch = proxy.permit = 0;
    proxy.seen = 0;
  }

  void read(const State& state, std::size_t p) {
    State next = state;
    Proxy& proxy = next.proxy[p];
    switch (proxy.read) {
      case resting:
        if (state.reads == reads_together) return;
        if (const Byte other = state.proxy[1 - p].read; other != resting && other != stores) return;  // what overlaps is a late store
        ++next.reads;
        proxy.at = proxy.armed;
        proxy.read = proxy.at != 0 && state.redis_up ? asks_generation : executes;
        return add(next);
      case asks_generation:
        if (!state.redis_up || (state.generation != proxy.at && !v_.words_only)) proxy.read = executes;
        else proxy.read = asks_word;
        return add(next);
      case asks_word: {
        const Word& word = state.words[proxy.at];
        proxy.tag_generation = proxy.at;
        proxy.tag_epoch = word.epoch;
        proxy.permit = word.marks == 0 && state.redis_up && (state.alive[proxy.at] || v_.lost_words_are_zero);
        proxy.read = proxy.permit ? decides : executes;
        return add(next);
      }
      case decides: {
        if (proxy.armed != proxy.at) {
          proxy.permit = 0;
        } else if (state.cached_present && state.cached_generation == proxy.tag_generation && state.cached_epoch == proxy.tag_epoch) {
          return reply(next, proxy, state.cached_state);
        }
        proxy.read = executes;
        return add(next);
      }
      case executes:
        proxy.answer = state.rows;
        proxy.read = stores;
        return add(next);
      default:
        if (proxy.permit) {
          add_reply_without_store(next, p);
          next.cached_present = 1;
          next.cached_state = proxy.answer;
          next.cached_generation = proxy.tag_generation;
          next.cached_epoch = proxy.tag_epoch;
        }
        return reply(next, proxy, proxy.answer);
    }
  }

  const Variant v_;
  bool stale_ = false;
  std::vector<State> next_;
  std::unordered_set<State, Hash, Same> seen_;
};

}  // namespace

TEST_CASE("shared words: no interleaving of two proxies, crashes and Redis is stale, and every missing step is found") {
  const Variant variants[] = {
      {.name = "as built: a proxy dies", .stale = false, .restarts = false},
      {.name = "as built: Redis goes away", .stale = false, .crashes = false},
      {.name = "no quarantine", .stale = true, .no_quarantine = true, .crashes = false},
      {.name = "no fence", .stale = true, .no_fence = true, .crashes = false},
      {.name = "nobody waits behind the fence", .stale = true, .no_wait = true, .crashes = false},
      {.name = "the generation outlives the fence", .stale = true, .fence_keeps_generation = true, .crashes = false},
      {.name = "marks are not made again", .stale = true, .no_remark = true, .crashes = false},
      {.name = "a crash clears its marks", .stale = true, .crash_unnoticed = true, .restarts = false},
      {.name = "a crash's write is not waited for", .stale = true, .no_quiet = true, .restarts = false},
      {.name = "marks in any generation", .stale = true, .mark_any_generation = true, .restarts = false},
      {.name = "a generation comes back", .stale = true, .same_names = true, .crashes = false},
      {.name = "the generation is not asked for", .stale = true, .words_only = true, .crashes = false},
      {.name = "a generation that nobody has watched", .stale = true, .trusts_first_look = true, .restarts = false},
      {.name = "a late look is forgiven", .stale = true, .late_look_forgiven = true, .restarts = false},
      {.name = "lost words are zero", .stale = true, .lost_words_are_zero = true, .crashes = false},
  };
  for (const Variant& variant : variants) {
    Checker checker(variant);
    INFO(std::string(variant.name));
    CHECK(checker.finds_stale() == variant.stale);
    MESSAGE(std::string(variant.name), ": ", checker.states(), " states");
  }
}
