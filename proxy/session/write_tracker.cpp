#include "proxy/session/write_tracker.hpp"

#include <algorithm>
#include <array>

namespace pgsteer::proxy {
namespace {

using sql::StatementKind;

/// Statements after which (or in which) a transaction may end, whatever the block status was before.
bool may_commit(StatementKind kind) {
  switch (kind) {
    case StatementKind::commit:
    case StatementKind::multiple:
    case StatementKind::unparsed:
    case StatementKind::call:
    case StatementKind::do_block:
    case StatementKind::execute:
    case StatementKind::prepare_transaction:
    case StatementKind::commit_prepared:
      return true;
    default:
      return false;
  }
}

/// Beyond so many in one transaction a table counts as written anywhere.
constexpr std::size_t kMostKeys = 256;

template <class Item>
void add_once(std::vector<Item>& items, const Item& item) {
  if (std::find(items.begin(), items.end(), item) == items.end()) items.push_back(item);
}

/// While it lives, writes are worked out without a catalog; with its end the picture is read anew.
struct PendingDdl {
  PendingDdl(Hub& the_hub, std::string the_database) : hub(the_hub), database(std::move(the_database)) {
    hub.pending_ddl.fetch_add(1);
    hub.catalog_changed(database);
  }
  ~PendingDdl() {
    hub.catalog_changed(database);
    hub.pending_ddl.fetch_sub(1);
  }
  Hub& hub;
  std::string database;
};

}  // namespace

void WriteTracker::before_ddl(Unit& unit) {
  if (!ddl_) ddl_ = std::make_shared<PendingDdl>(hub_, database_);
  unit.ddl = ddl_;
}

void WriteTracker::before_forward(Unit& unit, const sql::Analysis& analysis, const cache::WriteSet& writes,
                                  bool certainly_in_block) {
  if (unit.catalog_epoch == 0) unit.catalog_epoch = hub_.catalog_epoch.load() + 1;
  if (ddl_) unit.ddl = ddl_;
  if (writes.writes) {
    unit.opaque |= writes.everything;
    transaction_writes_.writes = true;
    transaction_writes_.everything |= writes.everything;
    picture_ = !picture_ || *picture_ == now_picture_ ? now_picture_ : cache::no_picture;
    for (const auto oid : writes.relations) add_once(transaction_writes_.relations, oid);
    for (const auto& key : writes.keys) {
      if (transaction_writes_.keys.size() < kMostKeys) add_once(transaction_writes_.keys, key);
      else add_once(transaction_writes_.relations, key.table);
    }
  }
  if (may_commit(analysis.kind)) unit.may_commit_partly = true;
  if (analysis.kind == StatementKind::prepare_transaction) unit.prepared_gid = analysis.name;
  if (analysis.kind == StatementKind::commit_prepared || analysis.kind == StatementKind::rollback_prepared) {
    unit.finished_gid = analysis.name;
  }
  if (!transaction_writes_.writes) return;
  if (certainly_in_block && !may_commit(analysis.kind)) return;
  mark(unit);
}

void WriteTracker::before_opaque(Unit& unit) {
  unit.may_commit_partly = unit.opaque = true;
  before_ddl(unit);
  transaction_writes_.writes = transaction_writes_.everything = true;
  mark(unit);
}

void WriteTracker::mark(Unit& unit) {
  // A wider mark replaces a narrower one only after it stands: mark first, then finish the old as changed.
  auto wider = marked(transaction_writes_, {picture_.value_or(cache::no_picture), unit.ddl != nullptr, wake_});
  if (unit.mark) unit.mark.done(false);
  unit.mark = std::move(wider);
}

cache::Words::Mark WriteTracker::marked(const cache::WriteSet& writes, const cache::MarkOrigin& origin) {
  auto mark = hub_.words.mark(database_, writes, origin);
  if (mark.ticket()) last_ticket_ = mark.ticket();
  return mark;
}

cache::Words::Mark WriteTracker::mark_everything() {
  cache::WriteSet all;
  all.writes = all.everything = true;
  return marked(all, {cache::no_picture, true, wake_});
}

void WriteTracker::join(Unit& unit, Ref<Unit> swallowed) {
  unit.wrote |= swallowed->wrote;
  unit.opaque |= swallowed->opaque;
  unit.may_commit_partly |= swallowed->may_commit_partly;
  unit.joined.push_back(std::move(swallowed));
}

void WriteTracker::on_ready(Unit& unit, char status, bool quiet) {
  for (const auto& earlier : unit.joined) {
    earlier->failed |= unit.failed;
    earlier->may_commit_partly |= unit.may_commit_partly;
    on_ready(*earlier, status, false);
  }
  // A trigger or a cascade that came while the write waited for its lock: what it wrote was not marked.
  if (unit.mark && unit.catalog_epoch != 0 && unit.catalog_epoch != hub_.catalog_epoch.load() + 1) {
    hub_.words.bump(database_, std::array<sql::Oid, 1>{0});
  }
  // What runs code of its own may have changed the catalog unseen: the picture is compared at once.
  if (unit.opaque && !unit.ddl) hub_.catalog_wanted(database_);
  if (unit.mark) {
    if (!unit.prepared_gid.empty() && !unit.failed) {
      hub_.keep_prepared_mark(unit.prepared_gid, std::move(unit.mark));
    } else {
      unit.mark.done(unit.failed && !unit.may_commit_partly && status == 'I');
    }
  }
  if (!unit.finished_gid.empty() && !unit.failed) {
    if (auto kept = hub_.take_prepared_mark(unit.finished_gid)) kept->done(false);
  }
  unit.ddl = nullptr;
  if (status == 'I' && quiet) {
    transaction_writes_ = {};
    picture_.reset();
    ddl_ = nullptr;
  }
}

}  // namespace pgsteer::proxy
