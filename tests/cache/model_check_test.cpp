// Exhaustive check of the cache protocol: every interleaving of two writers, two caching readers and the cache, over two
// relations. The question asked at every reply is the promise of `strict` itself: was this answer the database's state at
// some instant between the request's arrival and the reply? Each wrong variant takes out or moves one step and must be
// caught; otherwise the check would prove nothing.
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
  bool stale;  ///< what the check must find
  enum class Writer : Byte {
    mark_commit_bump,   ///< the protocol
    commit_bump,        ///< no mark
    commit_mark_bump,   ///< marked after it is visible
    mark_bump_commit,   ///< bumped and unmarked before it is visible
    mark_commit_unmark, ///< no bump
    bump_commit,        ///< H2's order
    commit_unmark_bump, ///< mark first, but unmark and bump apart: a gap between
  } writer = Writer::mark_commit_bump;
  bool words_after_execute = false;    ///< the tag is read when the answer is there
  bool tag_with_marks = false;         ///< fills under a mark, tag = the whole word, compared as a whole
  bool permit_ignores_marks = false;   ///< fills under a mark, tag = epochs; look-ups still refuse marks
  bool hit_ignores_marks = false;
  bool hit_ignores_tag = false;
  bool hit_checks_first_word_only = false;
  bool flush_forgets_marks = false;    ///< FLUSH CACHE creates fresh words instead of moving word(cat)
  bool rollback_counts_as_nothing = false;  ///< unfinished = rolled back, though it committed
};

constexpr int relations = 2, writers = 2, readers = 2;
constexpr int reads_together = 3;  ///< shared by both readers in whatever way

struct Word {
  Byte epoch = 0, marks = 0;
};

struct Writer {
  Byte step = 0;
  Byte rolls_back = 0;  ///< chosen at its commit step
};

struct Reader {
  Byte step = 0;       ///< 0 idle, then see look_up()
  Byte permit = 0;
  Byte answer = 0;     ///< database state it will reply
  std::array<Word, relations + 1> tag{};   ///< words as read, for the fill
  std::array<Word, relations + 1> held{};  ///< tag of the cached value it looks at: stays with it when that is replaced
  Byte unused = 0;         ///< no padding: states are compared as bytes
  std::uint16_t seen = 0;  ///< bit per database state current since arrival
};

struct Cached {
  Byte present = 0, state = 0;
  std::array<Word, relations + 1> tag{};
};

/// Everything; compared and hashed as bytes, hence no padding.
struct State {
  std::array<Byte, relations> rows{};       ///< version of each relation's content
  std::array<Word, relations + 1> words{};  ///< [relations] is word(cat)
  std::array<Writer, writers> writer{};
  Cached cached{};
  Byte flushes = 0;
  Byte reads = 0;
  std::array<Reader, readers> reader{};
};
static_assert(std::has_unique_object_representations_v<State>);

struct Hash {
  std::size_t operator()(const State& state) const {
    return std::hash<std::string_view>{}({reinterpret_cast<const char*>(&state), sizeof state});
  }
};
struct Same {
  bool operator()(const State& a, const State& b) const { return std::memcmp(&a, &b, sizeof a) == 0; }
};

// Relation i is written by writer i once or never, so a state of the database is two bits; the reader's query joins both.
Byte database(const State& state) { return static_cast<Byte>(state.rows[0] | (state.rows[1] << 1)); }

class Checker {
 public:
  explicit Checker(const Variant& variant) : variant_(variant) {}

  /// Whether some interleaving replies a stale answer.
  bool finds_stale() {
    std::vector<State> open{State{}};
    seen_.insert(open.back());
    while (!open.empty() && !stale_) {
      const State state = open.back();
      open.pop_back();
      next_.clear();
      for (int w = 0; w < writers; ++w) write(state, w);
      for (int r = 0; r < readers; ++r) read(state, r);
      flush(state);
      for (const State& next : next_)
        if (seen_.insert(next).second) open.push_back(next);
    }
    return stale_;
  }
  std::size_t states() const { return seen_.size(); }

 private:
  using Order = Variant::Writer;

  void add(State next) {
    const auto now = static_cast<std::uint16_t>(1u << database(next));
    for (auto& reader : next.reader)
      if (reader.step != 0) reader.seen |= now;
    // The readers are alike: which is which does not matter. Halves the states.
    if (std::memcmp(&next.reader[0], &next.reader[1], sizeof(Reader)) > 0) std::swap(next.reader[0], next.reader[1]);
    next_.push_back(next);
  }

  // ---- writer w, on relation w

  enum class Act : Byte { mark, commit, bump_unmark, bump, unmark, end };
  Act act(int step) const {
    static constexpr Act orders[][5] = {
        {Act::mark, Act::commit, Act::bump_unmark, Act::end, Act::end},
        {Act::commit, Act::bump, Act::end, Act::end, Act::end},
        {Act::commit, Act::mark, Act::bump_unmark, Act::end, Act::end},
        {Act::mark, Act::bump_unmark, Act::commit, Act::end, Act::end},
        {Act::mark, Act::commit, Act::unmark, Act::end, Act::end},
        {Act::bump, Act::commit, Act::end, Act::end, Act::end},
        {Act::mark, Act::commit, Act::unmark, Act::bump, Act::end},
    };
    return orders[static_cast<int>(variant_.writer)][step];
  }

  void write(const State& state, int w) {
    const auto index = static_cast<std::size_t>(w);
    const Act what = act(state.writer[index].step);
    if (what == Act::end) return;
    State next = state;
    Writer& writer = next.writer[index];
    Word& word = next.words[index];
    ++writer.step;
    const bool bumps = !writer.rolls_back && !variant_.rollback_counts_as_nothing;
    switch (what) {
      case Act::mark: ++word.marks; break;
      case Act::commit:
        writer.rolls_back = 1;
        add(next);  // it rolled back: nothing becomes visible
        writer.rolls_back = 0;
        next.rows[index] = 1;
        break;
      case Act::bump_unmark:
        if (bumps) ++word.epoch;
        if (word.marks > 0) --word.marks;
        writer.rolls_back = 0;
        break;
      case Act::bump: ++word.epoch; break;
      case Act::unmark:
        if (word.marks > 0) --word.marks;
        break;
      case Act::end: break;
    }
    add(next);
  }

  // ---- reader r: arrive; one word after the other; hit, or execute; store; reply

  enum Step : Byte { idle = 0, look_cat, look_first, look_second, execute, late_first, late_second, store };

  bool fits(const Word& now, const Word& tag) const {
    if (variant_.hit_ignores_tag) return true;
    if (variant_.tag_with_marks) return now.epoch == tag.epoch && now.marks == tag.marks;
    return now.epoch == tag.epoch && (variant_.hit_ignores_marks || now.marks == 0);
  }

  void reply(State& next, Reader& reader) {
    if ((reader.seen >> reader.answer & 1) == 0) stale_ = true;
    reader = Reader{};
    add(next);
  }

  void look(State& next, Reader& reader, std::size_t word, Byte then) {
    reader.tag[word] = next.words[word];
    if (next.words[word].marks > 0 && !variant_.permit_ignores_marks && !variant_.tag_with_marks) reader.permit = 0;
    // A hit is decided word by word, at the instants they are read: `answer` carries "all fitted so far".
    const bool matters = word != 1 || !variant_.hit_checks_first_word_only;
    if (matters && !fits(next.words[word], reader.held[word])) reader.answer = 0xFF;
    reader.step = then;
  }

  void read(const State& state, int r) {
    State next = state;
    Reader& reader = next.reader[static_cast<std::size_t>(r)];
    switch (reader.step) {
      case idle:
        if (next.reads == reads_together) return;
        ++next.reads;
        reader.step = look_cat;
        reader.permit = 1;
        reader.held = next.cached.tag;
        reader.answer = next.cached.present ? next.cached.state : 0xFF;
        return add(next);
      case look_cat: look(next, reader, 2, look_first); return add(next);
      case look_first: look(next, reader, 0, look_second); return add(next);
      case look_second: {
        look(next, reader, 1, execute);
        if (reader.answer != 0xFF) return reply(next, reader);
        reader.held = {};
        if (!reader.permit) reader.tag = {};  // nothing will be stored: forget what no longer matters
        return add(next);
      }
      case execute:
        reader.answer = database(next);
        reader.step = variant_.words_after_execute ? late_first : store;
        return add(next);
      case late_first:
        reader.permit = 1;
        look_late(next, reader, 2);
        look_late(next, reader, 0);
        reader.step = late_second;
        return add(next);
      case late_second:
        look_late(next, reader, 1);
        reader.step = store;
        return add(next);
      default:
        if (reader.permit) next.cached = {1, reader.answer, reader.tag};
        return reply(next, reader);
    }
  }

  void look_late(const State& next, Reader& reader, std::size_t word) {
    reader.tag[word] = next.words[word];
    if (next.words[word].marks > 0) reader.permit = 0;
  }

  // ---- FLUSH CACHE, once at any time

  void flush(const State& state) {
    if (state.flushes != 0) return;
    State next = state;
    next.flushes = 1;
    if (!variant_.flush_forgets_marks) {
      ++next.words[relations].epoch;
    } else {
      for (auto& word : next.words) word = {static_cast<Byte>(word.epoch + 16), 0};
    }
    add(next);
  }

  const Variant variant_;
  bool stale_ = false;
  std::vector<State> next_;
  std::unordered_set<State, Hash, Same> seen_;
};

}  // namespace

TEST_CASE("protocol: no interleaving is stale, and every missing or moved step is found") {
  using Order = Variant::Writer;
  const Variant variants[] = {
      {.name = "mark, commit, bump", .stale = false},
      {.name = "marks matter at look-up, not at the permit, when tags are epochs", .stale = false,
       .permit_ignores_marks = true},
      {.name = "no mark", .stale = true, .writer = Order::commit_bump},
      {.name = "mark after commit", .stale = true, .writer = Order::commit_mark_bump},
      {.name = "bump before commit", .stale = true, .writer = Order::mark_bump_commit},
      {.name = "no bump", .stale = true, .writer = Order::mark_commit_unmark},
      {.name = "bump, then commit, no mark", .stale = true, .writer = Order::bump_commit},
      {.name = "unmark and bump apart", .stale = true, .writer = Order::commit_unmark_bump},
      {.name = "words read after execution", .stale = true, .words_after_execute = true},
      {.name = "tag holds the marks", .stale = true, .tag_with_marks = true},
      {.name = "hit under a mark", .stale = true, .hit_ignores_marks = true},
      {.name = "no tag", .stale = true, .hit_ignores_tag = true},
      {.name = "one dependency forgotten", .stale = true, .hit_checks_first_word_only = true},
      {.name = "flush forgets marks", .stale = true, .flush_forgets_marks = true},
      {.name = "unknown outcome taken for a rollback", .stale = true, .rollback_counts_as_nothing = true},
  };
  for (const Variant& variant : variants) {
    Checker checker(variant);
    INFO(std::string(variant.name));
    CHECK(checker.finds_stale() == variant.stale);
    MESSAGE(std::string(variant.name), ": ", checker.states(), " states");
  }
}
