// Which relations a statement may change. Every doubt ends in `everything`: a needless mark costs hits, a missing one
// serves stale rows.
//
// Not visible in the syntax and taken on trust: functions behind operators, casts, defaults, checks, index expressions
// and row security policies write no tables, and a function declared stable or immutable does not write.
#include <algorithm>
#include <unordered_set>
#include <utility>

#include "cache/builtins.hpp"
#include "cache/cache.hpp"
#include "cache/resolve.hpp"

namespace pgsteer::cache {
namespace {

using sql::StatementKind;

WriteSet nothing() { return {}; }
WriteSet everything() { return {true, true, {}}; }

/// Which foreign-key actions a statement can set off.
struct Cascades {
  bool on_delete = false, on_update = false;
  bool whatever = false;  ///< TRUNCATE CASCADE follows every foreign key
  bool follow(const sql::ForeignKey& key) const {
    const auto changes_rows = [](char action) { return action == 'c' || action == 'n' || action == 'd'; };
    return whatever || (on_delete && changes_rows(key.on_delete)) || (on_update && changes_rows(key.on_update));
  }
};

/// The closure of the targets over partitions, inheritance and foreign keys; opaque() when something in it may write
/// where the catalog picture cannot tell.
class Closure {
 public:
  Closure(const sql::Catalog& catalog, Cascades cascades) : catalog_(&catalog), cascades_(cascades) {}

  void add(const sql::Relation& target) { add(target, true); }
  bool opaque() const { return opaque_; }
  bool cascaded() const { return cascaded_; }
  std::vector<sql::Oid> take() {
    std::vector<sql::Oid> oids(seen_.begin(), seen_.end());
    std::sort(oids.begin(), oids.end());
    return oids;
  }

 private:
  void add(const sql::Relation& start, bool with_children) {
    std::vector<std::pair<const sql::Relation*, bool>> open{{&start, with_children}};
    while (!open.empty() && !opaque_) {
      const auto [relation, descend] = open.back();
      open.pop_back();
      const bool fresh = seen_.insert(relation->oid).second;
      if (!fresh && !(descend && descended_.insert(relation->oid).second)) continue;
      if (descend) descended_.insert(relation->oid);
      if ((relation->kind != 'r' && relation->kind != 'p') || relation->has_user_triggers || relation->has_rules) {
        opaque_ = true;  // a view's rule, a foreign server, a trigger: they write what they like
        return;
      }
      neighbours(*relation, descend, open);
    }
  }

  void neighbours(const sql::Relation& relation, bool descend,
                  std::vector<std::pair<const sql::Relation*, bool>>& open) {
    // Readers of the parent see the child's rows, and writes to the parent reach the child.
    if (relation.parent != 0) push(relation.parent, false, open);
    if (descend && relation.has_children)
      for (const auto& [oid, other] : catalog_->relations())
        if (other.parent == relation.oid) open.emplace_back(&other, true);
    if (old_inheritance(relation)) add_old_families(open);
    for (const sql::Oid oid : relation.referencing) {
      const sql::Relation* other = catalog_->by_oid(oid);
      if (other == nullptr) {
        opaque_ = true;
        return;
      }
      const bool follows = std::any_of(other->foreign_keys.begin(), other->foreign_keys.end(), [&](const auto& key) {
        return key.referenced == relation.oid && cascades_.follow(key);
      });
      if (!follows) continue;
      cascaded_ = true;
      open.emplace_back(other, true);
    }
  }

  // A child of INHERITS may have several parents and the picture knows the first only, so all such families count
  // as one. Partitions have exactly one parent.
  bool old_inheritance(const sql::Relation& relation) const {
    if (relation.has_children && relation.kind == 'r') return true;
    const sql::Relation* parent = relation.parent == 0 ? nullptr : catalog_->by_oid(relation.parent);
    return parent != nullptr && parent->kind != 'p';
  }
  void add_old_families(std::vector<std::pair<const sql::Relation*, bool>>& open) {
    if (std::exchange(old_families_added_, true)) return;
    for (const auto& [oid, other] : catalog_->relations())
      if (old_inheritance(other)) open.emplace_back(&other, true);
  }

  void push(sql::Oid oid, bool descend, std::vector<std::pair<const sql::Relation*, bool>>& open) {
    if (const sql::Relation* relation = catalog_->by_oid(oid))
      open.emplace_back(relation, descend);
    else
      opaque_ = true;
  }

  const sql::Catalog* catalog_;
  Cascades cascades_;
  std::unordered_set<sql::Oid> seen_, descended_;
  bool opaque_ = false, cascaded_ = false, old_families_added_ = false;
};

/// What a name may mean in this session; nothing when it may be a relation that the picture does not hold. Without the
/// session's search_path it is one of those that bear the name, as long as no temporary object can hide them.
std::vector<const sql::Relation*> meanings(const sql::TableUse& use, const sql::Catalog& catalog,
                                           const sql::SessionFacts& session) {
  if (session.catalog_uncertain) return {};
  if (use.schema.empty()) {
    if (session.has_temporary_objects || session.objects_uncertain) return {};
    if (session.settings_uncertain) return catalog.named(use.name);
  }
  const sql::Relation* relation = resolve(use, catalog, session);
  return relation == nullptr ? std::vector<const sql::Relation*>() : std::vector{relation};
}

/// Functions and views that the statement calls or reads may themselves write.
bool may_write_by_calling(const sql::Analysis& analysis, const sql::Catalog* catalog, const sql::SessionFacts& session,
                          const Judgement* judgement) {
  for (const auto& use : analysis.functions) {
    const sql::FunctionGroup* group = catalog == nullptr ? nullptr : catalog->function(use.schema, use.name);
    if (group == nullptr || runs_sql_text(use.name)) return true;
    if (group->worst_volatility != 'i' && group->worst_volatility != 's' &&
        (group->any_user_defined || !harmless_volatile_function(use.name)))
      return true;
  }
  const bool judged = judgement != nullptr && judgement->state == Judgement::State::cacheable && catalog != nullptr &&
                      judgement->catalog_version == catalog->version;
  if (judged) return false;
  return std::any_of(analysis.tables.begin(), analysis.tables.end(), [&](const sql::TableUse& use) {
    if (use.written || is_system_relation(use)) return false;
    if (catalog == nullptr) return true;
    const auto relations = meanings(use, *catalog, session);
    return relations.empty() || std::any_of(relations.begin(), relations.end(), [](auto* r) { return r->kind == 'v'; });
  });
}

constexpr Cascades any_change{.on_delete = true, .on_update = true};

Cascades cascades_of(StatementKind kind) {
  switch (kind) {
    case StatementKind::insert: return {.on_update = true};  // ON CONFLICT DO UPDATE
    case StatementKind::copy_from: return {};
    case StatementKind::delete_: return {.on_delete = true};
    case StatementKind::truncate: return {.whatever = true};
    default: return any_change;  // an UPDATE across partitions deletes as well
  }
}

WriteSet targets_of(const sql::Analysis& analysis, const sql::Catalog* catalog, const sql::SessionFacts& session) {
  if (catalog == nullptr) return everything();
  std::vector<const sql::Relation*> targets;
  for (const auto& use : analysis.tables) {
    if (!use.written) continue;
    const auto relations = meanings(use, *catalog, session);
    if (relations.empty()) return everything();
    for (const sql::Relation* relation : relations) {
      if (relation->oid < first_user_oid) return everything();
      targets.push_back(relation);
    }
  }
  if (targets.empty()) return everything();
  const auto close = [&](Cascades cascades) {
    Closure closure(*catalog, cascades);
    for (const sql::Relation* target : targets) closure.add(*target);
    return closure;
  };
  Closure closure = close(analysis.flags.data_modifying_cte ? any_change : cascades_of(analysis.kind));
  // What a cascade does to the next table need not be what the statement does: ON DELETE SET NULL updates.
  if (closure.cascaded() && analysis.kind != StatementKind::truncate) closure = close(any_change);
  if (closure.opaque()) return everything();
  return {true, false, closure.take()};
}

/// A statement whose effects are those of the tables it writes and the functions it calls.
WriteSet by_syntax(const sql::Analysis& analysis, const sql::Catalog* catalog, const sql::SessionFacts& session,
                   const Judgement* judgement, bool must_write) {
  if (may_write_by_calling(analysis, catalog, session, judgement)) return everything();
  const bool writes = must_write || analysis.flags.data_modifying_cte ||
                      std::any_of(analysis.tables.begin(), analysis.tables.end(), [](auto& use) { return use.written; });
  return writes ? targets_of(analysis, catalog, session) : nothing();
}

/// CREATE TEMP ... AS SELECT: the new object is the session's own, what the query calls is not.
WriteSet temporary_object(const sql::Analysis& analysis, const sql::Catalog* catalog, const sql::SessionFacts& session) {
  return may_write_by_calling(analysis, catalog, session, nullptr) ? everything() : nothing();
}

}  // namespace

WriteSet write_set(const sql::Analysis& analysis, const sql::Catalog* catalog, const sql::SessionFacts& session,
                   const Judgement* judgement) {
  const sql::Flags& flags = analysis.flags;
  switch (analysis.kind) {
    case StatementKind::select:
      if (flags.into && !flags.creates_temporary) return everything();
      if (flags.into && !flags.data_modifying_cte) return temporary_object(analysis, catalog, session);
      return by_syntax(analysis, catalog, session, judgement, false);
    case StatementKind::declare_cursor:
    case StatementKind::copy_to:  // COPY (INSERT ... RETURNING) TO
      return by_syntax(analysis, catalog, session, nullptr, false);

    case StatementKind::insert:
    case StatementKind::update:
    case StatementKind::delete_:
    case StatementKind::merge:
    case StatementKind::copy_from:
    case StatementKind::truncate:
      return by_syntax(analysis, catalog, session, nullptr, true);

    case StatementKind::explain: {
      if (!flags.explain_analyze) return nothing();
      const auto inner = sql::analyse(analysis.explained);
      if (inner->kind == StatementKind::explain || inner->kind == StatementKind::empty) return everything();
      return write_set(*inner, catalog, session);
    }

    case StatementKind::ddl:
      return flags.creates_temporary ? temporary_object(analysis, catalog, session) : everything();

    case StatementKind::empty:
    case StatementKind::begin:
    case StatementKind::commit:  // makes visible what its transaction collected; the caller holds that
    case StatementKind::rollback:
    case StatementKind::savepoint:
    case StatementKind::prepare_transaction:
    case StatementKind::rollback_prepared:
    case StatementKind::set:
    case StatementKind::show:
    case StatementKind::prepare:
    case StatementKind::deallocate:
    case StatementKind::discard:
    case StatementKind::fetch:  // what it runs was seen at DECLARE
    case StatementKind::close_cursor:
    case StatementKind::listen:
    case StatementKind::lock:
    case StatementKind::vacuum:
      return nothing();

    case StatementKind::unparsed:
    case StatementKind::multiple:
    case StatementKind::commit_prepared:  // of whatever another session prepared
    case StatementKind::execute:
    case StatementKind::call:
    case StatementKind::do_block:
    case StatementKind::refresh_view:
      return everything();
  }
  return everything();
}

}  // namespace pgsteer::cache
