#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "rewriter/sql/catalog.hpp"

namespace pgsteer::cache {

/// Pseudo relations beside word(cat), which is 0. No relation of a user has these OIDs.
inline constexpr sql::Oid word_cat = 0;
inline constexpr sql::Oid word_picture = 1;          ///< moves when a catalog picture that write sets are worked out by is void
inline constexpr sql::Oid word_everywhere = 0xFFFFFFFF;  ///< of all databases: a flush
/// A word, CACHE.md 2.4: writes under way in the low bits, and above them the epoch, which only grows.
inline constexpr std::uint64_t epoch_one = 1u << 20;
inline constexpr std::uint64_t in_flight_mask = epoch_one - 1;
/// "No picture": whatever is worked out by it may be wrong.
inline constexpr std::uint64_t no_picture = ~std::uint64_t{0};

/// A write's mark on its way to the words that a group of processes share. Nothing that can commit the write may be
/// sent before `granted()`.
class Ticket {
 public:
  virtual ~Ticket() = default;
  bool granted() const { return granted_.load(std::memory_order_acquire); }

 protected:
  std::atomic<bool> granted_{false};
};

/// How a mark came about, for processes that share words.
struct MarkOrigin {
  std::uint64_t picture = no_picture;  ///< of the catalog that the write set was worked out by
  bool changes_picture = false;        ///< DDL
  std::function<void()> wake;          ///< called from some thread when granted, unless it was at once
};

/// The words of several processes, CACHE.md 2.4 and 2.8 to 2.11. Thread-safe; nothing waits.
class Group {
 public:
  virtual ~Group() = default;
  virtual std::shared_ptr<Ticket> mark(const std::string& database, std::vector<sql::Oid> relations, const MarkOrigin& origin) = 0;
  /// Exactly once for each mark. Nobody need wait for it: until it has reached the words the mark stands.
  virtual void done(const std::shared_ptr<Ticket>& ticket, bool certainly_rolled_back) = 0;
  /// `database` "": of all.
  virtual void bump(const std::string& database, std::span<const sql::Oid> relations) = 0;
};

}  // namespace pgsteer::cache
