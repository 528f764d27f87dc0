// Server -> client: replies, matched to what was asked.
#include <spdlog/spdlog.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>

#include "proxy/session/session.hpp"

namespace pgsteer::proxy {

using protocol::Meaning;
using protocol::Request;

namespace {
constexpr std::size_t kMostHeldBack = 4u << 20;  // of an answer that may still turn into an error

/// Errors that say nothing about the text sent: the client sees them as they are, nothing is tried again.
bool concerns_the_text(std::string_view sqlstate) {
  return !(sqlstate.starts_with("57") || sqlstate.starts_with("53") || sqlstate.starts_with("40") ||
           sqlstate.starts_with("08") || sqlstate.starts_with("25") || sqlstate.starts_with("55"));
}

/// Row count of a CommandComplete tag: its last word, when it is a number.
std::int64_t tag_rows(std::string_view tag) {
  const auto blank = tag.rfind(' ');
  std::int64_t rows = 0;
  if (blank != std::string_view::npos) std::from_chars(tag.data() + blank + 1, tag.data() + tag.size(), rows);
  return rows;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](unsigned char c) { return std::tolower(c); });
  return result;
}

std::string_view body_of(std::string_view message) { return message.substr(protocol::kHeaderBytes); }

}  // namespace

/// The execution whose rows only need counting on their way; null when somebody wants to see them.
Exec* Session::plain_rows() {
  const auto* head = ready_ ? tracker_.head() : nullptr;
  if (!head || head->hidden || (head->kind != Request::execute && head->kind != Request::query)) return nullptr;
  Exec* exec = head->context.exec.get();
  return exec && !exec->fill && !exec->fallback_armed && !exec->distrusted && exec->execution.first_byte_ns != 0 ? exec : nullptr;
}

/// Reads whole messages and parts of large ones; what is relayed in a row is written at once. Bounded by the read buffer.
void Session::on_server_bytes() {
  std::size_t at = 0, from = 0;  // what lies between is for the client
  const Lent lent(to_client_);
  const auto pass_on = [&] {
    to_client_.lend({server_buffer_.get() + from, at - from});
    from = at;
  };
  while (at < server_size_ && !closing_) {
    const std::string_view rest(server_buffer_.get() + at, server_size_ - at);
    if (server_passing_ > 0) {
      const std::size_t n = std::min<std::uint64_t>(server_passing_, rest.size());
      at += n;
      if (passing_fate_ == Fate::swallow) from = at;
      if (passing_exec_) {
        passing_exec_->execution.bytes += static_cast<std::int64_t>(n);
      }
      server_passing_ -= n;
      if (server_passing_ == 0) passing_exec_ = nullptr;
      continue;
    }
    if (!tracking_) {
      at = server_size_;
      continue;
    }
    const auto header = protocol::peek_header(rest);
    if (!header) break;
    if (header->length < 4 || header->length > protocol::kMaxLength) {
      spdlog::error("session={} event=server_protocol_error type={} length={}", info_.id, static_cast<int>(header->type),
                    header->length);
      fatal("08P01", "invalid message from server");
      return finish();
    }
    const bool fits = header->total() <= kBufferBytes;
    if (fits && rest.size() < header->total()) break;
    if (Exec* exec = header->type == 'D' && fits ? plain_rows() : nullptr) {
      ++exec->execution.rows;
      exec->execution.bytes += static_cast<std::int64_t>(header->total());
      at += header->total();
      continue;
    }
    const auto message = rest.substr(0, std::min<std::uint64_t>(header->total(), rest.size()));
    pass_on();
    const Fate fate = ready_ ? on_server_message(header->type, message, fits) : on_login_message(header->type, message);
    if (closing_) return;
    at += message.size();
    if (fate == Fate::swallow) from = at;
    if (!fits) {
      server_passing_ = header->total() - message.size();
      passing_fate_ = fate;
    }
  }
  pass_on();
  if (tracker_.empty()) notify();  // by a Flush too
  server_size_ -= at;  // before anything is written: a client that is gone gives its server back only if nothing is left unread
  push_to_client();
  to_client_.keep();
  if (server_size_ > 0) std::memmove(server_buffer_.get(), server_buffer_.get() + at, server_size_);
}

Session::Fate Session::on_login_message(char type, std::string_view message) {
  const auto body = body_of(message);
  if (type == 'R') {
    constexpr std::uint32_t kOk = 0, kSaslFinal = 12;
    const auto what = protocol::Reader(body).int32();
    login_answer_due_ = what != kOk && what != kSaslFinal;
    notify();
  } else if (type == 'Z') {
    ready_ = true;
    counters_ = &worker_.hub.counters(worker_.index, info_.database);  // the server knows the database: not a name anybody may invent
    login_deadline_.cancel();
    notify();
    status_ = body.empty() ? 'I' : body[0];
    publish("idle");
    worker_.hub.set_client(info_);  // with the server's process now: SHOW SERVERS and SHOW POOLS count by it
  } else if (type == 'S') {
    protocol::Reader r(body);
    const auto name = r.cstring();
    facts_.settings[lower(name)] = r.cstring();
  } else if (type == 'K') {
    protocol::Reader r(body);
    info_.server_pid = static_cast<int>(r.int32());
    server_key_ = r.int32();
  }
  return Fate::relay;
}

/// LISTEN has pinned this server to its client: a notification of that very process is the client's own, and it knows itself under another
/// process id. True: it is on its way under that one.
bool Session::own_notification(std::string_view message) {
  const auto body = body_of(message);
  if (body.size() < 4 || protocol::Reader(body).int32() != server_->pid) return false;
  protocol::Message(to_client_, 'A').bytes(std::string_view(cancel_key_).substr(0, 4)).bytes(body.substr(4));
  return true;
}

/// What a server says now is said to nobody: its last words behind the end of our transaction would be taken for the answer to the next one, which
/// another server gives.
bool Session::between_transactions() const {
  return pooled() && rested() && pin_.empty() && !residue_unknown_ && !client_busy_;
}

Session::Fate Session::on_server_message(char type, std::string_view message, bool whole) {
  auto result = tracker_.on_server_message(type);
  switch (result.meaning) {
    case Meaning::unexpected:
      lose_tracking("a server message that nothing had asked for");
      return Fate::relay;
    case Meaning::asynchronous:
      if (type == 'E' && between_transactions()) {
        server_dying_ = true;
        return Fate::swallow;
      }
      if (type == 'A' && pooled() && whole) return own_notification(message) ? Fate::swallow : Fate::relay;
      if (type == 'S' && whole) {
        protocol::Reader r(body_of(message));
        const auto name = r.cstring(), value = r.cstring();
        if (lending_.pool && !adopted_ && server_) {  // between another client's state and ours: report_parameters() tells what has come of it
          server_->reported.set(name, value);
          return Fate::swallow;
        }
        if (lending_.pool && !tracker_.head()) residue_unknown_ = true;  // nobody had asked for a change
        return parameter_changed(name, value) ? Fate::relay : Fate::swallow;
      } else if (type == 'N' && tracker_.head()) {
        return on_notice(*tracker_.head(), message, whole);
      }
      return Fate::relay;
    case Meaning::error:
      return on_error(message, whole, result);
    case Meaning::part:
      if (!result.dropped.empty()) join_swallowed(result);
      break;
    case Meaning::finished:
      break;
  }
  if (!whole && type != 'Z') {
    passing_exec_ = result.context.exec;
    if (passing_exec_ && passing_exec_->fill) {  // beyond a buffer
      passing_exec_->fill->too_large = true;
      passing_exec_->fill->spoil();
    }
  }
  if (type == 'Z') return on_ready(body_of(message).empty() ? 'I' : body_of(message)[0], result);
  if (result.hidden) {
    on_hidden(type, message, result.context);
    return Fate::swallow;
  }
  return on_reply(type, message, whole, result);
}

/// Raised on behalf of `asked`. What is answered from the cache or taught to another server has been silent, or its client knows.
Session::Fate Session::on_notice(const Tracker::Expected& asked, std::string_view message, bool whole) {
  const auto& [exec, unit, prepared, statement, purpose] = asked.context;
  if (exec && exec->fill) exec->fill->spoil();
  if (asked.kind == Request::parse) {
    if (prepared) prepared->noisy = true;
    if (exec && exec->reused && whole) {  // in front of the ParseComplete that is kept back
      exec->repeated->noisy = true;
      to_client_ += message;
      return Fate::swallow;
    }
    if (asked.hidden) return Fate::swallow;
  }
  if (exec && exec->fallback_armed && whole && !exec->held_back.empty()) {
    exec->held_back += message;  // stays in its place
    return Fate::swallow;
  }
  return Fate::relay;
}

/// COPY-in has swallowed Syncs that were sent ahead of it: the transaction goes on to the next one that is answered.
void Session::join_swallowed(Tracker::Result& result) {
  Ref<Unit> heir;
  for (const auto& expected : tracker_.queue()) {
    if (expected.kind != Request::sync && expected.kind != Request::query && expected.kind != Request::function_call) continue;
    heir = expected.context.unit;
    break;
  }
  if (!heir) heir = unit_ ? unit_ : (unit_ = make_ref<Unit>());
  for (auto& swallowed : result.dropped) {
    if (auto& unit = swallowed.context.unit; unit && unit != heir) WriteTracker::join(*heir, std::move(unit));
  }
}

void Session::on_hidden(char type, std::string_view message, const Context& context) {
  if (type == '2' && context.exec && context.exec->reused) on_bound(*context.exec);
  if (type != 'D') return;
  const auto row = protocol::read_data_row(body_of(message));
  if (!row) return;
  if (context.purpose == Purpose::residue) return residue_.row(*row);
  if (context.purpose == Purpose::plan && !row->empty()) plan_reply_ = (*row)[0].value_or("");
  if (context.purpose != Purpose::settings) return;
  settings_reply_.clear();
  for (const auto& value : *row) settings_reply_.emplace_back(value.value_or(""));
}

Session::Fate Session::on_reply(char type, std::string_view message, bool whole, const Tracker::Result& result) {
  if (result.kind == Request::parse && result.context.prepared) {
    const auto& prepared = result.context.prepared;
    auto* parsing = parsing_.find(prepared->name);
    const bool latest = parsing && *parsing == prepared;
    if (!prepared->dropped) prepared_[prepared->name] = latest ? std::move(*parsing) : prepared;
    if (latest) parsing_.erase(prepared->name);
  }
  const auto& exec = result.context.exec;
  if (!exec && reader_ && reader_->fallback_armed && whole) {  // of a group that may have to be sent to the primary instead
    reader_->held_back += message;
    return Fate::swallow;
  }
  if (!exec) return Fate::relay;
  Execution& execution = exec->execution;
  const bool row_carrier = result.kind == Request::execute || result.kind == Request::query;
  if (row_carrier && execution.first_byte_ns == 0) execution.first_byte_ns = std::max<std::uint64_t>(1, between(execution.arrival, now()));
  if (type == 'D') {
    ++execution.rows;
    execution.bytes += static_cast<std::int64_t>(message.size());
  } else if (type == 'd') {
    execution.bytes += static_cast<std::int64_t>(message.size());
  }
  if (type == 'C') {
    if (exec->hidden_completes > 0) {
      --exec->hidden_completes;
      return Fate::swallow;
    }
    if (std::exchange(exec->answered, true) && exec->savepoint) return Fate::swallow;
    const auto tag = body_of(message).substr(0, body_of(message).find('\0'));
    if (execution.rows == 0) execution.rows = tag_rows(tag);
    if (tag == "ROLLBACK" && result.context.unit) WriteTracker::rolled_back(*result.context.unit);
  }
  if (exec->distrusted) return Fate::swallow;
  if (exec->fill && !exec->fill->spoiled) {
    cache::Entry& entry = *exec->fill->entry;
    if (type == 'T') entry.row_description = message;
    else if (type == 'D') entry.rows += message;
    else if (type == 'C' && entry.complete.empty()) entry.complete = message;
    else if (row_carrier) exec->fill->spoil();
    if (entry.rows.size() > exec->fill->max_bytes) {
      exec->fill->too_large = true;
      exec->fill->spoil();
    }
  }
  if (type == '2' && exec->reused) on_bound(*exec);
  if (exec->fallback_armed) {
    // Under a limit of ours an error may still come behind rows: they wait for the end, if they are few.
    const bool patient = exec->patience_ns != 0;
    const bool certain = (type == 'D' && !patient) || type == 'C' || type == 'I' || type == 's' || !whole;
    if (!certain) exec->held_back += message;
    const bool too_many = patient && (!whole || exec->held_back.size() > kMostHeldBack);
    if (!certain && !too_many) return Fate::swallow;
    exec->fallback_armed = false;
    if (too_many || proof_void(*exec)) {
      exec->distrusted = exec->fallback_due = true;
      exec->held_back.clear();
      fallback_ = exec;
      counters_->fallbacks.add();
      return Fate::swallow;
    }
    to_client_ += std::exchange(exec->held_back, {});
  }
  if (result.kind == Request::execute && result.meaning == Meaning::finished) on_finished(*exec);
  return Fate::relay;
}

Session::Fate Session::on_error(std::string_view message, bool whole, const Tracker::Result& result) {
  const auto body = body_of(message);
  const auto sqlstate = protocol::error_field(body, 'C');
  counters_->errors.add();
  if (result.context.purpose == Purpose::replay) replay_error_ = message;
  if (result.context.purpose == Purpose::residue) residue_.row({});  // unreadable: nobody else gets this server
  worker_.meters.error(sqlstate);
  // SQL has taken statements away unseen: they are taught again when needed.
  if (server_ && sqlstate == "26000") server_->statements.doubt();
  for (const auto& dropped : result.dropped) {
    if (dropped.context.statement && server_) server_->statements.failed(*dropped.context.statement);
    if (dropped.kind == Request::parse && server_ && !dropped.context.statement) server_->unnamed = nullptr;
    if (const auto& prepared = dropped.context.prepared; prepared && dropped.kind == Request::close) {
      prepared->dropped = false;
      prepared_[prepared->name] = prepared;
    } else if (prepared) {
      parsing_.erase_value(prepared);
      if (dropped.hidden && !pooled()) {  // what was answered from the cache is still not prepared
        prepared->unsent.clear();
        protocol::append_parse(prepared->unsent, prepared->name, prepared->text, prepared->parameter_types);
      }
    }
    if (dropped.context.exec && dropped.context.exec != result.context.exec && dropped.context.exec->plan &&
        !dropped.context.exec->reported) {
      dropped.context.exec->execution.sqlstate = sqlstate;
      report(*dropped.context.exec);
    }
  }
  // Whatever shares this transaction is rolled back with it, as far as the protocol can prove that.
  for (const auto& expected : tracker_.queue()) {
    if (expected.kind == Request::sync || expected.kind == Request::query) {
      if (expected.context.unit) expected.context.unit->failed = true;
      break;
    }
  }
  if (result.context.unit) result.context.unit->failed = true;
  if (tracker_.skipping() && unit_) unit_->failed = true;
  const auto& exec = !result.context.exec && reader_ && reader_->fallback_armed ? reader_ : result.context.exec;
  const bool ours = tracker_.head() && tracker_.head()->hidden;  // the whole exchange is: nothing of the client's fails
  if (!exec) return ours ? Fate::swallow : Fate::relay;
  exec->execution.sqlstate = sqlstate;
  exec->execution.cancelled = sqlstate == "57014";
  if (exec->distrusted && concerns_the_text(sqlstate)) return Fate::swallow;
  if (std::exchange(exec->distrusted, false)) {  // cancelled, shut down: that is the client's to know
    exec->fallback_due = false;
    fallback_ = nullptr;
  }
  if (exec->fill) exec->fill->spoil();
  const bool elsewhere = exec->on_standby && sqlstate != "57014";  // but for a cancel request the primary may do better
  const bool concerns = concerns_the_text(sqlstate) || out_of_patience(*exec, sqlstate) || (exec->reused && sqlstate == "08P01");  // a wrong Bind names the statement
  if (exec->fallback_armed && (status_ == 'I' || exec->savepoint) && (elsewhere || concerns)) {
    exec->fallback_armed = false;
    exec->fallback_due = true;
    exec->held_back.clear();
    fallback_ = exec;
    if (exec->on_standby) return Fate::swallow;
    if (exec->reused) {
      take_back_reuse(*exec, sqlstate);
      return Fate::swallow;
    }
    spdlog::warn("session={} event=fallback fingerprint={} candidate={} sqlstate={}", info_.id,
                 exec->plan->analysis->fingerprint_hex, exec->plan->chosen().label(), sqlstate);
    counters_->fallbacks.add();
    return Fate::swallow;
  }
  if (exec->fallback_armed && exec->reused) on_bound(*exec);
  exec->fallback_armed = false;
  to_client_ += std::exchange(exec->held_back, {});
  if (result.kind != Request::query) report(*exec);
  if (exec->position_shift != 0 && whole) {
    to_client_ += protocol::with_shifted_position(body, exec->position_shift);
    return Fate::swallow;
  }
  return Fate::relay;
}

/// The server ended it by the limit that we have set, not at the client's request.
bool Session::out_of_patience(const Exec& exec, std::string_view sqlstate) const {
  if (exec.patience_ns == 0 || sqlstate != "57014") return false;
  const auto taken = between(exec.execution.arrival + std::chrono::nanoseconds(exec.execution.sent_ns), now());
  return taken >= exec.patience_ns * 95 / 100 && cancelled_at_ < exec.execution.arrival;
}

Session::Fate Session::on_ready(char status, const Tracker::Result& result) {
  status_ = status;
  if (!result.hidden) seen_unix_us_ = steady_unix_us();
  if (touched_ && status == 'I') {
    touched_ = !tracker_.empty() && std::any_of(tracker_.queue().begin(), tracker_.queue().end(), [](const auto& expected) {
      return expected.kind == Request::execute || expected.kind == Request::query || expected.kind == Request::function_call;
    });
  }
  if (status == 'I' && tracker_.empty()) portals_.clear();
  if (result.context.unit) {
    if (several_hosts_) note_written(*result.context.unit, status);
    writes_.on_ready(*result.context.unit, status, tracker_.empty());
    if (result.context.unit->opaque) {
      settings_changed_in_block_ = true;
      doubt_settings();
      doubt_objects();
    }
  }
  if (status == 'I') {
    if (!result.hidden) counters_->transactions.add();
    if (std::exchange(settings_changed_in_block_, false)) {
      doubt_settings();  // SET LOCAL has ended, or SET was rolled back
    }
    facts_.catalog_uncertain = false;
    // In panic too: the next message counts again, and an idle session must not keep the cache shut.
    if (unmarked_ && tracker_.empty() && tracking_) {
      marked_again();
    }
  }
  const auto& exec = result.context.exec;
  if (exec && result.kind == Request::query) on_finished(*exec);
  const bool again_elsewhere = exec && exec->fallback_due && exec->on_standby;  // by the coroutine that waits for its end
  if (exec && exec->fallback_due && !again_elsewhere) {
    report(*exec);
    send_original(*exec);
    fallback_ = nullptr;
    return Fate::swallow;
  }
  time_block(status);
  if (result.context.purpose == Purpose::residue) on_residue();
  if (tracker_.empty()) {
    publish(status == 'I' ? "idle" : "idle in transaction");  // on_server_bytes() wakes who waits for this
  }
  return result.hidden || again_elsewhere ? Fate::swallow : Fate::relay;
}

/// The clock is read only where a transaction block begins and ends.
void Session::time_block(char status) {
  if (status == 'I' && block_start_ != Clock::time_point()) {
    counters_->transaction_ns.add(since(block_start_));
    block_start_ = {};
  } else if (status != 'I' && block_start_ == Clock::time_point()) {
    block_start_ = Clock::now();
  }
}

/// A rewrite rests on constraints as they were when it was planned. Its first row shows that the server has taken the statement's
/// snapshot and locks; unless DDL was announced before that, what it read is what was proved.
bool Session::proof_void(const Exec& exec) const {
  if (exec.plan->chosen().kind != rewriter::CandidateKind::rewritten) return false;
  return worker_.hub.pending_ddl.load() != 0 || worker_.hub.catalog_epoch.load() != exec.catalog_epoch;
}

void Session::send_original(Exec& failed) {
  auto plan = std::make_shared<Plan>(*failed.plan);
  if (!failed.reused) {
    plan->decision.candidate = 0;
    plan->decision.reason = policies::ReasonCode::disabled;
    plan->decision.detail = "the server refused the changed statement: sent as it came";
  }
  if (reusing_.get() == &failed) reusing_ = nullptr;
  auto again = make_exec(std::move(plan), failed.execution.text);
  again->execution.arrival = failed.execution.arrival;
  again->execution.sent_ns = since(failed.execution.arrival);
  if (failed.savepoint && !failed.execution.sqlstate.empty()) roll_back_to_savepoint(failed);
  auto unit = make_ref<Unit>();
  writes_.set_picture(worker_.snapshot().picture(facts_.database));
  writes_.before_forward(*unit, *failed.plan->analysis, writes_of(*failed.plan), false);
  for (const auto request : failed.original_requests) {
    const bool last = request == Request::query || request == Request::sync;
    if (request == Request::parse) {
      unnamed_stale_ = false;
      if (pooled()) server_->unnamed = failed.prepared;
      expect(request, {nullptr, nullptr, failed.prepared});
      continue;
    }
    expect(request, {again, last ? unit : nullptr, nullptr});
  }
  to_server_ += failed.original;
}

/// As if the failed attempt had not been: the transaction goes on where it was.
void Session::roll_back_to_savepoint(const Exec& failed) {
  if (failed.original_requests.front() == Request::query) {
    expect(Request::query, {nullptr, make_ref<Unit>(), nullptr}, true);
    const std::string name(kSavepoint);
    return protocol::append_query(to_server_, "ROLLBACK TO SAVEPOINT " + name + "; RELEASE SAVEPOINT " + name);
  }
  send_hidden(nullptr, "ROLLBACK TO SAVEPOINT");
  send_hidden(nullptr, "RELEASE SAVEPOINT");
  expect(Request::sync, {nullptr, make_ref<Unit>(), nullptr}, true);
  protocol::append_empty(to_server_, 'S');
}

void Session::on_finished(Exec& exec) {
  exec.execution.last_byte_ns = between(exec.execution.arrival, now());
  if (exec.fallback_due) return;
  if (exec.execution.sqlstate.empty()) {
    if (exec.prepared && exec.plan->knowledge) exec.prepared->catalog_version = exec.plan->knowledge->cache.catalog_version;
    if (exec.fill && !exec.fill->entry->complete.empty()) store(exec);
    if (exec.fill) exec.fill->lead.end();
    apply_settings(*exec.plan);
  }
  report(exec);
}

void Session::doubt_settings() {
  if (std::exchange(facts_.settings_uncertain, true)) return;
  ++facts_.version;
}

void Session::doubt_objects() {
  if (std::exchange(facts_.objects_uncertain, true)) return;
  ++facts_.version;
}

void Session::apply_settings(const Plan& plan) {
  using sql::StatementKind;
  const sql::Analysis& analysis = *plan.analysis;
  for (const auto& change : analysis.settings) {
    if (change.name == "pgsteer.mode") {
      session_mode_ = change.value ? policies::parse_mode(*change.value) : std::nullopt;
      ++facts_.version;
      continue;
    }
    if (status_ == 'T' || change.local) settings_changed_in_block_ = true;
    doubt_settings();
  }
  if (analysis.flags.creates_temporary) facts_.has_temporary_objects = true;
  if (analysis.flags.explain_analyze) doubt_settings();
  if (status_ == 'I' && (analysis.kind == StatementKind::discard || analysis.kind == StatementKind::set)) {
    const auto text = lower(analysis.normalized());
    if (text.starts_with("discard all") || text.starts_with("reset all")) custom_settings_ = false;
  }
  switch (analysis.kind) {
    case StatementKind::discard:
    case StatementKind::deallocate:
      forget_statements(analysis);
      doubt_settings();
      break;
    case StatementKind::multiple:
    case StatementKind::unparsed:
    case StatementKind::do_block:
    case StatementKind::call:
    case StatementKind::execute:
      settings_changed_in_block_ = true;
      doubt_settings();
      doubt_objects();
      break;
    case StatementKind::ddl:
      // Its own transaction sees the change now, everybody else at the next ReadyForQuery that says idle.
      facts_.catalog_uncertain = true;
      doubt_settings();
      break;
    default:
      break;
  }
  if (plan.changes_settings_unseen) doubt_settings();
}

/// DISCARD and DEALLOCATE were done.
void Session::forget_statements(const sql::Analysis& analysis) {
  const bool one = analysis.kind == sql::StatementKind::deallocate && !analysis.name.empty();
  if (analysis.kind == sql::StatementKind::discard && lower(analysis.normalized()).find("all") == std::string::npos) return;
  if (one && pooled()) {
    prepared_.erase(analysis.name);
    if (server_) server_->own_names.erase(analysis.name);
    return;
  }
  prepared_.clear();
  if (one || !server_) return;
  server_->statements.clear();
  server_->own_names.clear();
}

}  // namespace pgsteer::proxy
