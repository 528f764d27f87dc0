// Epoch words of deployment A: everything in process memory, nothing to lose but the process itself.
//
//   Impl ── 64 chains of Table (one per database, never freed before Words)
//   Table ─ 4096 chains of Node {oid, word}; nodes are only ever added
//
// Readers follow atomic pointers and load one atomic per relation: no lock, no reference count, no allocation once a
// relation is known. A word is never reset: forgetting one would forget the writes in flight on it (CACHE.md 2.4, V6g).
//
// Reading several words one after the other is enough, no common instant is needed: if word i, read at t_i, equals the
// tag, its relation did not change between the fill and t_i (epochs never return), so at the first t_i none had.
#include <algorithm>
#include <random>
#include <utility>

#include "cache/cache.hpp"

namespace pgsteer::cache {
namespace {

std::uint64_t mix(std::uint64_t x) {  // splitmix64
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

std::uint64_t random_word() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

struct Node {
  sql::Oid oid = 0;
  std::atomic<std::uint64_t> word{0};
  Node* next = nullptr;
};

/// Grows only; a node, once linked, stays valid until the table dies.
class Chain {
 public:
  Chain() = default;
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;
  ~Chain() {
    for (Node* node = head_.load(); node != nullptr;) delete std::exchange(node, node->next);
  }

  Node* find(sql::Oid oid) const { return find(head_.load(std::memory_order_acquire), oid); }

  Node* find_or_add(sql::Oid oid, std::uint64_t base) {
    Node* head = head_.load(std::memory_order_acquire);
    if (Node* known = find(head, oid)) return known;
    auto fresh = std::make_unique<Node>();
    fresh->oid = oid;
    fresh->word.store(base);
    for (;;) {
      fresh->next = head;
      if (head_.compare_exchange_weak(head, fresh.get())) return fresh.release();
      if (Node* raced = find(head, oid)) return raced;  // two words for one relation would lose marks
    }
  }

 private:
  static Node* find(Node* node, sql::Oid oid) {
    while (node != nullptr && node->oid != oid) node = node->next;
    return node;
  }
  std::atomic<Node*> head_{nullptr};
};

struct Table {
  explicit Table(std::string database_name) : name(std::move(database_name)) {}
  static constexpr std::size_t chains_count = 4096;

  std::atomic<std::uint64_t>& word(sql::Oid oid, std::atomic<std::uint64_t>& entropy) {
    Chain& chain = chains[oid & (chains_count - 1)];
    if (Node* node = chain.find(oid)) return node->word;
    return chain.find_or_add(oid, mix(entropy.fetch_add(1)) & ~in_flight_mask)->word;
  }
  const std::atomic<std::uint64_t>* known(sql::Oid oid) const {
    const Node* node = chains[oid & (chains_count - 1)].find(oid);
    return node == nullptr ? nullptr : &node->word;
  }

  const std::string name;
  std::array<Chain, chains_count> chains;
  Table* next = nullptr;
};

}  // namespace

struct Words::Impl {
  static constexpr std::size_t chains_count = 64;
  std::array<std::atomic<Table*>, chains_count> tables{};
  std::atomic<std::uint64_t> entropy{random_word()};
  std::atomic<std::uint64_t> generation{random_word()};

  ~Impl() {
    for (auto& chain : tables)
      for (Table* table = chain.load(); table != nullptr;) delete std::exchange(table, table->next);
  }
  static std::size_t slot(std::string_view name) { return std::hash<std::string_view>{}(name) % chains_count; }
  static Table* find(Table* table, std::string_view name) {
    while (table != nullptr && table->name != name) table = table->next;
    return table;
  }
  Table* known(const std::string& name) const {
    return find(tables[slot(name)].load(std::memory_order_acquire), name);
  }
  Table& table(const std::string& name) {
    auto& chain = tables[slot(name)];
    Table* head = chain.load(std::memory_order_acquire);
    if (Table* found = find(head, name)) return *found;
    auto fresh = std::make_unique<Table>(name);
    for (;;) {
      fresh->next = head;
      if (chain.compare_exchange_weak(head, fresh.get())) return *fresh.release();
      if (Table* raced = find(head, name)) return *raced;
    }
  }
  bool unchanged(const std::string& database, const Tag& tag, std::size_t count) const {
    // A tag without word(cat) came from nowhere; a missing word means that this process never tagged anything with it.
    const Table* known_table = known(database);
    if (known_table == nullptr || tag.empty() || tag.front().first != word_cat) return false;
    return std::all_of(tag.begin(), tag.begin() + static_cast<std::ptrdiff_t>(count), [&](const auto& dependency) {
      const auto* word = known_table->known(dependency.first);
      return word != nullptr && (dependency.second & in_flight_mask) == 0 && word->load() == dependency.second;
    });
  }
  void bump(Table& where, sql::Oid oid) { where.word(oid, entropy).fetch_add(epoch_one); }
};

Words::Words() : impl_(std::make_unique<Impl>()) {}
Words::~Words() = default;

std::optional<Words::Tag> Words::read(const std::string& database, std::span<const sql::Oid> words) const {
  Table& table = impl_->table(database);
  Tag tag;
  tag.reserve(words.size() + 1);
  const auto add = [&](sql::Oid oid) {
    const std::uint64_t word = table.word(oid, impl_->entropy).load();
    tag.emplace_back(oid, word);
    return (word & in_flight_mask) == 0;
  };
  if (!add(0)) return std::nullopt;
  for (const sql::Oid oid : words)
    if (oid != 0 && !add(oid)) return std::nullopt;
  return tag;
}

bool Words::unchanged(const std::string& database, const Tag& tag) const { return impl_->unchanged(database, tag, tag.size()); }

bool Words::catalog_unchanged(const std::string& database, const Tag& tag) const { return impl_->unchanged(database, tag, 1); }

Words::Mark::Mark(Mark&& other) noexcept
    : words_(std::exchange(other.words_, nullptr)),
      database_(std::move(other.database_)),
      words_written_(std::move(other.words_written_)),
      ticket_(std::move(other.ticket_)) {}

Words::Mark& Words::Mark::operator=(Mark&& other) noexcept {
  if (this == &other) return *this;
  done(false);
  words_ = std::exchange(other.words_, nullptr);
  database_ = std::move(other.database_);
  words_written_ = std::move(other.words_written_);
  ticket_ = std::move(other.ticket_);
  return *this;
}

Words::Mark::~Mark() { done(false); }

void Words::Mark::done(bool certainly_rolled_back) {
  Words* words = std::exchange(words_, nullptr);
  if (words == nullptr) return;
  // One addition ends the mark and moves the epoch, so that no reader can see the one without the other.
  const std::uint64_t change = certainly_rolled_back ? 0 - 1ull : epoch_one - 1;
  Table& table = words->impl_->table(database_);
  for (const sql::Oid oid : words_written_) table.word(oid, words->impl_->entropy).fetch_add(change);
  if (ticket_) words->group_->done(std::exchange(ticket_, nullptr), certainly_rolled_back);
}

Words::Mark Words::mark(const std::string& database, const WriteSet& writes, const MarkOrigin& origin) {
  Mark mark;
  if (!writes.writes) return mark;
  mark.words_written_ = words_written(writes);
  const auto& oids = mark.words_written_;
  mark.database_ = database;
  Table& table = impl_->table(database);
  for (const sql::Oid oid : oids) table.word(oid, impl_->entropy).fetch_add(1);
  if (group_ != nullptr) mark.ticket_ = group_->mark(database, oids, origin);
  mark.words_ = this;
  return mark;
}

void Words::flush(const std::string& database) {
  impl_->generation.store(random_word());
  if (group_ != nullptr) group_->bump(database, std::array{database.empty() ? word_everywhere : word_cat});
  // word(cat) is in every tag: moving it voids them all and leaves the writes in flight where they are.
  if (!database.empty()) {
    impl_->bump(impl_->table(database), 0);
    return;
  }
  for (auto& chain : impl_->tables)
    for (Table* table = chain.load(std::memory_order_acquire); table != nullptr; table = table->next)
      impl_->bump(*table, 0);
}

void Words::bump(const std::string& database, std::span<const sql::Oid> relations) {
  Table& table = impl_->table(database);
  const auto oids = words_written({.writes = true, .everything = false, .relations = {relations.begin(), relations.end()}, .keys = {}});
  for (const sql::Oid oid : oids) impl_->bump(table, oid);
  if (group_ != nullptr) group_->bump(database, oids);
}

std::uint64_t Words::generation() const { return impl_->generation.load(); }

}  // namespace pgsteer::cache
