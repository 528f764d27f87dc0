// Client -> server: reading messages, and what each type is.
#include <cstring>

#include "proxy/session/session.hpp"

namespace pgsteer::proxy {

using protocol::Request;

/// Deals with what needs no looking at: the rest of a large message, and everything once we have lost track. False: there is a message to look at,
/// or a part of one.
bool Session::pass_on() {
  const std::string_view rest(client_buffer_.get() + client_at_, client_size_ - client_at_);
  if (client_passing_ > 0) {
    const std::size_t n = std::min<std::uint64_t>(client_passing_, rest.size());
    forward(rest.substr(0, n));
    client_passing_ -= n;
    client_at_ += n;
    return true;
  }
  if (tracking_) return false;
  unmarked_work();
  forward(rest);
  client_at_ = client_size_;
  return true;
}

/// What the client has said, as far as it can be dealt with at once. False: go_on_with_client_bytes() does the rest.
bool Session::on_client_bytes() {
  server_missing_ = false;
  const Lent lent(to_server_);
  lending_bytes_ = true;
  const bool done = take_client_bytes();
  lending_bytes_ = false;
  if (done && !closing_) push_to_server();
  to_server_.keep();
  if (done && !closing_) client_bytes_done();
  return done;
}

bool Session::take_client_bytes() {
  while (client_at_ < client_size_) {
    if (closing_) return true;
    if ((client_passing_ > 0 || !tracking_) && pass_on()) continue;
    const std::string_view rest(client_buffer_.get() + client_at_, client_size_ - client_at_);
    const auto header = protocol::peek_header(rest);
    if (!header) break;
    if (!ready_ || reusing_ || protocol::violates_protocol(*header) || header->total() > kBufferBytes) return false;
    if (rest.size() < header->total()) break;
    const std::string_view message = rest.substr(0, header->total());
    const bool again = std::exchange(unfinished_, false);  // it has waited for a server
    if (again) parse_at_hand_ = nullptr;
    unfinished_ = !(again ? on_message(header->type, message) : on_client_message(header->type, message));
    if (unfinished_) return false;
    client_at_ += header->total();
  }
  if (closing_) return true;
  return server_ || to_server_.empty();  // else it takes a server
}

void Session::client_bytes_done() {
  std::memmove(client_buffer_.get(), client_buffer_.get() + client_at_, client_size_ - client_at_);
  client_size_ -= std::exchange(client_at_, 0);
}

/// The same from where on_client_bytes() stopped, waiting where it must.
Awaitable<void> Session::go_on_with_client_bytes() {
  while (client_at_ < client_size_ && !closing_) {
    if (pass_on()) {
      co_await drain_to_server();
      continue;
    }
    const std::string_view rest(client_buffer_.get() + client_at_, client_size_ - client_at_);
    const auto header = protocol::peek_header(rest);
    if (!header) break;
    if (std::exchange(unfinished_, false)) {
      client_at_ += header->total();
      co_await finish_client_message(header->type, rest.substr(0, header->total()));
      continue;
    }
    if (!ready_) {
      co_await login_gate();
      if (closing_) co_return;
    }
    if (reusing_) {  // what the client sent may have to be sent after all, in front of this
      co_await drain_to_server();
      co_await quiet();
      reusing_ = nullptr;
      if (closing_) co_return;
    }
    if (protocol::violates_protocol(*header)) {
      // The server ends the connection at the sight of it, in its own words; nothing behind it will be read.
      counters_->protocol_errors.add();
      if (pooled()) {
        // In the server's words, for the next client will want its connection: it closes without one over a wrong length.
        if (!protocol::known_client_type(header->type)) fatal("08P01", "invalid frontend message type " + std::to_string(static_cast<unsigned char>(header->type)));
        client_lost();
        co_return;
      }
      lose_tracking("a message no server accepts");
      continue;
    }
    const bool whole = header->total() <= kBufferBytes;
    if (whole && rest.size() < header->total()) break;
    if (whole) {
      const std::string_view message = rest.substr(0, header->total());
      client_at_ += header->total();
      if (!ready_) {
        forward(message);
      } else {
        if (!on_client_message(header->type, message)) co_await finish_client_message(header->type, message);
      }
    } else {
      attaching_for_ = 0;
      if (ready_ && !attached()) {
        if (const bool good = co_await attach(); !good) co_return;
      }
      const std::string renamed = ready_ ? on_large_client_message(header->type, rest) : std::string();
      forward(renamed.empty() ? rest : renamed);
      client_passing_ = header->total() - rest.size();
      client_at_ = client_size_;
    }
  }
  if (closing_) co_return;
  client_bytes_done();
  if (!write_to_server()) co_await drain_to_server();
}

namespace {

/// The beginning of a Bind for another statement: the length in its header moves with the name.
std::string renamed_bind(std::string_view beginning, std::string_view portal, std::string_view name, std::string_view new_name) {
  const auto length = protocol::peek_header(beginning)->length;
  std::string out = "B";
  protocol::append_int32(out, static_cast<std::uint32_t>(length + new_name.size() - name.size()));
  out.append(portal).push_back('\0');
  out.append(new_name).push_back('\0');
  return out.append(beginning.substr(protocol::kHeaderBytes + portal.size() + 1 + name.size() + 1));
}

/// Between two transactions a server would answer these without doing anything, or not at all: late COPY messages are ignored.
bool needs_server(char type) { return type != 'S' && type != 'H' && type != 'X' && type != 'd' && type != 'c' && type != 'f'; }

}  // namespace

/// False when the message takes waiting: finish_client_message() then goes on with it. Most do not, and a coroutine for
/// each was a tenth of our time.
bool Session::on_client_message(char type, std::string_view message) {
  parse_at_hand_ = nullptr;
  sighted_ = false;
  if (skip_to_sync_ && type != 'X') {
    if (type == 'S') {
      skip_to_sync_ = false;
      protocol::append_ready(to_client_, 'I');
    }
    return true;
  }
  if (!unit_) unit_ = make_ref<Unit>();
  if (bytes_only()) unmarked_work();
  publish("active");
  const bool may_hold = held_.active() || type == 'P' || type == 'B';
  if (may_hold && try_hold(type, message)) return true;
  return on_message(type, message);
}

/// The same for a message that is not held back.
bool Session::on_message(char type, std::string_view message) {
  if (held_.active() && type == 'S' && may_be_reused()) {
    if (!server_ && !attach_at_once()) {
      server_missing_ = !server_ && greeted_;
      return false;
    }
    if (run_held_reused(message)) return true;
  }
  if (held_.active() && type == 'S' && resolve_held_at_once(message)) return true;
  if (held_.active() && (type == 'S' || (held_.execute && restrained(*held_.statement->plan)))) return false;
  if (!server_) {
    if (!needs_server(type) && !held_.active()) {
      if (type == 'S') protocol::append_ready(to_client_, 'I');
      leaving_ = leaving_ || type == 'X';
      return true;
    }
    // A simple query may be answered without one.
    if ((type != 'Q' || held_.active()) && !attach_at_once()) {
      server_missing_ = !server_ && !held_.active() && greeted_;
      return false;
    }
  }
  if (held_.active()) release_held();
  switch (type) {
    case 'Q':
      return query_at_once(message);
    case 'P':
      on_parse(message);
      return true;
    case 'B':
      return on_bind(message);
    case 'D':
      return on_describe(message);
    case 'E':
      return on_execute(message);
    case 'C':
      return on_close(message);
    case 'S':
      if (expect(Request::sync, {nullptr, unit_, nullptr})) unit_ = nullptr;
      group_open_ = false;
      break;
    case 'F':
      writes_.before_opaque(*unit_);
      note_residue(nullptr);
      doubt_settings();
      if (expect(Request::function_call, {nullptr, unit_, nullptr})) unit_ = nullptr;
      break;
    case 'c': case 'f':
      tracker_.copy_done();
      break;
    case 'X':
      leaving_ = true;
      if (!lending_.pool) break;
      if (group_open_ || tracker_.in_copy()) client_lost();
      return true;
    default:  // what no server knows it ends the connection for, with its own words
      break;
  }
  forward(message);
  return true;
}

Awaitable<void> Session::finish_client_message(char type, std::string_view message) {
  parse_at_hand_ = nullptr;
  attaching_for_ = type;
  if (held_.active()) return type == 'S' ? resolve_held(message) : break_up_held(type, message);
  if (type == 'Q') return on_query(message);
  return answer_here(type, message);
}

/// A held group in front of something else: it is sent as it came, its execution admitted first.
Awaitable<void> Session::break_up_held(char type, std::string_view message) {
  if (!attached()) {
    if (const bool good = co_await attach(); !good) co_return;
  }
  if (held_.execute && restrained(*held_.statement->plan)) {
    co_await release_restrained();
    if (closing_) co_return;
  }
  if (!on_message(type, message)) co_await finish_client_message(type, message);
}

std::string Session::on_large_client_message(char type, std::string_view beginning) {
  if (!unit_) unit_ = make_ref<Unit>();
  release_held();
  const auto body = beginning.substr(protocol::kHeaderBytes);
  switch (type) {
    case 'Q':
      writes_.before_opaque(*unit_);
      note_residue(nullptr);
      doubt_settings();
      counters_->not_analysed.add();
      forget_unnamed();
      unnamed_stale_ = false;
      if (expect(Request::query, {make_exec(opaque_plan(), {}), unit_, nullptr})) unit_ = nullptr;
      break;
    case 'P': {
      protocol::Reader r(body);
      auto prepared = std::make_shared<Prepared>();
      prepared->name = r.cstring();
      prepared->plan = opaque_plan();
      prepared->unkept = unkept_ = true;
      if (prepared->name.empty() && server_) server_->unnamed = prepared;
      counters_->not_analysed.add();
      if (expect(Request::parse, {nullptr, nullptr, prepared})) parsing_[prepared->name] = prepared;
      if (prepared->name.empty()) unnamed_stale_ = false;
      group_open_ = true;
      break;
    }
    case 'B': {
      protocol::Reader r(body);
      const auto portal = r.cstring();
      const auto name = r.cstring();
      const auto statement = find_prepared(name);
      if (!r.ok()) {
        lose_tracking("Bind: names do not fit the first 64 KiB");
        break;
      }
      if (statement && statement->local) {
        lose_tracking("Bind: oversized for EXPLAIN (PGSTEER)");
        break;
      }
      if (statement) send_unsent(statement);
      else drop_stale_unnamed(name);
      portals_[portal] = {statement, {}};
      expect(Request::bind, {});
      group_open_ = true;
      if (pooled() && statement && statement->statement) return renamed_bind(beginning, portal, name, statement->statement->server_name());
      break;
    }
    case 'F':
      writes_.before_opaque(*unit_);
      note_residue(nullptr);
      if (expect(Request::function_call, {nullptr, unit_, nullptr})) unit_ = nullptr;
      break;
    case 'd':
      break;
    default:
      lose_tracking("oversized message of a type that is always small");
  }
  return {};
}

}  // namespace pgsteer::proxy
