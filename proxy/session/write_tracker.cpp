#include "proxy/session/write_tracker.hpp"

#include <algorithm>

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

}  // namespace

void WriteTracker::before_forward(Unit& unit, const sql::Analysis& analysis, const sql::Catalog* catalog,
                                  const sql::SessionFacts& session, const cache::Judgement* judgement,
                                  bool certainly_in_block) {
  const cache::WriteSet writes = cache::write_set(analysis, catalog, session, judgement);
  if (writes.writes) {
    transaction_writes_.writes = true;
    transaction_writes_.everything |= writes.everything;
    for (const auto oid : writes.relations) {
      if (std::find(transaction_writes_.relations.begin(), transaction_writes_.relations.end(), oid) ==
          transaction_writes_.relations.end()) {
        transaction_writes_.relations.push_back(oid);
      }
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
  unit.may_commit_partly = true;
  transaction_writes_.writes = transaction_writes_.everything = true;
  mark(unit);
}

void WriteTracker::mark(Unit& unit) {
  // A wider mark replaces a narrower one only after it stands: mark first, then finish the old as changed.
  auto wider = hub_.words.mark(database_, transaction_writes_);
  if (unit.mark) unit.mark.done(false);
  unit.mark = std::move(wider);
}

void WriteTracker::on_ready(Unit& unit, char status, bool quiet) {
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
  if (status == 'I' && quiet) transaction_writes_ = {};
}

}  // namespace pgsteer::proxy
