#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/cache.hpp"
#include "proxy/hub.hpp"
#include "proxy/session/counted.hpp"
#include "rewriter/sql/analysis.hpp"

namespace pgsteer::proxy {

inline std::uint64_t next_serial() {
  static thread_local std::uint64_t last = 0;
  return ++last;
}

/// What was sent between two ReadyForQuery: the mark it carries and what is known of its fate.
struct Unit : Counted {
  std::uint64_t serial = next_serial();  ///< of its thread; never 0
  cache::Words::Mark mark;
  bool failed = false;
  bool may_commit_partly = false;  ///< several statements, COMMIT inside, opaque text: an error does not prove rollback
  bool wrote = false;              ///< may have: what follows is not read from a standby that has not got it yet
  bool opaque = false;             ///< wrote nobody knows where: settings and temporary objects may have changed too
  std::uint64_t catalog_epoch = 0; ///< when its writes were worked out; moved since: they may have been others
  std::shared_ptr<void> ddl;       ///< keeps the catalog unknown to everybody until the outcome is certain
  std::string prepared_gid;        ///< PREPARE TRANSACTION of this name is in it
  std::string finished_gid;        ///< COMMIT/ROLLBACK PREPARED
  std::vector<Ref<Unit>> joined;  ///< of Syncs that a COPY swallowed: their transaction ends with this one's
};

/// The writer's half of the cache protocol (CACHE.md 2.4): marks every relation of a write before anything that can
/// commit it is forwarded, and bumps it when the outcome is certain. One per session.
class WriteTracker {
 public:
  WriteTracker(Hub& hub, std::string database) : hub_(hub), database_(std::move(database)) {}

  /// Call before forwarding one statement. `certainly_in_block`: the last ReadyForQuery said so and nothing is in
  /// flight that could end the block.
  void before_forward(Unit& unit, const sql::Analysis& analysis, const cache::WriteSet& writes,
                      bool certainly_in_block);
  /// The same for something that could not be looked at.
  void before_opaque(Unit& unit);
  /// Call before forwarding what may change the catalog: until its transaction has ended nobody relies on the picture.
  void before_ddl(Unit& unit);
  /// The server answered PREPARE TRANSACTION or a COMMIT with ROLLBACK.
  static void rolled_back(Unit& unit) { unit.prepared_gid.clear(); }
  /// The Sync of `swallowed` is not answered: what it wrote is committed by that of `unit`.
  static void join(Unit& unit, Ref<Unit> swallowed);
  /// Call on ReadyForQuery. `quiet`: no other request is in flight.
  void on_ready(Unit& unit, char status, bool quiet);
  bool wrote_in_transaction() const { return transaction_writes_.writes; }

  /// In a group: called, from some thread, when a mark is granted.
  void on_grant(std::function<void()> wake) { wake_ = std::move(wake); }
  /// Of the catalog that the next writes are worked out by.
  void set_picture(std::uint64_t picture) { now_picture_ = picture; }
  /// What was marked may be sent: in a group the words have it.
  bool may_send() const { return !last_ticket_ || last_ticket_->granted(); }
  /// For work that nobody has looked at.
  cache::Words::Mark mark_everything();

 private:
  void mark(Unit& unit);
  cache::Words::Mark marked(const cache::WriteSet& writes, const cache::MarkOrigin& origin);
  Hub& hub_;
  std::string database_;
  cache::WriteSet transaction_writes_;
  std::shared_ptr<void> ddl_;  ///< of the open transaction
  std::function<void()> wake_;
  std::uint64_t now_picture_ = cache::no_picture;
  std::optional<std::uint64_t> picture_;  ///< of all of the transaction's writes; no_picture when they differ
  std::shared_ptr<cache::Ticket> last_ticket_;  ///< granted in order
};

}  // namespace pgsteer::proxy
