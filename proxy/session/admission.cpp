// Lanes and limits: what a statement has to wait for, and what a client is told that may not go on. A wait stops this
// client's messages and nothing else.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <algorithm>

#include "proxy/console/result.hpp"
#include "proxy/session/session.hpp"

namespace pgsteer::proxy {

namespace asio = boost::asio;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);
using policies::ReasonCode;
using protocol::Request;
using OnExceed = policies::LimitAction::OnExceed;

namespace {

constexpr auto kLook = std::chrono::milliseconds(100);  ///< how often a waiting session looks whether its client is there
constexpr const char* kRefusal = "pgsteer_refusal";     ///< name of the statement that fails in the place of a refused one
constexpr const char* kConfigurationLimit = "53400", *kInsufficient = "53000", *kCancelled = "57014";

/// A text in SQL that no setting of the session reads differently.
std::string literal(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += "''";
    else out += c == '\\' ? '/' : c == '$' ? ' ' : c;
  }
  return out + "'";
}

/// Fails on the server as the refusal would here: the transaction, the pipeline and the driver then stand as after any error.
std::string failing_statement(const protocol::ErrorFields& e) {
  return fmt::format("DO $pgsteer$BEGIN RAISE EXCEPTION USING ERRCODE = {}, MESSAGE = {}, HINT = {}; END$pgsteer$",
                     literal(e.sqlstate), literal(e.message), literal(e.hint));
}

}  // namespace

/// While the server skips to Sync, or the transaction has failed, whatever comes is harmless.
bool Session::restrained(const Plan& plan) const {
  return plan.restraint != Restraint::none && !tracker_.skipping() && status_ != 'E' && !worker_.snapshot().panic;
}

void Session::refuse(const Plan& plan, ReasonCode reason, const char* limit, protocol::ErrorFields error) {
  worker_.hub.limit_counts->add({plan.decision.rule, limit, "refused"});
  refuse_with(plan, reason, std::move(error));
}

/// A CancelRequest has met it while it waited here.
void Session::refuse_cancelled(const Plan& plan) {
  refuse_with(plan, ReasonCode::queue_cancelled,
              {.severity = "ERROR", .sqlstate = kCancelled, .message = "canceling statement due to user request", .detail = {}, .hint = {}});
}

void Session::refuse_with(const Plan& plan, ReasonCode reason, protocol::ErrorFields error) {
  auto refused = std::make_shared<Plan>(plan);
  refused->decision.candidate = 0;
  refused->decision.reason = reason;
  refused->decision.detail = error.message;
  refusal_ = std::make_unique<Refusal>(Refusal{std::move(refused), std::move(error)});
}

/// What on_exceed says of a limit that was passed. True: go on (perhaps in line).
bool Session::exceeded(const Plan& plan, ReasonCode reason, const char* limit, const std::string& what, bool* in_line) {
  auto& counts = *worker_.hub.limit_counts;
  if (plan.restraint == Restraint::observed) {
    counts.add({plan.decision.rule, limit, "observed"});
    return true;
  }
  const std::string hint = fmt::format("Policy rule \"{}\" ({}) says so; pgsteer check explains it.", plan.decision.rule,
                                       plan.policy.where.empty() ? "default" : plan.policy.where);
  switch (plan.policy.limits.on_exceed) {
    case OnExceed::reject:
      refuse(plan, reason, limit, {.severity = "ERROR", .sqlstate = kConfigurationLimit, .message = what, .detail = {}, .hint = hint});
      return false;
    case OnExceed::warn:
      counts.add({plan.decision.rule, limit, "warned"});
      spdlog::warn("session={} event=limit_passed limit={} rule=\"{}\" fingerprint={}", info_.id, limit, plan.decision.rule,
                   plan.analysis->fingerprint_hex);
      // Between two replies only: elsewhere it might fall into the middle of one.
      if (tracker_.empty())
        protocol::append_notice(to_client_, {.severity = "WARNING", .sqlstate = "01000", .message = what, .detail = {}, .hint = hint});
      return true;
    case OnExceed::queue:
      counts.add({plan.decision.rule, limit, "queued"});
      *in_line = true;
      return true;
  }
  return true;
}

/// Rates of the user and of the tags. The time to wait, or nothing when the statement may not go on.
std::optional<std::chrono::nanoseconds> Session::book_rates(const Plan& plan, bool may_wait) {
  std::chrono::nanoseconds wait(0);
  const auto& limits = plan.policy.limits;
  const auto now = Clock::now();
  const bool queue = limits.on_exceed == OnExceed::queue && plan.restraint == Restraint::enforced;
  const std::chrono::nanoseconds patience = !queue || !may_wait ? std::chrono::milliseconds(0) : plan.lane ? plan.lane->patience() : policies::Lane{}.patience();
  const auto book = [&](const char* limit, const std::string& whose, double rate) {
    const auto key = fmt::format("{}\n{}\n{}", plan.decision.rule, limit, whose);
    if (const auto booked = worker_.hub.rates->book(key, rate, patience, now)) {
      if (*booked > wait) {
        wait = *booked;
        worker_.hub.limit_counts->add({plan.decision.rule, limit, "queued"});
      }
      return true;
    }
    const auto what = fmt::format("{} sends more than {:g} statements a second", whose, rate);
    if (queue && may_wait) {
      refuse(plan, ReasonCode::refused_rate, limit,
             {.severity = "ERROR", .sqlstate = kInsufficient, .message = what + ", and as many are waiting as the queue's time allows", .detail = {},
              .hint = "Try again later."});
      return false;
    }
    bool in_line = false;
    return exceeded(plan, ReasonCode::refused_rate, limit, what, &in_line);
  };
  if (limits.rate_per_user && !book("user_rate", "user " + plan.user, *limits.rate_per_user)) return std::nullopt;
  for (const auto& [tag, rate] : limits.rate_per_tag) {
    const auto value = plan.analysis->tags.find(tag);
    if (value == plan.analysis->tags.end()) continue;
    if (!book("tag_rate", tag + " " + value->second.substr(0, 128), rate)) return std::nullopt;
  }
  return wait;
}

/// Waits until `over` says so, at most until `deadline`. False: the wait ended otherwise, and refusal_ says how (null: there
/// is nobody left to tell).
template <class Over>
Awaitable<bool> Session::stand_in_line(std::shared_ptr<const Plan> plan, std::shared_ptr<asio::steady_timer> timer,
                                       Clock::time_point deadline, Over over) {
  const auto begin = Clock::now();
  const auto left = [&] {
    line_timer_ = nullptr;
    const auto waited = static_cast<std::uint64_t>(std::chrono::nanoseconds(Clock::now() - begin).count());
    queued_ns_ += waited;
    counters_->wait_ns.add(waited);
    info_.request_unix_us = 0;
    worker_.hub.set_client(info_);
    publish("active");
  };
  line_timer_ = timer;
  line_cancelled_ = false;
  info_.request_unix_us = unix_us();
  worker_.hub.set_client(info_);
  publish("waiting");
  for (;;) {
    if (closing_) {
      line_timer_ = nullptr;
      co_return false;
    }
    if (over()) {
      left();
      co_return true;
    }
    const auto now = Clock::now();
    if (line_cancelled_) {
      left();
      worker_.hub.limit_counts->add({plan->decision.rule, "queue", "cancelled"});
      refuse_cancelled(*plan);
      co_return false;
    }
    if (client_.hung_up()) {
      left();
      client_lost();
      co_return false;
    }
    if (now >= deadline) {
      left();
      const auto waited = std::chrono::duration<double, std::milli>(now - begin).count();
      refuse(*plan, ReasonCode::refused_queue, "queue",
             {.severity = "ERROR", .sqlstate = kInsufficient,
              .message = fmt::format("no place in lane \"{}\" within {}", plan->lane ? plan->lane->name : "exceeding", console::human_ms(waited)),
              .detail = {}, .hint = "Too many statements of this lane at once: try again later, or raise its concurrency or queue_timeout."});
      co_return false;
    }
    timer->expires_after(std::min<Clock::duration>(kLook, deadline - now));
    co_await timer->async_wait(as_result);
  }
}

/// True: go on, with the place in place_. False: refusal_ says what the client gets; without one it is gone. `waited` when the
/// plan may be out of date.
Awaitable<bool> Session::admit(std::shared_ptr<const Plan> plan, bool* waited) {
  refusal_ = nullptr;
  place_ = {};
  const bool behind = touched_ && std::any_of(tracker_.queue().begin(), tracker_.queue().end(), [](const auto& expected) {
    return expected.kind == Request::sync || expected.kind == Request::query;
  });
  if (behind) co_await quiet();  // what a pipeline has in front of it may end the transaction
  if (closing_ || !tracking_) co_return !closing_;
  // A transaction that has done something may hold locks that those in front of it in the line wait for.
  const bool may_wait = plan->restraint == Restraint::enforced && !touched_;
  const auto& limits = plan->policy.limits;
  std::optional<policies::Lane> lane = plan->restraint == Restraint::enforced ? plan->lane : std::nullopt;

  const auto& estimate = plan->estimates[plan->decision.candidate];
  const bool guess = estimate.source == predictor::EstimateSource::cold_start && !(plan->knowledge && plan->knowledge->plan.known);
  if (limits.max_predicted && !guess && estimate.ms > static_cast<double>(limits.max_predicted->count())) {
    const auto what = fmt::format("this statement is predicted to take {}, more than {}", console::human_ms(estimate.ms),
                                  console::human_ms(static_cast<double>(limits.max_predicted->count())));
    bool in_line = false;
    if (!exceeded(*plan, ReasonCode::refused_predicted, "predicted", what, &in_line)) co_return false;
    if (in_line) {
      const auto patience = lane ? lane->patience() : policies::Lane{}.patience();
      lane = policies::Lane{.name = "exceeding", .max_predicted = std::nullopt, .queue_timeout = patience, .concurrency = 1};
    }
  }
  const auto wait = book_rates(*plan, may_wait);
  if (!wait) co_return false;
  auto timer = std::make_shared<asio::steady_timer>(worker_.loop);
  if (wait->count() > 0) {
    *waited = true;
    const auto due = Clock::now() + *wait;
    const auto time_has_come = [due] { return Clock::now() >= due; };
    const bool went_on = co_await stand_in_line(plan, timer, Clock::time_point::max(), time_has_come);
    if (!went_on) co_return false;
  }
  if (!lane) co_return true;
  Lanes& lanes = *worker_.hub.lanes;
  auto entry = lanes.enter(*lane, may_wait, [timer, &loop = worker_.loop] { asio::post(loop, [timer] { timer->cancel(); }); });
  if (entry.place) {
    place_ = std::move(*entry.place);
    co_return true;
  }
  *waited = true;
  const Line line{lanes, entry.waiter};  // gives the turn up, should the coroutine end here
  const auto our_turn_in_line = [this, &lanes, &entry] {
    auto place = lanes.take(entry.waiter);
    if (place) place_ = std::move(*place);
    return place.has_value();
  };
  const auto deadline = Clock::now() + lane->patience();
  const bool there = co_await stand_in_line(plan, timer, deadline, our_turn_in_line);
  if (!there) lanes.leave(entry.waiter, refusal_ && refusal_->plan->decision.reason == ReasonCode::refused_queue);
  co_return there;
}

void Session::cancel_in_line(int server_pid, std::uint32_t key) {
  if (server_pid != info_.server_pid || key != server_key_) return;
  cancelled_at_ = Clock::now();
  if (!line_timer_) return;
  line_cancelled_ = true;
  line_timer_->cancel();
}

/// In the place of a simple query that was refused.
void Session::refuse_query() {
  const auto refusal = std::move(refusal_);
  if (!undisturbed()) {
    auto exec = make_exec(refusal->plan, {});
    exec->execution.source = Source::local;
    unnamed_stale_ = false;
    if (expect(Request::query, {std::move(exec), unit_, nullptr})) unit_ = nullptr;
    protocol::append_query(to_server_, failing_statement(refusal->error));
    return;
  }
  unnamed_stale_ = true;  // the server does not get to see this query
  protocol::append_error(to_client_, refusal->error);
  protocol::append_ready(to_client_, 'I');
  publish("idle");
  counters_->errors.add();
  counters_->queries.add();
  counters_->transactions.add();
  worker_.meters.error(refusal->error.sqlstate);
  worker_.meters.count(refusal->plan->analysis->kind, Meters::Action::refused, Meters::Ending::error);
  Execution execution;
  execution.arrival = Clock::now();
  execution.source = Source::local;
  execution.sqlstate = refusal->error.sqlstate;
  execution.queued_ns = std::exchange(queued_ns_, 0);
  worker_.outcomes.add(refusal->plan, std::move(execution));
}

/// In the place of an Execute that was refused: a statement of ours fails there.
void Session::refuse_execute() {
  const auto refusal = std::move(refusal_);
  if (!unit_) unit_ = make_ref<Unit>();
  auto exec = make_exec(refusal->plan, {});
  exec->execution.source = Source::local;
  expect(Request::close, {}, true);
  protocol::append_close_statement(to_server_, kRefusal);
  expect(Request::parse, {}, true);
  protocol::append_parse(to_server_, kRefusal, failing_statement(refusal->error), {});
  expect(Request::bind, {}, true);
  protocol::append_bind_text(to_server_, kRefusal, {});
  expect(Request::execute, {std::move(exec), unit_, nullptr});
  protocol::append_execute(to_server_, "");
  group_open_ = true;
}

/// An Execute that has to be admitted, outside of a held group.
Awaitable<void> Session::on_restrained_execute(std::string_view message) {
  const auto execute = protocol::read_execute(message.substr(protocol::kHeaderBytes));
  const auto statement = portals_.find(execute->portal)->statement;
  bool waited = false;
  const bool admitted = co_await admit(statement->plan, &waited);
  if (closing_) co_return;
  if (admitted) execute_now(message, portals_.find(execute->portal));  // a rollback may have closed it meanwhile
  else if (refusal_) refuse_execute();
}

/// A held group in front of something that breaks it up. Its execution, should there be one, is admitted first.
Awaitable<void> Session::release_restrained() {
  bool waited = false;
  const bool admitted = co_await admit(held_.statement->plan, &waited);
  if (closing_ || !held_.active()) co_return;
  if (waited) refreshed_plan(*held_.statement);
  if (admitted) release_held();
  else if (refusal_) release_held_refused();
}

/// The held group with `sync` behind it, its execution refused.
Awaitable<void> Session::refuse_held(std::string_view sync) {
  if (!attached()) {
    if (const bool good = co_await attach(); !good) co_return;
    if (held_gone(sync)) co_return;
  }
  release_held_refused();
  forward_sync(sync);
}

void Session::release_held_refused() {
  // The Execute is the last of the group.
  std::size_t at = 0;
  for (std::size_t i = 0; i + 1 < held_.requests.size(); ++i) at += protocol::peek_header(std::string_view(held_.raw).substr(at))->total();
  held_.raw.resize(at);
  held_.requests.pop_back();
  held_.execute = false;
  release_held();
  refuse_execute();
}

}  // namespace pgsteer::proxy
