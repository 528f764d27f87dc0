// The server's side of a login: ours, for clients.
#include "proxy/auth/client_login.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "protocol/wire.hpp"
#include "proxy/auth/auth_file.hpp"
#include "proxy/auth/hba.hpp"
#include "proxy/tls/tls.hpp"

namespace pgsteer::proxy {

namespace asio = boost::asio;

namespace {

constexpr std::uint32_t kMaxAnswer = 64 * 1024;
constexpr std::uint32_t kIterations = 4096;

Awaitable<void> send_fatal(Stream& client, std::string sqlstate, std::string message) {
  std::string bytes;
  protocol::append_error(bytes, {.severity = "FATAL", .sqlstate = std::move(sqlstate), .message = std::move(message), .detail = {}, .hint = {}});
  co_await client.write_all(std::move(bytes));
}

/// Body of the client's next message, which must be of type 'p'.
Awaitable<std::optional<std::string>> read_answer(Stream& client) {
  char header[protocol::kHeaderBytes];
  if (co_await client.read_exactly(header, sizeof header)) co_return std::nullopt;
  const auto parsed = protocol::peek_header({header, sizeof header});
  if (parsed->type != 'p' || parsed->length < 4 || parsed->length > kMaxAnswer) {
    co_await send_fatal(client, "08P01", fmt::format("expected password response, got message type {}", static_cast<int>(parsed->type)));
    co_return std::nullopt;
  }
  std::string body(parsed->length - 4, '\0');
  if (co_await client.read_exactly(body.data(), body.size())) co_return std::nullopt;
  co_return body;
}

enum class Verdict { right, wrong, over };  ///< over: told, or gone

std::string request(std::uint32_t kind, std::string_view body = {}) {
  std::string out;
  protocol::Message(out, 'R').int32(kind).bytes(body);
  return out;
}

/// The same for one user every time, as a stored salt would be, and nobody else's to guess.
std::string mock_salt(std::string_view user) {
  static const std::string key = protocol::random_bytes(32);
  return protocol::md5_secret(key, user).substr(3, 16);
}

Awaitable<Verdict> by_scram(Stream& client, std::string user, const std::string* secret, std::optional<protocol::ScramKeys>* keys) {
  std::optional<protocol::ScramSecret> stored;
  if (secret) {
    stored = protocol::parse_scram_secret(*secret);
    if (!stored && !secret->empty() && !secret->starts_with("md5")) {
      stored = protocol::make_scram_secret(*secret, protocol::random_bytes(16), kIterations);
    }
  }
  const bool doomed = !stored;
  const bool passes_through = stored && secret->starts_with("SCRAM-SHA-256$");
  if (doomed) stored = protocol::ScramSecret{kIterations, mock_salt(user), {}, {}};
  using namespace std::string_view_literals;
  const std::string binding = server_end_point(client.ssl(), true);
  const auto mechanisms = binding.empty() ? "SCRAM-SHA-256\0\0"sv : "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"sv;
  if (co_await client.write_all(request(10, mechanisms))) co_return Verdict::over;
  auto answer = co_await read_answer(client);
  if (!answer) co_return Verdict::over;
  protocol::Reader r(*answer);
  const auto mechanism = r.cstring();
  const auto length = r.int32();
  const bool plus = mechanism == "SCRAM-SHA-256-PLUS" && !binding.empty();
  if (!r.ok() || (mechanism != "SCRAM-SHA-256" && !plus) || length != r.rest().size()) {
    co_await send_fatal(client, "08P01", "client selected an invalid SASL authentication mechanism");
    co_return Verdict::over;
  }
  protocol::ScramServer scram(*stored, protocol::base64(protocol::random_bytes(18)), binding, plus, doomed);
  const auto first = scram.first(r.rest());
  if (!first) {
    co_await send_fatal(client, "08P01", "malformed SCRAM message: " + scram.error());
    co_return Verdict::over;
  }
  if (co_await client.write_all(request(11, *first))) co_return Verdict::over;
  answer = co_await read_answer(client);
  if (!answer) co_return Verdict::over;
  const auto last = scram.final(*answer);
  if (!last && !scram.error().empty()) {
    co_await send_fatal(client, "08P01", "malformed SCRAM message: " + scram.error());
    co_return Verdict::over;
  }
  if (!last) co_return Verdict::wrong;
  if (passes_through) *keys = scram.keys();
  co_return co_await client.write_all(request(12, *last)) ? Verdict::over : Verdict::right;
}

Awaitable<Verdict> by_md5(Stream& client, std::string user, const std::string* secret) {
  const std::string salt = protocol::random_bytes(4);
  if (co_await client.write_all(request(5, salt))) co_return Verdict::over;
  const auto answer = co_await read_answer(client);
  if (!answer) co_return Verdict::over;
  const bool usable = secret && !secret->empty() && !secret->starts_with("SCRAM-SHA-256$");
  const std::string stored = usable && secret->starts_with("md5") ? *secret : protocol::md5_secret(usable ? *secret : salt, user);
  protocol::Reader r(*answer);
  co_return protocol::equal_in_constant_time(r.cstring(), protocol::md5_answer(stored, salt)) && usable ? Verdict::right : Verdict::wrong;
}

Awaitable<Verdict> by_password(Stream& client, std::string user, const std::string* secret) {
  if (co_await client.write_all(request(3))) co_return Verdict::over;
  const auto answer = co_await read_answer(client);
  if (!answer) co_return Verdict::over;
  protocol::Reader r(*answer);
  const auto given = r.cstring();
  if (!secret || secret->empty() || given.empty()) co_return Verdict::wrong;
  bool right = false;
  if (const auto stored = protocol::parse_scram_secret(*secret)) {
    right = protocol::make_scram_secret(given, stored->salt, stored->iterations) == *stored;
  } else if (secret->starts_with("md5")) {
    right = protocol::equal_in_constant_time(protocol::md5_secret(given, user), *secret);
  } else {
    right = protocol::equal_in_constant_time(given, *secret);
  }
  co_return right ? Verdict::right : Verdict::wrong;
}

/// What a login has to show here.
struct Demand {
  LoginMethod method = LoginMethod::reject;
  HbaFile::Certificate certificate = HbaFile::Certificate::none;
  bool by_rule = false;
};

LoginMethod configured_method(const std::string& name) {
  for (const auto method : {LoginMethod::trust, LoginMethod::md5, LoginMethod::password, LoginMethod::cert})
    if (to_string(method) == name) return method;
  return LoginMethod::scram_sha_256;
}

std::string encryption(const LoginRequest& request) { return request.encrypted ? "SSL encryption" : "no encryption"; }

/// The server's words for a client that no rule lets in.
std::string no_entry(const LoginRequest& request, bool rejected) {
  const std::string host = request.address ? request.address->to_string() : "[local]";
  const std::string what = request.physical_replication ? "replication connection" : "connection";
  const std::string which = request.physical_replication ? "" : fmt::format(", database \"{}\"", request.database);
  if (rejected) return fmt::format("pg_hba.conf rejects {} for host \"{}\", user \"{}\"{}, {}", what, host, request.user, which, encryption(request));
  return fmt::format("no pg_hba.conf entry for {}host \"{}\", user \"{}\"{}, {}", request.physical_replication ? what + " from " : std::string(),
                     host, request.user, which, encryption(request));
}

/// By the rules, where there are some; nullopt with the words of the refusal.
std::optional<Demand> demand(const Config& config, const LoginRequest& request, std::string* refusal) {
  if (!config.hba) {
    const auto method = configured_method(config.auth.method);
    return Demand{method, method == LoginMethod::cert ? HbaFile::Certificate::verify_full : HbaFile::Certificate::none, false};
  }
  const auto* rule = config.hba->find(request);
  if (rule && rule->method != LoginMethod::reject) return Demand{rule->method, rule->certificate, true};
  *refusal = no_entry(request, rule != nullptr);
  spdlog::info("event=login_refused user={} database={} address={} hba_line={}", request.user, request.database,
               request.address ? request.address->to_string() : "unix", rule ? std::to_string(rule->line) : "none");
  return std::nullopt;
}

/// "" when the certificate, if one is demanded, is there and fits.
std::string certificate_missing(const Demand& demand, ssl_st* ssl, const std::string& user) {
  if (demand.certificate == HbaFile::Certificate::none) return {};
  if (!shows_certificate(ssl)) return "connection requires a valid client certificate";
  if (demand.certificate == HbaFile::Certificate::verify_ca || peer_common_name(ssl) == user) return {};
  return fmt::format("certificate authentication failed for user \"{}\"", user);
}

Awaitable<std::string> name_of(uid_t uid) {
  passwd entry{}, *found = nullptr;
  std::array<char, 16384> space{};
  const bool known = ::getpwuid_r(uid, &entry, space.data(), space.size(), &found) == 0 && found;
  co_return known ? std::string(found->pw_name) : std::string();
}

/// The operating system's user at the other end of a unix socket. Who that is may be a question to another machine (nsswitch): it is
/// asked on a thread of its own.
Awaitable<std::string> peer_name(Stream& client) {
  static asio::thread_pool names(1);
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(client.socket().native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) co_return std::string();
  co_return co_await asio::co_spawn(names, name_of(peer.uid), asio::use_awaitable);
}

LoginRequest request_of(const protocol::Startup& startup, const std::string& client_address, bool encrypted) {
  LoginRequest request{startup.database, startup.user, startup.replicates() && !startup.replicates_database(), std::nullopt, encrypted};
  boost::system::error_code ec;
  const auto address = asio::ip::make_address(client_address.substr(0, client_address.rfind(':')), ec);
  if (!ec) request.address = address;
  return request;
}

}  // namespace

Awaitable<bool> authenticate_client(Worker& worker, Stream& client, const protocol::Startup& startup, std::string client_address,
                                    std::optional<protocol::ScramKeys>* keys) {
  const auto config = worker.snapshot().config;
  std::string refusal;
  const auto asked = demand(*config, request_of(startup, client_address, client.encrypted()), &refusal);
  if (asked) refusal = certificate_missing(*asked, client.ssl(), startup.user);
  if (refusal.empty() && asked->method == LoginMethod::peer) {
    const std::string name = co_await peer_name(client);
    if (name != startup.user) refusal = fmt::format("Peer authentication failed for user \"{}\"", startup.user);
  }
  if (!refusal.empty()) {
    if (asked) spdlog::info("event=login_refused user={} method={} reason=\"{}\"", startup.user, to_string(asked->method), refusal);
    co_await send_fatal(client, "28000", std::move(refusal));
    co_return false;
  }
  const std::string* secret = config->users ? config->users->secret(startup.user) : nullptr;
  Verdict verdict;
  switch (asked->method) {
    case LoginMethod::trust: case LoginMethod::cert: case LoginMethod::peer: co_return true;
    case LoginMethod::md5:
      // As the server: md5 in a rule also means SCRAM for who has such a secret.
      if (asked->by_rule && secret && secret->starts_with("SCRAM-SHA-256$")) verdict = co_await by_scram(client, startup.user, secret, keys);
      else verdict = co_await by_md5(client, startup.user, secret);
      break;
    case LoginMethod::password: verdict = co_await by_password(client, startup.user, secret); break;
    default: verdict = co_await by_scram(client, startup.user, secret, keys);
  }
  if (verdict == Verdict::right) co_return true;
  if (verdict == Verdict::wrong) {
    spdlog::info("event=login_refused user={} method={}", startup.user, to_string(asked->method));
    co_await send_fatal(client, "28P01", fmt::format("password authentication failed for user \"{}\"", startup.user));
  }
  co_return false;
}

}  // namespace pgsteer::proxy
