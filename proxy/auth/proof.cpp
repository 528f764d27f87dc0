// How a client proves that it knows a secret.
#include "proxy/auth/proof.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <boost/asio/use_awaitable.hpp>

#include "protocol/wire.hpp"
#include "proxy/tls/tls.hpp"

namespace pgsteer::proxy {
namespace {

using protocol::SecretKind;
constexpr std::uint32_t kMaxAnswer = 64 * 1024;
constexpr std::uint32_t kIterations = 4096;
constexpr std::size_t kKeyBytes = 32;

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

std::string request(std::uint32_t kind, std::string_view body = {}) {
  std::string out;
  protocol::Message(out, 'R').int32(kind).bytes(body);
  return out;
}

std::string& mock_key() {
  static std::string key = protocol::random_bytes(kKeyBytes);
  return key;
}

/// The same for one user every time, as a stored salt would be, and nobody else's to guess.
std::string mock_salt(std::string_view user) { return protocol::md5_secret(mock_key(), user).substr(3, 16); }

}  // namespace

Awaitable<void> send_fatal(Stream& client, std::string sqlstate, std::string message, std::string hint) {
  std::string bytes;
  protocol::append_error(bytes, {.severity = "FATAL", .sqlstate = std::move(sqlstate), .message = std::move(message),
                                 .detail = {}, .hint = std::move(hint)});
  co_await client.write_all(std::move(bytes));
}

void keep_mock_salts(const std::string& state_directory) {
  const std::string path = state_directory + "/login.key";
  std::string key(kKeyBytes, '\0');
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  bool kept = fd >= 0 && ::read(fd, key.data(), kKeyBytes) == static_cast<ssize_t>(kKeyBytes);
  if (fd >= 0) ::close(fd);
  if (!kept) {
    key = protocol::random_bytes(kKeyBytes);
    fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    kept = fd >= 0 && ::write(fd, key.data(), kKeyBytes) == static_cast<ssize_t>(kKeyBytes);
    if (fd >= 0) ::close(fd);
  }
  if (!kept) spdlog::warn("event=login_key_not_kept file={}", path);
  mock_key() = key;
}

Awaitable<Verdict> prove_by_scram(Stream& client, Candidate candidate, std::optional<protocol::ScramKeys>* keys) {
  std::optional<protocol::ScramSecret> stored;
  const auto kind = candidate.kind();
  if (kind == SecretKind::scram) stored = protocol::parse_scram_secret(*candidate.secret);
  // A salt that changed with every login would tell that there is such a user.
  if (kind == SecretKind::plain) stored = protocol::make_scram_secret(*candidate.secret, mock_salt(candidate.user), kIterations);
  const bool doomed = !stored || candidate.doomed;
  if (!stored) stored = protocol::ScramSecret{kIterations, mock_salt(candidate.user), {}, {}};
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
  if (kind == SecretKind::scram) *keys = scram.keys();
  co_return co_await client.write_all(request(12, *last)) ? Verdict::over : Verdict::right;
}

Awaitable<PasswordAnswer> ask_password(Stream& client, bool md5) {
  PasswordAnswer answer;
  if (md5) answer.salt = protocol::random_bytes(4);
  answer.over = true;
  if (co_await client.write_all(request(md5 ? 5 : 3, answer.salt))) co_return answer;
  const auto body = co_await read_answer(client);
  if (!body) co_return answer;
  protocol::Reader r(*body);
  answer.text = r.cstring();
  answer.over = false;
  co_return answer;
}

bool fits(const PasswordAnswer& answer, const Candidate& candidate) {
  const auto kind = candidate.kind();
  if (kind == SecretKind::none || candidate.doomed || answer.text.empty()) return false;
  const std::string& secret = *candidate.secret;
  if (!answer.salt.empty()) {
    if (kind == SecretKind::scram) return false;
    const std::string stored = kind == SecretKind::md5 ? secret : protocol::md5_secret(secret, candidate.user);
    return protocol::equal_in_constant_time(answer.text, protocol::md5_answer(stored, answer.salt));
  }
  if (kind == SecretKind::md5) return protocol::equal_in_constant_time(protocol::md5_secret(answer.text, candidate.user), secret);
  if (kind == SecretKind::plain) return protocol::equal_in_constant_time(answer.text, secret);
  const auto stored = protocol::parse_scram_secret(secret);
  return stored && protocol::make_scram_secret(answer.text, stored->salt, stored->iterations) == *stored;
}

}  // namespace pgsteer::proxy
