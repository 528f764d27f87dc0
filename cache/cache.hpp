#pragma once
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cache/group.hpp"
#include "rewriter/sql/analysis.hpp"
#include "rewriter/sql/catalog.hpp"
#include "rewriter/sql/query.hpp"

namespace pgsteer::cache {

/// Why a statement is not answered from or stored in the cache; shown everywhere by name.
enum class Reason : std::uint8_t {
  none,
  rule_off,             ///< no policy turns the cache on
  not_select,
  syntax_unknown,       ///< not analysed
  locking_clause,
  into,
  data_modifying_cte,
  tablesample,
  sql_value_function,
  time_literal,
  function_in_from,
  volatile_function,
  stable_function,
  user_function,
  unknown_function,
  unknown_relation,
  temporary_table,
  foreign_table,
  catalog_relation,
  row_security,
  sequence,
  isolation,
  in_transaction_after_write,
  failed_transaction,
  pipeline,
  settings_unknown,
  session_temp_objects,
  row_limit,            ///< Execute with a row limit
  too_large,
  not_judged_yet,       ///< PostgreSQL's own judgement is still pending
  cheap,                ///< costs less than a look-up is worth
  first_sight,          ///< doorkeeper
  epoch_moved,          ///< a write was in flight or landed
  notice_or_error,
  store_unavailable,
  unlogged_table,
  directive_off,
};
std::string_view to_string(Reason reason);

enum class Consistency : std::uint8_t { off, ttl, bounded, strict, strict_wal };
/// A hit equals what the server would say now: with respect to writes through pgsteer, or to everybody's.
inline bool exact(Consistency mode) { return mode == Consistency::strict || mode == Consistency::strict_wal; }
std::string_view to_string(Consistency mode);
std::optional<Consistency> parse_consistency(std::string_view text);

/// What PostgreSQL itself said once about a statement's shape (gate B, CACHE.md 2.2), found on a side connection.
struct Judgement {
  enum class State : std::uint8_t { pending, cacheable, refused } state = State::pending;
  Reason reason = Reason::not_judged_yet;
  std::string detail;                 ///< e.g. the function's name
  std::vector<sql::Oid> relations;    ///< every relation read, views expanded, partitions included
  std::uint64_t catalog_version = 0;
};

/// Gate A (syntax) and the catalog's part of gate B. reason == none: go on to the judgement.
Reason judge_syntax(const sql::Analysis& analysis);
Reason judge_catalog(const sql::Analysis& analysis, const sql::Catalog& catalog, const sql::SessionFacts& session,
                     std::string* detail = nullptr);

/// A word for the rows of one table whose first key column has one of some values (CACHE.md 2.6, finer tags). Words of several tables may
/// be the same: that costs hits, never an answer.
struct KeyWord {
  sql::Oid table = 0, word = 0;
  bool operator==(const KeyWord&) const = default;
};

/// Which relations a statement may write, closed over partitions, inheritance and cascading foreign keys.
struct WriteSet {
  bool writes = false;         ///< false: reads only, nothing to mark
  bool everything = false;     ///< opaque (trigger, rule, volatile function, DO, CALL, DDL, unparsed): mark the catalog word
  std::vector<sql::Oid> relations;
  std::vector<KeyWord> keys = {};  ///< of tables of which only these rows are written
};
/// `catalog` may be null (unknown database picture): every possible writer is then `everything`. The syntax does not
/// show what a view calls, so a statement that reads a view may write anything, unless `judgement` (PostgreSQL's own,
/// of this statement and this catalog version) says cacheable, hence free of volatile functions.
WriteSet write_set(const sql::Analysis& analysis, const sql::Catalog* catalog, const sql::SessionFacts& session,
                   const Judgement* judgement = nullptr);

/// A call's text and values, as far as they are known.
struct Call {
  std::string_view text;
  std::span<const std::uint32_t> parameter_types;
  std::string_view bind_parameters;  ///< raw bytes of Bind's parameter section
  bool extended = false;
};
/// The rows that a SELECT of `table` alone depends on, or that an UPDATE or DELETE changes, when they all have the same integer in the first
/// column of its primary key. Nothing else is a key: of other types equal values have several spellings.
std::optional<KeyWord> key_of(const sql::Analysis& analysis, const sql::Catalog& catalog, sql::Oid table, const Call& call);
/// What a reader depends on beside word(cat), when `relations` are what it reads: {of the key's rows, of writes of unknown rows} or the
/// relations themselves.
std::vector<sql::Oid> words_read(std::span<const sql::Oid> relations, const std::optional<KeyWord>& key);
/// Of an UPDATE or DELETE of rows of one key: those instead of the table.
void narrow(WriteSet& writes, const sql::Analysis& analysis, const sql::Catalog& catalog, const Call& call);
/// The words that a write moves.
std::vector<sql::Oid> words_written(const WriteSet& writes);
/// The word that moves with writes of a table's rows whose keys nobody knows.
sql::Oid unknown_rows(sql::Oid table);

/// Epoch words in process memory, one space per database: word = (epoch << 20) | in-flight. Thread-safe, lock-free to
/// read. The protocol mark -> commit -> bump is CACHE.md 2.4; relation 0 is word(cat), a dependency of every entry.
class Words {
 public:
  Words();
  ~Words();
  using Tag = std::vector<std::pair<sql::Oid, std::uint64_t>>;
  /// These words plus word(cat); nullopt when any has a write in flight.
  std::optional<Tag> read(const std::string& database, std::span<const sql::Oid> words) const;
  bool unchanged(const std::string& database, const Tag& tag) const;
  /// Word(cat) alone: the relations may have been written to.
  bool catalog_unchanged(const std::string& database, const Tag& tag) const;

  /// A marked write set; done() exactly once. Destroying an unfinished one bumps (unknown outcome = changed).
  class Mark {
   public:
    Mark() = default;
    Mark(Mark&& other) noexcept;
    Mark& operator=(Mark&& other) noexcept;
    ~Mark();
    explicit operator bool() const { return words_ != nullptr; }
    void done(bool certainly_rolled_back);
    /// Of the shared mark; null without a group.
    const std::shared_ptr<Ticket>& ticket() const { return ticket_; }

   private:
    friend class Words;
    Words* words_ = nullptr;
    std::string database_;
    std::vector<sql::Oid> words_written_;
    std::shared_ptr<Ticket> ticket_;
  };
  /// In a group what is written must wait for the mark's ticket.
  Mark mark(const std::string& database, const WriteSet& writes, const MarkOrigin& origin = {});
  /// Forget everything for a database or (empty) all: new generation, every tag is void.
  void flush(const std::string& database = {});
  /// Bumps relations: FLUSH CACHE <table>, DDL seen from elsewhere.
  void bump(const std::string& database, std::span<const sql::Oid> relations);
  std::uint64_t generation() const;  ///< random at start, so that tags of an earlier process never match
  /// Marks, bumps and flushes go to the shared words too. Before anything else is called; `group` outlives the marks.
  void join(Group* group) { group_ = group; }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  Group* group_ = nullptr;
};

/// Full key material of one answer: length-prefixed fields, see CACHE.md 2.3.
struct Key {
  std::string material;   ///< compared in full on every hit
  std::array<std::uint64_t, 2> hash{};
};
/// Settings of the session that are in the key.
std::span<const std::string_view> key_settings();
/// All of a session that an answer may depend on: database, user, search_path and those settings, as bytes for the key.
std::string session_key(const sql::SessionFacts& session);
struct KeyInput {
  std::string_view session;          ///< session_key(), worked out again whenever the session's facts change
  std::uint64_t generation = 0;
  sql::Oid database_oid = 0;
  std::string_view text;
  std::span<const std::uint32_t> parameter_types;
  std::string_view bind_parameters;  ///< raw bytes of Bind's parameter section (formats, count, values)
  std::string_view result_formats;   ///< raw bytes of Bind's result format section; "" in the simple protocol (all text)
};
Key make_key(const KeyInput& input);
/// Whether the bytes hold the word now, today, tomorrow or yesterday. A Bind parameter that does may be read as a time
/// by the server ('now'::timestamptz through $1), so its answer must not be cached: Reason::time_literal.
bool mentions_current_time(std::string_view bytes);

/// One stored answer as wire messages: RowDescription ("" when the client did not ask), DataRow..., CommandComplete.
struct Entry {
  std::string key_material;
  Words::Tag tag;
  std::string row_description;  ///< whole 'T' message, or "" for a statement without Describe
  std::string rows;             ///< whole 'D' messages, concatenated
  std::string complete;         ///< whole 'C' message
  std::int64_t row_count = 0;
  std::int64_t asked_unix_us = 0, expires_unix_us = 0;  ///< when the server was asked; expires 0 = never
  double cost_ms = 0;           ///< what the server took
  std::string fingerprint;
  std::size_t bytes() const;
};
/// Stored form with version and checksum; nullopt on anything foreign, truncated or altered.
std::string serialize(const Entry& entry);
std::optional<Entry> deserialize(std::string_view bytes);

struct Statistics {
  std::uint64_t hits = 0, misses = 0, stores = 0, evictions = 0, rejected = 0, entries = 0, bytes = 0, max_bytes = 0;
};
/// What the first tier has of one statement's answers, and what became of the others.
struct Held {
  std::uint64_t entries = 0, bytes = 0;
  std::uint64_t evicted = 0;   ///< for dearer ones
  std::uint64_t replaced = 0;  ///< by newer answers of the same key
};

/// First tier: in process, bounded in bytes, sharded, thread-safe. Admission by density (cost x frequency / size)
/// against the victim, with a doorkeeper (count-min sketch), CACHE.md 4.
class MemoryStore {
 public:
  explicit MemoryStore(std::size_t max_bytes);
  ~MemoryStore();
  std::shared_ptr<const Entry> find(const Key& key);
  /// Records a sight of the key; returns how often it was seen lately (saturating).
  unsigned sight(const Key& key);
  unsigned sights(const Key& key) const;  ///< records none
  bool put(const Key& key, std::shared_ptr<const Entry> entry);
  void erase(const Key& key);
  void clear();
  Statistics statistics() const;
  std::map<std::string, Held> held() const;  ///< by fingerprint

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgsteer::cache
