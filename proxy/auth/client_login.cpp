// The server's side of a login: ours, for clients.
#include "proxy/auth/client_login.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <boost/asio/use_awaitable.hpp>

#include "protocol/wire.hpp"
#include "proxy/auth/auth_file.hpp"
#include "proxy/tls/tls.hpp"

namespace pgsteer::proxy {
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

}  // namespace

Awaitable<bool> authenticate_client(Worker& worker, Stream& client, const protocol::Startup& startup,
                                    std::optional<protocol::ScramKeys>* keys) {
  const auto config = worker.snapshot().config;
  const std::string method = config->auth.method;
  if (method == "trust") co_return true;
  if (method == "cert") {
    const std::string name = peer_common_name(client.ssl());
    if (!name.empty() && name == startup.user) co_return true;
    spdlog::info("event=login_refused user={} method=cert certificate={}", startup.user, name.empty() ? "none" : name);
    // A variable: g++ 12 destroys the temporaries of a conditional inside of co_await twice.
    std::string why = "connection requires a valid client certificate";
    if (!name.empty()) why = fmt::format("certificate authentication failed for user \"{}\"", startup.user);
    co_await send_fatal(client, "28000", std::move(why));
    co_return false;
  }
  const std::string* secret = config->users ? config->users->secret(startup.user) : nullptr;
  Verdict verdict;
  if (method == "md5") verdict = co_await by_md5(client, startup.user, secret);
  else if (method == "password") verdict = co_await by_password(client, startup.user, secret);
  else verdict = co_await by_scram(client, startup.user, secret, keys);
  if (verdict == Verdict::right) co_return true;
  if (verdict == Verdict::wrong) {
    spdlog::info("event=login_refused user={} method={}", startup.user, method);
    co_await send_fatal(client, "28P01", fmt::format("password authentication failed for user \"{}\"", startup.user));
  }
  co_return false;
}

}  // namespace pgsteer::proxy
