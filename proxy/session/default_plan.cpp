// Which plan PostgreSQL itself has for an execution: an arm is right or wrong for one plan, and a statement's parameters choose among
// several. Asked by an EXPLAIN of ours in front, where it matters; remembered by text and values.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "proxy/session/session.hpp"

namespace pgsteer::proxy {

using protocol::Request;

namespace {

constexpr std::string_view kExplain = "EXPLAIN (FORMAT JSON) ";

std::uint64_t hash_of(std::string_view text, std::string_view values, const sql::SessionFacts& facts) {
  std::uint64_t hash = XXH3_64bits(text.data(), text.size());
  for (const std::string_view part : {values, std::string_view(facts.database), std::string_view(facts.search_path), std::string_view(facts.user)})
    hash = XXH3_64bits_withSeed(part.data(), part.size(), hash);
  return hash;
}

}  // namespace

/// The same execution, with what is now known of it: chance has spoken already.
std::shared_ptr<const Plan> Session::plan_again(const Called& called, std::shared_ptr<const predictor::PlanFacts> facts) {
  auto now = drawn_;
  now.default_plan = std::move(facts);
  return make_plan(called, now);
}

std::shared_ptr<const Plan> Session::with_known_plan(std::shared_ptr<const Plan> plan, const Called& called) {
  const auto* catalog = plan->decision.wants_plan ? worker_.snapshot().catalog(facts_.database) : nullptr;
  if (!catalog) return plan;
  auto facts = worker_.pipeline.default_plan(hash_of(called.text, called.values, facts_), catalog->version);
  return facts ? plan_again(called, std::move(facts)) : plan;
}

/// Only outside of blocks: an EXPLAIN that fails inside one would fail the client's transaction.
Awaitable<std::shared_ptr<const Plan>> Session::with_asked_plan(std::shared_ptr<const Plan> plan, Called called) {
  if (!plan->decision.wants_plan || !undisturbed()) co_return plan;
  const auto* catalog = worker_.snapshot().catalog(facts_.database);
  if (!catalog) co_return plan;
  const auto version = catalog->version;
  const auto hash = hash_of(called.text, called.values, facts_);
  plan_reply_.clear();
  send_explain(called);
  co_await drain_to_server();
  co_await quiet();
  if (closing_) co_return plan;
  auto facts = std::make_shared<predictor::PlanFacts>(predictor::parse_plan(plan_reply_));
  if (!facts->known) co_return plan;  // whatever the server has against it, the client is told when the statement itself comes
  worker_.pipeline.remember_plan(hash, version, facts);
  co_return plan_again(called, std::move(facts));
}

void Session::send_explain(const Called& called) {
  const std::string text = std::string(kExplain) + std::string(called.text);
  Context context;
  context.purpose = Purpose::plan;
  if (!called.extended) {  // the client's own simple query is about to destroy the unnamed statement anyway
    context.unit = make_ref<Unit>();
    expect(Request::query, std::move(context), true);
    return protocol::append_query(to_server_, text);
  }
  const std::string name = variant(text, {called.types.begin(), called.types.end()}, nullptr);
  expect(Request::bind, {}, true);
  protocol::Message(to_server_, 'B').cstring(kSavepoint).cstring(name).bytes(called.values).bytes(std::string_view("\0\0", 2));
  expect(Request::execute, std::move(context), true);
  protocol::append_execute(to_server_, kSavepoint);
  expect(Request::close, {}, true);
  protocol::append_close_portal(to_server_, kSavepoint);
  expect(Request::sync, {nullptr, make_ref<Unit>(), nullptr}, true);
  protocol::append_empty(to_server_, 'S');
}

}  // namespace pgsteer::proxy
