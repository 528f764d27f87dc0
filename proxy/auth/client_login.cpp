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
#include <ctime>

#include "proxy/auth/auth_file.hpp"
#include "proxy/auth/auth_query.hpp"
#include "proxy/auth/hba.hpp"
#include "proxy/tls/tls.hpp"

namespace pgsteer::proxy {

namespace asio = boost::asio;

namespace {

/// What a login has to show here.
struct Demand {
  LoginMethod method = LoginMethod::reject;
  HbaFile::Certificate certificate = HbaFile::Certificate::none;
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
    return Demand{method, method == LoginMethod::cert ? HbaFile::Certificate::verify_full : HbaFile::Certificate::none};
  }
  const auto* rule = config.hba->find(request);
  if (rule && rule->method != LoginMethod::reject) return Demand{rule->method, rule->certificate};
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
  if (::getsockopt(client.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) co_return std::string();
  co_return co_await asio::co_spawn(names, name_of(peer.uid), asio::use_awaitable);
}

LoginRequest request_of(const protocol::Startup& startup, const std::string& client_address, bool encrypted) {
  LoginRequest request{startup.database, startup.user, startup.replicates() && !startup.replicates_database(), std::nullopt, encrypted};
  boost::system::error_code ec;
  const auto address = asio::ip::make_address(client_address.substr(0, client_address.rfind(':')), ec);
  if (!ec) request.address = address;
  return request;
}

/// A candidate, and where it is from.
struct LookedUp {
  Candidate candidate;
  bool failed = false;  ///< the server could not be asked for it
  bool cached = false;  ///< it is of a while ago: asking again may tell something else
};

/// auth.file decides on whom it has; the server is asked for the others, and of all it knows when a password ends.
Awaitable<LookedUp> look_up(Worker& worker, std::string user, bool again) {
  const auto config = worker.snapshot().config;
  LookedUp known;
  known.candidate.user = user;
  const auto* own = config->users ? config->users->secret(user) : nullptr;
  if (own) known.candidate.secret = *own;
  if (config->auth.query_user.empty() || !worker.hub.auth_query || (own && own->empty())) co_return known;
  const auto found = co_await worker.hub.auth_query->look_up(worker, std::move(user), again);
  known.failed = found.failed && !own;
  known.cached = found.cached && !own;
  known.candidate.doomed = found.answer.expired(static_cast<double>(std::time(nullptr)));
  if (!own) known.candidate.secret = found.answer.secret;
  co_return known;
}

/// As the server does: md5 means SCRAM for who has such a secret. A stranger is asked as most others would be.
bool by_scram(const Config& config, LoginMethod method, const Candidate& candidate) {
  if (method != LoginMethod::md5) return method == LoginMethod::scram_sha_256;
  if (const auto kind = candidate.kind(); kind != protocol::SecretKind::none) return kind == protocol::SecretKind::scram;
  return !config.auth.query_user.empty() || (config.users && config.users->keeps_scram());
}

}  // namespace

Awaitable<bool> authenticate_client(Worker& worker, Stream& client, const protocol::Startup& startup, std::string client_address,
                                    Proof* proof) {
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
  const auto method = asked->method;
  if (method == LoginMethod::trust || method == LoginMethod::cert || method == LoginMethod::peer) co_return true;
  auto known = co_await look_up(worker, startup.user, false);
  if (known.failed) {
    co_await send_fatal(client, "08006", fmt::format("the password of user \"{}\" could not be looked up at the server", startup.user));
    co_return false;
  }
  bool right = false;
  if (by_scram(*config, method, known.candidate)) {
    const auto verdict = co_await prove_by_scram(client, known.candidate, &proof->keys);
    if (verdict == Verdict::over) co_return false;
    right = verdict == Verdict::right;
    // A rotated secret: this exchange was made with the old one's salt; the next login finds the new one.
    if (!right && known.cached) co_await look_up(worker, startup.user, true);
  } else {
    const auto answer = co_await ask_password(client, method == LoginMethod::md5);
    if (answer.over) co_return false;
    right = fits(answer, known.candidate);
    if (!right && known.cached) {
      known = co_await look_up(worker, startup.user, true);
      right = !known.failed && fits(answer, known.candidate);
    }
    if (right && answer.salt.empty()) proof->secret = answer.text;
  }
  if (right) {
    if (proof->secret.empty() && known.candidate.kind() == protocol::SecretKind::md5) proof->secret = *known.candidate.secret;
    co_return true;
  }
  spdlog::info("event=login_refused user={} method={}", startup.user, to_string(method));
  co_await send_fatal(client, "28P01", fmt::format("password authentication failed for user \"{}\"", startup.user));
  co_return false;
}

}  // namespace pgsteer::proxy
