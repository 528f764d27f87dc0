// The console's end of the wire protocol: simple and extended queries, as drivers send them.
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <algorithm>
#include <map>

#include "protocol/wire.hpp"
#include "proxy/console/console.hpp"
#include "proxy/console/words.hpp"
#include "proxy/listener.hpp"

namespace pgsteer::proxy {

namespace asio = boost::asio;
constexpr std::uint32_t kMaxConsoleMessage = 64 * 1024;

namespace {

bool from_this_machine(std::string_view address) {
  return address == "unix" || address.starts_with("127.") || address.starts_with("::1") ||
         address.starts_with("::ffff:127.");
}

void append_description(std::string& out, const ConsoleResult& result) {
  if (result.columns.empty()) {
    protocol::append_empty(out, 'n');
    return;
  }
  std::vector<protocol::ColumnDescription> columns;
  for (const auto& column : result.columns) columns.push_back({column.name, column.type});
  protocol::append_row_description(out, columns);
}

void append_rows(std::string& out, const ConsoleResult& result) {
  for (const auto& row : result.rows) protocol::append_data_row(out, row);
  protocol::append_command_complete(out, result.tag.empty() ? "SHOW" : result.tag);
}

void append_failure(std::string& out, const ConsoleResult& result) {
  protocol::append_error(out, {.severity = "ERROR", .sqlstate = result.sqlstate, .message = result.message,
                               .detail = {}, .hint = result.hint});
}

/// Protocol state of one console connection: commands run at Describe or Execute, once each.
class ConsoleProtocol {
 public:
  ConsoleProtocol(Hub& hub, ConsoleUser user) : hub_(hub), user_(std::move(user)) {}

  /// Handles one message; false: close after writing `out`.
  bool handle(char type, std::string_view body, std::string& out) {
    if (skipping_ && type != 'S' && type != 'X') return true;
    switch (type) {
      case 'Q': return query(body.substr(0, body.find('\0')), out);
      case 'P': {
        const auto parse = protocol::read_parse(body);
        if (!parse) return fail(out, "08P01", "invalid Parse message");
        statements_[std::string(parse->name)] = std::string(parse->text);
        protocol::append_empty(out, '1');
        return true;
      }
      case 'B': {
        const auto bind = protocol::read_bind(body);
        if (!bind) return fail(out, "08P01", "invalid Bind message");
        const auto found = statements_.find(std::string(bind->statement));
        if (found == statements_.end()) return fail(out, "26000", "prepared statement does not exist");
        portals_[std::string(bind->portal)] = {found->second, std::nullopt};
        protocol::append_empty(out, '2');
        return true;
      }
      case 'D': {
        const auto target = protocol::read_target(body);
        if (!target) return fail(out, "08P01", "invalid Describe message");
        return describe(*target, out);
      }
      case 'E': {
        const auto execute = protocol::read_execute(body);
        const auto found = execute ? portals_.find(std::string(execute->portal)) : portals_.end();
        if (found == portals_.end()) return fail(out, "34000", "portal does not exist");
        const ConsoleResult result = found->second.result ? *found->second.result : run(found->second.text);
        found->second.result.reset();
        if (!result.sqlstate.empty()) {
          append_failure(out, result);
          skipping_ = true;
          return true;
        }
        append_rows(out, result);
        return !result.close;
      }
      case 'C': protocol::append_empty(out, '3'); return true;
      case 'S':
        skipping_ = false;
        protocol::append_ready(out, 'I');
        return true;
      case 'H': return true;
      case 'X': return false;
      default: return fail(out, "08P01", "the console understands queries only");
    }
  }

  /// Whether what was answered may be sent.
  bool due() {
    if (until_ && until_()) until_ = nullptr;
    return !until_;
  }

 private:
  struct ConsolePortal {
    std::string text;
    std::optional<ConsoleResult> result;
  };

  ConsoleResult run(std::string_view text) {
    auto result = run_console_command(hub_, user_, text);
    if (result.until) until_ = std::move(result.until);
    return result;
  }

  bool fail(std::string& out, const char* sqlstate, const char* message) {
    protocol::append_error(out, {.severity = "ERROR", .sqlstate = sqlstate, .message = message, .detail = {}, .hint = {}});
    skipping_ = true;
    return true;
  }

  bool query(std::string_view text, std::string& out) {
    if (std::all_of(text.begin(), text.end(), [](unsigned char c) { return c == ';' || c <= ' '; })) {
      protocol::append_empty(out, 'I');
      protocol::append_ready(out, 'I');
      return true;
    }
    const ConsoleResult result = run(text);
    if (!result.sqlstate.empty()) {
      append_failure(out, result);
    } else {
      if (!result.columns.empty()) append_description(out, result);
      append_rows(out, result);
    }
    protocol::append_ready(out, 'I');
    return !result.close;
  }

  bool describe(const protocol::TargetMessage& target, std::string& out) {
    if (target.kind == 'P') {
      const auto found = portals_.find(std::string(target.name));
      if (found == portals_.end()) return fail(out, "34000", "portal does not exist");
      found->second.result = run(found->second.text);
      if (!found->second.result->sqlstate.empty()) {
        append_failure(out, *found->second.result);
        skipping_ = true;
        return true;
      }
      append_description(out, *found->second.result);
      return true;
    }
    const auto found = statements_.find(std::string(target.name));
    if (found == statements_.end()) return fail(out, "26000", "prepared statement does not exist");
    protocol::Message(out, 't').int16(0);
    // Only a SHOW may be run to learn its columns: it changes nothing.
    const auto words = console::split_words(found->second);
    const bool shows = !words.empty() && (words[0].is("SHOW") || words[0].is("SELECT"));
    append_description(out, shows ? run(found->second) : ConsoleResult{});
    return true;
  }

  Hub& hub_;
  ConsoleUser user_;
  std::map<std::string, std::string> statements_;
  std::map<std::string, ConsolePortal> portals_;
  bool skipping_ = false;
  std::function<bool()> until_;
};

}  // namespace

asio::awaitable<void> serve_console(Worker& worker, Stream client, std::string user, std::string client_address) {
  const auto config = worker.snapshot().config;
  const auto listed = [&](const std::vector<std::string>& names) {
    return std::find(names.begin(), names.end(), user) != names.end();
  };
  const bool open = config->console.admin_users.empty() && config->console.stats_users.empty();
  const bool admin = open || listed(config->console.admin_users);
  std::string out;
  if (!from_this_machine(client_address) || (!admin && !listed(config->console.stats_users))) {
    protocol::append_error(out, {.severity = "FATAL", .sqlstate = "28000",
                                 .message = "console access is not allowed for user \"" + user + "\" from here",
                                 .detail = {},
                                 .hint = "The console answers connections from this machine, for console.admin_users "
                                         "and console.stats_users."});
    co_await client.write_all(out);
    co_return;
  }
  protocol::Message(out, 'R').int32(0);
  for (const auto& [name, value] : {std::pair{"server_version", "15.0 (pgsteer " PGSTEER_VERSION ")"},
                                    std::pair{"client_encoding", "UTF8"}, std::pair{"server_encoding", "UTF8"},
                                    std::pair{"DateStyle", "ISO, MDY"}, std::pair{"TimeZone", "UTC"},
                                    std::pair{"integer_datetimes", "on"},
                                    std::pair{"standard_conforming_strings", "on"}}) {
    protocol::append_parameter_status(out, name, value);
  }
  protocol::Message(out, 'K').int32(0).int32(0);
  protocol::append_ready(out, 'I');
  ConsoleProtocol protocol_state(worker.hub, {user, admin});
  std::string header(protocol::kHeaderBytes, '\0');
  std::string body;
  for (bool go_on = true;;) {
    while (!protocol_state.due()) {
      if (client.hung_up()) co_return;
      asio::steady_timer look(worker.loop, std::chrono::milliseconds(20));
      co_await look.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    if (!out.empty()) co_await client.write_all(std::exchange(out, {}));
    if (!go_on) co_return;
    // No deadline: an idle console may stay.
    if (co_await client.read_exactly(header.data(), header.size())) co_return;
    const auto parsed = protocol::peek_header(header);
    if (parsed->length < 4 || parsed->length > kMaxConsoleMessage) {
      protocol::append_error(out, {.severity = "FATAL", .sqlstate = "08P01", .message = "invalid message length",
                                   .detail = {}, .hint = {}});
      go_on = false;
      continue;
    }
    body.resize(parsed->length - 4);
    if (co_await client.read_exactly(body.data(), body.size())) co_return;
    go_on = protocol_state.handle(parsed->type, body, out);
  }
}

}  // namespace pgsteer::proxy
