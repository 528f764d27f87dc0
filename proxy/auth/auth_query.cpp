#include "proxy/auth/auth_query.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cmath>
#include <cstdlib>
#include <deque>
#include <mutex>

#include "protocol/wire.hpp"
#include "proxy/auth/server_login.hpp"
#include "proxy/hosts/hosts.hpp"
#include "proxy/within.hpp"

namespace pgsteer::proxy {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

namespace {

constexpr auto kAskedJustNow = std::chrono::seconds(1);
constexpr auto kRestAfterFailure = std::chrono::seconds(1);  ///< the server is not asked, and every login that needs it is refused
constexpr auto kUnused = std::chrono::minutes(1);
constexpr std::uint32_t kMaxMessage = 64 * 1024;
constexpr std::size_t kMaxName = 63;  ///< of a role: whoever says more is nobody

/// One look-up that is waited for, on the loop of its own worker.
struct Ticket {
  Ticket(Worker& the_worker, std::string the_user) : worker(the_worker), user(std::move(the_user)), answered(the_worker.loop) {
    answered.expires_at(Clock::time_point::max());
  }
  Worker& worker;
  const std::string user;
  asio::steady_timer answered;
  std::optional<AuthQuery::Found> found;
};

std::string question(const std::string& text, const std::string& user) {
  std::string out;
  protocol::Message(out, 'P').cstring("").cstring(text).int16(0);
  protocol::Message(out, 'B').cstring("").cstring("").int16(0).int16(1).int32(static_cast<std::uint32_t>(user.size())).bytes(user).int16(0);
  protocol::Message(out, 'E').cstring("").int32(2);
  protocol::append_empty(out, 'S');
  return out;
}

/// What came back for one question, up to ReadyForQuery.
struct Reply {
  std::vector<std::vector<std::optional<std::string>>> rows;
  std::string sqlstate, message;
  bool lost = false;
};

Awaitable<Reply> exchange(ServerConnection& server, std::string request) {
  Reply reply;
  reply.lost = static_cast<bool>(co_await server.stream.write_all(std::move(request)));
  std::string body;
  while (!reply.lost) {
    char header[protocol::kHeaderBytes];
    reply.lost = static_cast<bool>(co_await server.stream.read_exactly(header, sizeof header));
    if (reply.lost) break;
    const auto parsed = protocol::peek_header({header, sizeof header});
    reply.lost = parsed->length < 4 || parsed->length > kMaxMessage;
    if (reply.lost) break;
    body.resize(parsed->length - 4);
    reply.lost = static_cast<bool>(co_await server.stream.read_exactly(body.data(), body.size()));
    if (reply.lost || parsed->type == 'Z') break;
    if (parsed->type == 'E') {
      reply.sqlstate = protocol::error_field(body, 'C');
      reply.message = protocol::error_field(body, 'M');
    } else if (parsed->type == 'D') {
      if (const auto row = protocol::read_data_row(body)) {
        auto& kept = reply.rows.emplace_back();
        for (const auto& value : *row) kept.push_back(value ? std::optional<std::string>(*value) : std::nullopt);
      }
    }
  }
  co_return reply;
}

/// The same with a deadline; what the server may still say after it is nobody's: `lost`.
Awaitable<Reply> exchange_within(ServerConnection& server, std::string request, std::chrono::milliseconds limit) {
  auto answer = co_await within(server.worker->loop, limit, exchange(server, std::move(request)));
  Reply reply;
  if (answer) reply = std::move(*answer);
  else reply.lost = true;
  if (reply.lost) reply.message = answer ? "the server closed the connection" : "no answer within upstream.connect_timeout";
  co_return reply;
}

/// One row of the user's very name, with a secret and, as the case may be, the second it ends at. Anything else is an error of the query.
bool read_answer(const Reply& reply, const std::string& user, SecretAnswer* answer, std::string* fault) {
  if (reply.rows.empty()) return true;
  const auto& row = reply.rows.front();
  if (reply.rows.size() > 1 || row.size() < 2 || row.size() > 3 || row[0].value_or("") != user) {
    *fault = "expected one row: the user's name, its secret, and perhaps when that ends";
    return false;
  }
  if (row[1] && !row[1]->empty()) answer->secret = *row[1];
  if (row.size() < 3 || !row[2]) return true;
  char* end = nullptr;
  answer->ends_unix = std::strtod(row[2]->c_str(), &end);
  if (!row[2]->empty() && end == row[2]->c_str() + row[2]->size() && !std::isnan(answer->ends_unix)) return true;
  *fault = "expected the third column to be seconds since 1970";
  return false;
}

}  // namespace

struct AuthQuery::Impl : std::enable_shared_from_this<AuthQuery::Impl> {
  explicit Impl(Worker& the_worker) : worker(the_worker) {}
  Worker& worker;

  std::mutex mutex;  // guards the next two
  SecretCache cache;
  std::shared_ptr<const Config> asked_by;  ///< whose answers they are: a reload forgets them

  // The worker's thread only:
  std::deque<std::shared_ptr<Ticket>> waiting;
  bool serving = false;
  std::unique_ptr<ServerConnection> server;
  std::shared_ptr<const Config> opened_by;
  Clock::time_point rests_until{}, used{};

  std::optional<SecretAnswer> known(const std::string& user, const std::shared_ptr<const Config>& config, std::chrono::milliseconds age) {
    const std::lock_guard lock(mutex);
    if (asked_by != config) {
      cache.clear();
      asked_by = config;
    }
    const auto* answer = cache.find(user, Clock::now(), age);
    return answer ? std::optional(*answer) : std::nullopt;
  }

  Awaitable<bool> open(std::string* fault);
  Awaitable<bool> ask(std::string user, SecretAnswer* answer, std::string* fault);
  Awaitable<void> serve(std::shared_ptr<Impl> self);
  void begin();  ///< if there is somebody to serve and nobody does
  void tell(const std::string& user, const Found& found);
};

Awaitable<bool> AuthQuery::Impl::open(std::string* fault) {
  const auto config = worker.snapshot().config;
  // Of no pool that clients share, and beyond the pools' limits.
  const auto pool = std::make_shared<Pool>(config->auth.query_database, config->auth.query_user, Pool::kMain);
  ServerRefusal refusal;
  server = co_await open_server(worker, pool, Slot(), true, &refusal);
  if (!server) {
    *fault = protocol::error_field(std::string_view(refusal.message).substr(protocol::kHeaderBytes), 'M');
    co_return false;
  }
  opened_by = config;
  // Whatever the role or the database was given by ALTER: names in the query mean the system's own.
  std::string request;
  protocol::append_query(request, "SET search_path TO pg_catalog, pg_temp");
  const Reply reply = co_await exchange_within(*server, std::move(request), config->upstream.connect_timeout);
  if (!reply.lost && reply.sqlstate.empty()) co_return true;
  *fault = reply.message;
  server.reset();
  co_return false;
}

Awaitable<bool> AuthQuery::Impl::ask(std::string user, SecretAnswer* answer, std::string* fault) {
  const auto config = worker.snapshot().config;
  for (;;) {
    if (server && (opened_by != config || !server->alive() || !worker.hub.hosts->fits(server->host))) server.reset();
    const bool fresh = !server;
    if (fresh) {
      if (const bool opened = co_await open(fault); !opened) co_return false;
    }
    const Reply reply = co_await exchange_within(*server, question(config->auth.query, user), config->upstream.connect_timeout);
    used = Clock::now();
    *fault = reply.message;
    if (reply.lost) {
      server.reset();
      if (!fresh) continue;
      co_return false;
    }
    if (reply.sqlstate.starts_with("22")) co_return true;  // a name that cannot be one in the server's encoding: nobody
    co_return reply.sqlstate.empty() && read_answer(reply, user, answer, fault);
  }
}

Awaitable<void> AuthQuery::Impl::serve(std::shared_ptr<Impl> self) {
  const std::shared_ptr<bool> ends(&self->serving, [self](bool* flag) { *flag = false; });  // whatever is thrown
  serving = true;
  asio::steady_timer pause(worker.loop);
  while (!waiting.empty()) {
    if (worker.hub.paused.load()) {
      pause.expires_after(std::chrono::milliseconds(50));
      co_await pause.async_wait(as_result);
      continue;
    }
    const std::string user = waiting.front()->user;
    Found found;
    if (Clock::now() < rests_until) {
      found.failed = true;
    } else {
      std::string fault;
      const auto config = worker.snapshot().config;
      const bool asked = co_await ask(user, &found.answer, &fault);
      found.failed = !asked;
      if (found.failed) {
        rests_until = Clock::now() + kRestAfterFailure;
        spdlog::warn("event=auth_query_failed error=\"{}\"", fault);
      } else {
        const std::lock_guard lock(mutex);
        if (asked_by == config) cache.put(user, found.answer, Clock::now());
      }
    }
    tell(user, found);
  }
}

void AuthQuery::Impl::begin() {
  if (!serving && !waiting.empty()) asio::co_spawn(worker.loop, serve(shared_from_this()), asio::detached);
}

/// Everybody who waits for this user's answer.
void AuthQuery::Impl::tell(const std::string& user, const Found& found) {
  for (auto it = waiting.begin(); it != waiting.end();) {
    if ((*it)->user != user) {
      ++it;
      continue;
    }
    asio::post((*it)->worker.loop, [ticket = *it, found] {
      ticket->found = found;
      ticket->answered.cancel();
    });
    it = waiting.erase(it);
  }
}

AuthQuery::AuthQuery(Worker& worker) : impl_(std::make_shared<Impl>(worker)) {}
AuthQuery::~AuthQuery() = default;

Awaitable<AuthQuery::Found> AuthQuery::look_up(Worker& caller, std::string user, bool again) {
  const auto config = caller.snapshot().config;
  if (user.size() > kMaxName) co_return Found{};
  const auto age = again ? std::min<std::chrono::milliseconds>(kAskedJustNow, config->auth.query_cache) : config->auth.query_cache;
  if (const auto answer = impl_->known(user, config, age)) co_return Found{*answer, false, true};
  auto ticket = std::make_shared<Ticket>(caller, std::move(user));
  asio::post(impl_->worker.loop, [impl = impl_, ticket] {
    impl->waiting.push_back(ticket);
    impl->begin();
  });
  while (!ticket->found) co_await ticket->answered.async_wait(as_result);
  co_return *ticket->found;
}

void AuthQuery::tick() {
  impl_->begin();  // again, where serve() was ended by what it threw
  if (!impl_->server || impl_->serving) return;
  if (!impl_->worker.hub.paused.load() && Clock::now() - impl_->used < kUnused) return;
  impl_->server->say_goodbye();
  impl_->server.reset();
}

}  // namespace pgsteer::proxy
