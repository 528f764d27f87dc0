// From a text to a plan, and what a statement is registered as before it is forwarded.
#include <algorithm>
#include <cctype>
#include <utility>

#include "proxy/session/session.hpp"

namespace pgsteer::proxy {

namespace {

/// Whether one of the words that begin DDL is in a text without literals and comments; a column of that name is a false
/// alarm and costs a look at the catalog.
bool names_ddl(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i;
    std::string word;
    while (end < text.size() && std::isalpha(static_cast<unsigned char>(text[end]))) {
      word += static_cast<char>(text[end++] | 0x20);
    }
    for (const std::string_view ddl : {"create", "alter", "drop", "grant", "revoke", "do", "comment", "security",
                                       "reassign", "import", "refresh"}) {
      if (word == ddl) return true;
    }
    i = std::max(end, i + 1);
  }
  return text.empty();
}

bool may_change_catalog(const sql::Analysis& analysis) {
  using sql::StatementKind;
  switch (analysis.kind) {
    case StatementKind::ddl:
      return !analysis.flags.creates_temporary;
    case StatementKind::select:
      return analysis.flags.into && !analysis.flags.creates_temporary;
    case StatementKind::multiple:  // a migration, or only BEGIN, UPDATE, COMMIT
      return analysis.flags.into || names_ddl(analysis.normalized());
    case StatementKind::unparsed:
    case StatementKind::do_block:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::shared_ptr<const Plan> Session::opaque_plan(sql::WhyNot why_not) const {
  auto plan = std::make_shared<Plan>();
  auto analysis = std::make_shared<sql::Analysis>();
  analysis->why_not = why_not;
  plan->analysis = std::move(analysis);
  plan->database = facts_.database;
  plan->user = facts_.user;
  plan->candidates.resize(1);
  plan->estimates.resize(1);
  plan->decision.reason = policies::ReasonCode::not_analysed;
  return plan;
}

/// The plan of a statement that is forwarded unchanged although something better was chosen for it: it came at a moment
/// that leaves no room for a change.
std::shared_ptr<const Plan> Session::as_it_came(std::shared_ptr<const Plan> plan) {
  if (plan->decision.candidate == 0) return plan;
  auto plain = std::make_shared<Plan>(*plan);
  plain->decision.candidate = 0;
  plain->decision.reason = policies::ReasonCode::pipeline;
  return plain;
}

/// The parser reads standard strings only: with the old ones a text may mean something else.
bool Session::standard_strings() {
  if (std::exchange(strings_version_, facts_.version) != facts_.version) {
    const auto setting = facts_.settings.find("standard_conforming_strings");
    standard_strings_ = setting == facts_.settings.end() || setting->second == "on";
  }
  return standard_strings_;
}

std::shared_ptr<const Plan> Session::make_plan(std::string_view text, std::span<const std::uint32_t> types,
                                               bool extended) {
  drawn_ = worker_.circumstances(session_mode_);
  return make_plan({text, types, {}, extended}, drawn_);
}

std::shared_ptr<const Plan> Session::make_plan(const Called& called, const Circumstances& now) {
  if (worker_.snapshot().panic) return opaque_plan();
  if (!standard_strings()) {
    counters_->not_analysed.add();
    return opaque_plan(sql::WhyNot::nonstandard_strings);
  }
  const bool uncertain = std::exchange(facts_.catalog_uncertain, facts_.catalog_uncertain || catalog_moving());
  sql::Query query;
  query.text = called.text;
  query.parameter_types = called.types;
  query.extended = called.extended;
  query.transaction = static_cast<sql::TransactionStatus>(status_);
  query.session = &facts_;
  auto plan = worker_.pipeline.plan(query, worker_.snapshot(), now);
  facts_.catalog_uncertain = uncertain;
  if (plan->analysis->why_not != sql::WhyNot::none) counters_->not_analysed.add();
  return plan;
}

/// DDL is under way somewhere, or has been since our picture of the catalog. Between its commit and the moment that we hear of
/// it the picture read meanwhile is wrong, so nobody relies on one until the transaction is known to have ended.
bool Session::catalog_moving() const {
  const Hub& hub = worker_.hub;
  return hub.pending_ddl.load() != 0 || hub.catalog_epoch.load() != worker_.snapshot().catalog_epoch;
}

void Session::look_at_catalog() {
  const Snapshot& snapshot = worker_.snapshot();
  if (looked_up_.snapshot != snapshot.version) looked_up_ = {snapshot.version, snapshot.catalog(facts_.database), snapshot.picture(facts_.database)};
}

const sql::Catalog* Session::catalog() {
  look_at_catalog();
  return looked_up_.catalog;
}

std::uint64_t Session::picture() {
  look_at_catalog();
  return looked_up_.picture;
}

PlanStamp Session::stamp() const {
  return {worker_.snapshot().version, facts_.version, status_, facts_.settings_uncertain, facts_.has_temporary_objects,
          facts_.catalog_uncertain || catalog_moving(), facts_.objects_uncertain, session_mode_};
}

const std::shared_ptr<const Plan>& Session::refreshed_plan(Prepared& prepared) {
  if (prepared.plan && prepared.text.empty()) return prepared.plan;  // too long to be looked at
  const PlanStamp now = stamp();
  if (prepared.plan && prepared.stamp == now && !prepared.plan->redraw) return prepared.plan;
  prepared.stamp = now;
  prepared.plan = extended_plan(prepared.text, prepared.parameter_types, now);
  return prepared.plan;
}

std::shared_ptr<const Plan> Session::extended_plan(std::string_view text, std::span<const std::uint32_t> types,
                                                   const PlanStamp& now) {
  const bool same = looked_plan_ && looked_stamp_ == now && !looked_plan_->redraw && looked_text_ == text &&
                    std::equal(types.begin(), types.end(), looked_types_.begin(), looked_types_.end());
  if (same) return looked_plan_;
  looked_plan_ = make_plan(text, types, true);
  looked_stamp_ = now;
  looked_text_ = text;
  looked_types_.assign(types.begin(), types.end());
  return looked_plan_;
}

Ref<Exec> Session::make_exec(std::shared_ptr<const Plan> plan, std::string_view text) {
  auto exec = make_ref<Exec>();
  exec->execution.arrival = now();
  const bool example = plan && plan->analysis->kind == sql::StatementKind::select && (plan->decision.candidate != 0 || wanted_as_example(*plan));
  if (example) exec->execution.text = text;
  exec->plan = std::move(plan);
  publish("active");
  exec->in_flight = InFlight(worker_.in_flight);
  if (place_) exec->place = std::move(place_);
  exec->execution.queued_ns = std::exchange(queued_ns_, 0);
  if (!touched_ && exec->plan) touched_ = exec->plan->analysis->kind != sql::StatementKind::begin && exec->plan->analysis->kind != sql::StatementKind::set;
  counters_->queries.add();
  return exec;
}

/// `fresh`: the plan was made for the session as it is now. `call`: with what it is executed, where that is certain.
void Session::track_writes(const Plan* plan, bool fresh, const cache::Call& call) {
  note_write(plan);
  if (worker_.snapshot().panic) {
    note_residue(nullptr);
    return unmarked_work();
  }
  if (!plan || plan->analysis->why_not == sql::WhyNot::too_long ||
      plan->analysis->why_not == sql::WhyNot::nonstandard_strings) {
    note_residue(nullptr);
    return writes_.before_opaque(*unit_);
  }
  for (const auto& database : plan->analysis->databases_alone) worker_.hub.vacate(database);
  for (const auto& role : plan->analysis->roles_replaced)
    if (worker_.hub.pools) worker_.hub.pools->disown(role);
  if (may_change_catalog(*plan->analysis)) writes_.before_ddl(*unit_);
  const bool in_block = status_ == 'T' && tracker_.empty() && !group_open_;
  writes_.set_picture(picture());
  const bool as_planned = fresh && !catalog_moving() && plan->snapshot_version == worker_.snapshot().version;
  if (as_planned && (!plan->writes.writes || plan->analysis->key_conditions.empty())) {
    writes_.before_forward(*unit_, *plan->analysis, plan->writes, in_block);
  } else {
    auto writes = as_planned ? plan->writes : writes_of(*plan);
    if (const auto* catalog = worker_.snapshot().catalog(facts_.database)) cache::narrow(writes, *plan->analysis, *catalog, call);
    writes_.before_forward(*unit_, *plan->analysis, writes, in_block);
  }
  note_residue(plan);
}

/// As of now. An uncommitted trigger, partition or foreign key of another session is in no picture, and a write may be waiting for it.
cache::WriteSet Session::writes_of(const Plan& plan) const {
  return cache::write_set(*plan.analysis, catalog_moving() ? nullptr : worker_.snapshot().catalog(facts_.database), facts_,
                          plan.knowledge ? &plan.knowledge->cache : nullptr);
}

bool Session::could_act(const Plan& plan) const {
  if (!plan.analysis->read_only_select() || plan.analysis->why_not != sql::WhyNot::none) return false;
  const auto mode = plan.decision.mode;
  return plan.policy.cache.mode != cache::Consistency::off || mode == policies::Mode::canary ||
         mode == policies::Mode::auto_ || mode == policies::Mode::suggest;
}

bool Session::takes_waiting(const Plan& plan) const {
  return plan.decision.candidate != 0 || plan.decision.wants_plan || may_read_elsewhere(plan) || restrained(plan) ||
         (facts_.settings_uncertain && could_act(plan));
}

}  // namespace pgsteer::proxy
