// The client's side of a login: ours, at the server.
#include "proxy/auth/server_login.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "protocol/scram.hpp"
#include "protocol/startup.hpp"
#include "protocol/wire.hpp"
#include "proxy/auth/auth_file.hpp"
#include "proxy/hosts/hosts.hpp"
#include "proxy/tls/tls.hpp"
#include "proxy/upstream.hpp"
#include "proxy/within.hpp"

namespace pgsteer::proxy {

namespace asio = boost::asio;

namespace {

/// A login's messages are small; what a hostile server may make us hold.
constexpr std::uint32_t kMaxLoginMessage = 64 * 1024;

std::string error_message(std::string sqlstate, std::string text) {
  std::string out;
  protocol::append_error(out, {.severity = "FATAL", .sqlstate = std::move(sqlstate), .message = std::move(text), .detail = {}, .hint = {}});
  return out;
}

std::string startup_packet(const Pool& pool, const std::vector<std::pair<std::string, std::string>>& parameters) {
  std::string body;
  const auto word = [&](std::string_view text) { body.append(text).push_back('\0'); };
  word("user");
  word(pool.user);
  word("database");
  word(pool.database);
  for (const auto& [name, value] : parameters) {
    word(name);
    word(value);
  }
  body.push_back('\0');
  std::string packet;
  protocol::append_int32(packet, static_cast<std::uint32_t>(body.size() + 8));
  protocol::append_int32(packet, protocol::kProtocol3);
  return packet + body;
}

/// One login exchange: takes the server's messages, says what to answer.
class Login {
 public:
  Login(Worker& worker, ServerConnection& server, const Pool& pool, Proof proof, bool ask_identity)
      : server_(server), pool_(pool), keys_(std::move(proof.keys)), ask_identity_(ask_identity) {
    const auto& config = *worker.snapshot().config;
    if (const auto* known = config.users ? config.users->secret(pool.user) : nullptr) secret_ = *known;
    if (!plain_password() && !proof.secret.empty()) secret_ = std::move(proof.secret);
  }

  /// Bytes to send; sets failed() or done().
  std::string take(char type, std::string_view body) {
    protocol::Reader r(body);
    switch (type) {
      case 'R': return authenticate(r);
      case 'S': {
        const auto name = r.cstring();
        server_.reported.set(name, r.cstring());
        return {};
      }
      case 'K':
        server_.pid = r.int32();
        server_.key = r.int32();
        return {};
      case 'E':
        return asked_ ? std::string() : refused(body);
      case 'Z': return ready();
      case 'D':
        if (const auto row = protocol::read_data_row(body); row && row->size() == 1) identity_ = row->front().value_or("");
        return {};
      case 'N': case 'v': case 'T': case 'C': return {};
      default: return fail("08P01", "invalid message from server during login");
    }
  }
  bool done() const { return done_; }
  const std::string& failure() const { return failure_; }
  const std::string& identity() const { return identity_; }  ///< "" when the server did not tell

 private:
  std::string fail(std::string sqlstate, std::string text) {
    failure_ = error_message(std::move(sqlstate), std::move(text));
    return {};
  }
  /// In the server's own words, if they are an error of PostgreSQL's.
  std::string refused(std::string_view error) {
    if (protocol::error_field(error, 'C').size() != 5 || protocol::error_field(error, 'M').empty()) return fail("08P01", "invalid error message from server during login");
    protocol::Message(failure_, 'E').bytes(error);
    return {};
  }
  std::string ready() {
    done_ = !ask_identity_ || asked_;
    std::string out;
    if (!done_) protocol::append_query(out, "SELECT " + std::string(kServerIdentity));
    asked_ = true;
    return out;
  }
  std::string password_message(std::string_view text) const {
    std::string out;
    protocol::Message(out, 'p').cstring(text);
    return out;
  }
  bool plain_password() const { return protocol::secret_kind(secret_) == protocol::SecretKind::plain; }
  std::string no_secret(std::string_view method) {
    return fail("28000", fmt::format("pgsteer has no secret of user \"{}\" for the server's {} authentication", pool_.user, method));
  }

  std::string authenticate(protocol::Reader& r) {
    const auto what = r.int32();
    switch (what) {
      case 0: return verified_ ? std::string() : fail("28000", "the server skipped the end of its SCRAM exchange");
      case 3: return plain_password() ? password_message(secret_) : no_secret("password");
      case 5: {
        const auto salt = r.bytes(4);
        if (plain_password()) return password_message(protocol::md5_answer(protocol::md5_secret(secret_, pool_.user), salt));
        return protocol::secret_kind(secret_) == protocol::SecretKind::md5 ? password_message(protocol::md5_answer(secret_, salt)) : no_secret("md5");
      }
      case 10: {
        bool offered = false, plus = false;
        for (auto mechanism = r.cstring(); r.ok() && !mechanism.empty(); mechanism = r.cstring()) {
          offered |= mechanism == "SCRAM-SHA-256";
          plus |= mechanism == "SCRAM-SHA-256-PLUS";
        }
        if (!(offered || plus) || (!plain_password() && !keys_)) return no_secret("SCRAM");
        // The proof is tied to this very TLS connection wherever both sides can: nobody in between can pass it on.
        std::string binding = server_end_point(server_.stream.ssl(), false);
        plus = plus && !binding.empty();
        const char* const header = plus ? "p=tls-server-end-point,," : binding.empty() ? "n,," : "y,,";
        scram_.emplace(protocol::base64(protocol::random_bytes(18)), header, plus ? std::move(binding) : std::string());
        verified_ = false;
        std::string out;
        const std::string first = scram_->first();
        protocol::Message(out, 'p').cstring(plus ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256").int32(static_cast<std::uint32_t>(first.size())).bytes(first);
        return out;
      }
      case 11: {
        const auto last = scram_ ? scram_->final(r.rest(), secret_, plain_password() ? std::nullopt : keys_) : std::nullopt;
        if (!last) return fail("08P01", "malformed SCRAM message from server");
        std::string out;
        protocol::Message(out, 'p').bytes(*last);
        return out;
      }
      case 12:
        verified_ = scram_ && scram_->verify(r.rest());
        return verified_ ? std::string() : fail("28000", "the server does not know the password it asked for");
      default:
        return fail("28000", fmt::format("the server asks for authentication of kind {}, which pgsteer does not know", what));
    }
  }

  ServerConnection& server_;
  const Pool& pool_;
  std::string secret_, failure_;
  std::optional<protocol::ScramKeys> keys_;
  std::optional<protocol::ScramClient> scram_;
  std::string identity_;
  const bool ask_identity_;
  bool verified_ = true, asked_ = false, done_ = false;
};

Awaitable<bool> exchange(ServerConnection& server, Login& login, std::string startup, std::string* failure) {
  const auto lost = [&] { *failure = error_message("08006", "server closed the connection unexpectedly during login"); };
  if (co_await server.stream.write_all(std::move(startup))) {
    lost();
    co_return false;
  }
  std::string body;
  while (!login.done()) {
    char header[protocol::kHeaderBytes];
    if (co_await server.stream.read_exactly(header, sizeof header)) {
      lost();
      co_return false;
    }
    const auto parsed = protocol::peek_header({header, sizeof header});
    if (parsed->length < 4 || parsed->length > kMaxLoginMessage) {
      *failure = error_message("08P01", "invalid message from server during login");
      co_return false;
    }
    body.resize(parsed->length - 4);
    if (co_await server.stream.read_exactly(body.data(), body.size())) {
      lost();
      co_return false;
    }
    auto answer = login.take(parsed->type, body);
    if (!login.failure().empty()) {
      *failure = login.failure();
      co_return false;
    }
    if (answer.empty()) continue;
    if (co_await server.stream.write_all(std::move(answer))) {
      lost();
      co_return false;
    }
  }
  co_return true;
}

}  // namespace

namespace {

/// What may be otherwise at another host, or a moment later: not what this user may not do.
bool concerns_the_host(std::string_view message) {
  const auto sqlstate = protocol::error_field(message.substr(protocol::kHeaderBytes), 'C');
  return sqlstate.starts_with("08") || sqlstate.starts_with("57");
}

bool is_on(const Parameters& reported, std::string_view name) {
  const auto* value = reported.find(name);
  return value && *value == "on";
}

Awaitable<std::unique_ptr<ServerConnection>> log_in(Worker& worker, std::shared_ptr<Pool> pool, int host, bool shared, std::string* refusal,
                                                    std::vector<std::pair<std::string, std::string>> parameters) {
  std::string error;
  auto socket = co_await connect_with_deadline(worker, host, &error);
  if (!socket) {
    *refusal = error_message("08006", error);
    co_return nullptr;
  }
  auto server = std::make_unique<ServerConnection>(worker, std::move(*socket));
  server->host = host;
  server->pool = pool;
  Login login(worker, *server, *pool, worker.hub.pools->proof(*pool), shared && !pool->for_reading());
  const auto welcome = co_await within(worker.loop, worker.snapshot().config->upstream.connect_timeout,
                                       exchange(*server, login, startup_packet(*pool, parameters), refusal));
  if (!welcome) {
    *refusal = error_message("08006", "the server did not complete the login within upstream.connect_timeout");
    co_return nullptr;
  }
  if (!*welcome) {
    spdlog::warn("event=server_login_failed database={} user={} sqlstate={} message=\"{}\"", pool->database, pool->user,
                 protocol::error_field(std::string_view(*refusal).substr(protocol::kHeaderBytes), 'C'),
                 protocol::error_field(std::string_view(*refusal).substr(protocol::kHeaderBytes), 'M'));
    co_return nullptr;
  }
  if (pool->for_reading()) {
    server->reported.set("in_hot_standby", "off");  // as the primary says it: no news for clients
    co_return server;
  }
  Hosts& hosts = *worker.hub.hosts;
  if (!hosts.fits(is_on(server->reported, "in_hot_standby"), is_on(server->reported, "default_transaction_read_only")) || !hosts.fits(host)) {
    hosts.look_soon();  // it has become something else
    server->say_goodbye();
    *refusal = error_message("08006", fmt::format("session on \"{}\" is not {}", hosts.endpoint(host).address(), to_string(hosts.wanted())));
    co_return nullptr;
  }
  if (shared) worker.hub.server_started(login.identity());
  co_return server;
}

}  // namespace

Awaitable<std::unique_ptr<ServerConnection>> open_server(Worker& worker, std::shared_ptr<Pool> pool, Slot slot, bool shared, ServerRefusal* refusal,
                                                         std::vector<std::pair<std::string, std::string>> parameters) {
  const Hosts& hosts = *worker.hub.hosts;
  std::unique_ptr<ServerConnection> server;
  refusal->message = error_message("08006", hosts.several() ? hosts.why_none() : std::string());
  refusal->again = hosts.particular() && !pool->for_reading();
  const auto candidates = pool->for_reading() ? std::vector<int>{pool->host} : hosts.candidates(true);
  for (const int host : candidates) {
    server = co_await log_in(worker, pool, host, shared, &refusal->message, parameters);
    if (server) break;
    if (concerns_the_host(refusal->message)) continue;
    refusal->again = false;
    break;
  }
  if (!server) co_return nullptr;
  server->slot = std::move(slot);
  static const auto fresh = std::make_shared<const SessionState>();
  server->state = fresh;
  server->connected = server->idle_since = ServerConnection::Clock::now();
  co_return server;
}

Awaitable<void> cancel_server(Worker& worker, int host, std::uint32_t pid, std::uint32_t key) {
  std::string error, packet;
  auto connected = co_await connect_with_deadline(worker, host, &error);
  if (!connected) co_return;
  Stream stream = std::move(*connected);
  protocol::append_int32(packet, 16);
  protocol::append_int32(packet, protocol::kCancelRequest);
  protocol::append_int32(packet, pid);
  protocol::append_int32(packet, key);
  char byte;
  if (co_await stream.write_all(packet)) co_return;
  co_await within(worker.loop, worker.snapshot().config->upstream.connect_timeout, stream.read_exactly(&byte, 1));
}

}  // namespace pgsteer::proxy
