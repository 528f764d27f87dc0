// What is counted, logged and learned when a statement has ended.
#include <spdlog/spdlog.h>

#include "proxy/session/session.hpp"

namespace pgsteer::proxy {

void Session::meter(const Exec& exec, std::uint64_t server_ns) {
  if (exec.fallback_due) return;  // counted when the original has answered
  using Action = Meters::Action;
  using Ending = Meters::Ending;
  const auto kind = exec.plan ? exec.plan->chosen().kind : rewriter::CandidateKind::as_is;
  const auto action = exec.execution.source == Source::local       ? Action::refused
                      : kind == rewriter::CandidateKind::as_is       ? Action::pass
                      : kind == rewriter::CandidateKind::rewritten ? Action::rewritten
                                                                   : Action::hinted;
  const auto ending = exec.execution.cancelled             ? Ending::cancelled
                      : !exec.execution.sqlstate.empty() ? Ending::error
                                                         : Ending::ok;
  worker_.meters.count(exec.plan ? exec.plan->analysis->kind : sql::StatementKind::unparsed, action, ending);
  if (exec.execution.source == Source::local) return;
  worker_.meters.from_server.record(server_ns);
  worker_.meters.overhead.record(exec.execution.proxy_ns);
}

void Session::report(Exec& exec) {
  if (exec.reported) return;
  exec.reported = true;
  exec.in_flight.end();
  exec.place.give_back();
  if (exec.execution.last_byte_ns == 0) exec.execution.last_byte_ns = between(exec.execution.arrival, now());
  const auto server_ns = exec.execution.last_byte_ns - std::min(exec.execution.sent_ns, exec.execution.last_byte_ns);
  counters_->server_ns.add(server_ns);
  if (block_start_ == Clock::time_point()) counters_->transaction_ns.add(server_ns);  // it is the transaction; a block is timed as a whole
  counters_->proxy_ns.add(exec.execution.proxy_ns);
  worker_.observe_latency(static_cast<double>(server_ns) / 1e6);
  if (exec.repeated && exec.execution.sqlstate.empty()) exec.repeated->note(exec.reused, static_cast<double>(server_ns) / 1e3, Clock::now());
  meter(exec, server_ns);
  log_slow(exec, server_ns);
  if (!exec.plan || exec.plan->decision.mode == policies::Mode::off) return;
  // The text outlives this only where the original may still have to be sent.
  if (exec.fallback_due) worker_.outcomes.add(exec.plan, Execution(exec.execution));
  else worker_.outcomes.add(exec.plan, std::move(exec.execution));
}

/// log.min_duration: the times say where it was spent; never the text.
void Session::log_slow(const Exec& exec, std::uint64_t server_ns) {
  const auto& limit = worker_.snapshot().config->log.min_duration;
  const auto total_ns = server_ns + exec.execution.queued_ns;
  if (limit.count() == 0 || !exec.plan || total_ns < static_cast<std::uint64_t>(std::chrono::nanoseconds(limit).count())) return;
  const Plan& plan = *exec.plan;
  const auto ms = [](std::uint64_t ns) { return static_cast<double>(ns) / 1e6; };
  spdlog::info("session={} event=slow_statement fingerprint={} db=\"{}\" user=\"{}\" app=\"{}\" statement={} rule=\"{}\" action={} reason={} "
               "server_ms={:.3f} queued_ms={:.3f} proxy_us={:.1f} rows={} sqlstate={} trace_id={}",
               info_.id, plan.analysis->fingerprint_hex, plan.database, plan.user, plan.application, sql::to_string(plan.analysis->kind),
               plan.decision.rule, plan.chosen().label(), policies::to_string(plan.decision.reason), ms(server_ns),
               ms(exec.execution.queued_ns), static_cast<double>(exec.execution.proxy_ns) / 1e3, exec.execution.rows,
               exec.execution.sqlstate.empty() ? "00000" : exec.execution.sqlstate, trace_id_of(*plan.analysis));
}

}  // namespace pgsteer::proxy
