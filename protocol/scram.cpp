#include "protocol/scram.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <charconv>
#include <stdexcept>

namespace pgsteer::protocol {
namespace {

/// A hostile server must not make us compute for minutes: PostgreSQL's own default is 4096.
constexpr std::uint32_t kMaxIterations = 1'000'000;
constexpr std::size_t kMaxMessage = 4096;

const unsigned char* data(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
std::string_view view(const Digest& digest) { return {reinterpret_cast<const char*>(digest.data()), digest.size()}; }

Digest hmac(std::string_view key, std::string_view text) {
  Digest out;
  unsigned size = out.size();
  ::HMAC(::EVP_sha256(), key.data(), static_cast<int>(key.size()), data(text), text.size(), out.data(), &size);
  return out;
}

Digest sha256(std::string_view text) {
  Digest out;
  ::SHA256(data(text), text.size(), out.data());
  return out;
}

Digest salted(std::string_view password, std::string_view salt, std::uint32_t iterations) {
  Digest out;
  ::PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), data(salt), static_cast<int>(salt.size()),
                      static_cast<int>(iterations), ::EVP_sha256(), out.size(), out.data());
  return out;
}

Digest exclusive_or(const Digest& a, std::string_view b) {
  Digest out{};
  for (std::size_t i = 0; i < out.size() && i < b.size(); ++i) out[i] = a[i] ^ static_cast<unsigned char>(b[i]);
  return out;
}

std::optional<Digest> digest_from(std::string_view text) {
  const auto bytes = from_base64(text);
  if (!bytes || bytes->size() != 32) return std::nullopt;
  Digest out;
  std::copy(bytes->begin(), bytes->end(), out.begin());
  return out;
}

/// Takes "<letter>=<value>" and the comma behind it off the front; nullopt when something else is there.
std::optional<std::string_view> take(std::string_view& text, char letter) {
  if (text.size() < 2 || text[0] != letter || text[1] != '=') return std::nullopt;
  text.remove_prefix(2);
  const auto comma = text.find(',');
  const auto value = text.substr(0, comma);
  text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  return value;
}

bool read_number(std::string_view text, std::uint32_t& out) {
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), out);
  return !text.empty() && fault == std::errc() && end == text.data() + text.size();
}

bool printable(std::string_view nonce) {
  for (const unsigned char c : nonce) {
    if (c < 0x21 || c > 0x7e || c == ',') return false;
  }
  return !nonce.empty();
}

}  // namespace

std::string base64(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3), '\0');
  ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), data(bytes), static_cast<int>(bytes.size()));
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string out(text.size() / 4 * 3, '\0');
  if (text.empty()) return out;
  const int size = ::EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()), data(text), static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  out.resize(static_cast<std::size_t>(size) - padding);
  return out;
}

std::string random_bytes(std::size_t bytes) {
  std::string out(bytes, '\0');
  if (::RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(bytes)) != 1) {
    throw std::runtime_error("no random bytes to be had");
  }
  return out;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

constexpr std::string_view kScramPrefix = "SCRAM-SHA-256$";

SecretKind secret_kind(std::string_view text) {
  if (text.empty()) return SecretKind::none;
  if (text.starts_with(kScramPrefix)) return SecretKind::scram;
  return text.starts_with("md5") ? SecretKind::md5 : SecretKind::plain;
}

std::optional<ScramSecret> parse_scram_secret(std::string_view text) {
  if (secret_kind(text) != SecretKind::scram) return std::nullopt;
  text.remove_prefix(kScramPrefix.size());
  const auto colon = text.find(':'), dollar = text.find('$'), second = text.rfind(':');
  if (colon == text.npos || dollar == text.npos || colon > dollar || second < dollar) return std::nullopt;
  ScramSecret secret;
  if (!read_number(text.substr(0, colon), secret.iterations) || secret.iterations == 0) return std::nullopt;
  const auto salt = from_base64(text.substr(colon + 1, dollar - colon - 1));
  const auto stored = digest_from(text.substr(dollar + 1, second - dollar - 1));
  const auto server = digest_from(text.substr(second + 1));
  if (!salt || !stored || !server) return std::nullopt;
  secret.salt = *salt;
  secret.stored_key = *stored;
  secret.server_key = *server;
  return secret;
}

ScramSecret make_scram_secret(std::string_view password, std::string salt, std::uint32_t iterations) {
  const Digest key = salted(password, salt, iterations);
  ScramSecret secret;
  secret.iterations = iterations;
  secret.salt = std::move(salt);
  secret.stored_key = sha256(view(hmac(view(key), "Client Key")));
  secret.server_key = hmac(view(key), "Server Key");
  return secret;
}

std::optional<std::string> ScramServer::first(std::string_view client_first) {
  if (client_first.size() > kMaxMessage) return refuse("client-first-message: longer than 4096 bytes");
  const auto comma = client_first.find(',');
  const auto second = comma == client_first.npos ? comma : client_first.find(',', comma + 1);
  if (second == client_first.npos) return refuse("client-first-message: expected two commas behind the channel binding flag");
  header_ = client_first.substr(0, second + 1);
  if (plus_) {
    if (header_ != "p=tls-server-end-point,,") return refuse("expected channel binding type tls-server-end-point");
  } else if (header_ == "y,," && !binding_.empty()) {
    return refuse("the client believes the server has no channel binding, but it does");
  } else if (header_ != "n,," && header_ != "y,,") {
    return refuse("client-first-message: expected n,, or y,,");
  }
  client_first_bare_ = client_first.substr(second + 1);
  std::string_view rest = client_first_bare_;
  const auto user = take(rest, 'n');  // ignored, as the server does: the startup packet has named the user
  const auto nonce = take(rest, 'r');
  if (!user || !nonce || !printable(*nonce)) return refuse("client-first-message: expected n=...,r=<nonce>");
  nonce_ = std::string(*nonce) + nonce_;
  server_first_ = "r=" + nonce_ + ",s=" + base64(secret_.salt) + ",i=" + std::to_string(secret_.iterations);
  return server_first_;
}

std::optional<std::string> ScramServer::final(std::string_view client_final) {
  if (client_final.size() > kMaxMessage) return refuse("client-final-message: longer than 4096 bytes");
  const auto proof_at = client_final.rfind(",p=");
  if (proof_at == client_final.npos) return refuse("client-final-message: expected a proof at its end");
  const auto proof = from_base64(client_final.substr(proof_at + 3));
  const auto without_proof = client_final.substr(0, proof_at);
  std::string_view rest = without_proof;
  const auto binding = take(rest, 'c');
  const auto nonce = take(rest, 'r');
  if (!proof || proof->size() != 32 || !binding || !nonce) return refuse("client-final-message: expected c=...,r=...,p=...");
  if (!equal_in_constant_time(*binding, base64(header_ + (plus_ ? binding_ : "")))) return refuse("SCRAM channel binding check failed");
  if (!equal_in_constant_time(*nonce, nonce_)) return refuse("client-final-message: the nonce is another one");
  const std::string message = client_first_bare_ + "," + server_first_ + "," + std::string(without_proof);
  const Digest client_key = exclusive_or(hmac(view(secret_.stored_key), message), *proof);
  const bool right = equal_in_constant_time(view(sha256(view(client_key))), view(secret_.stored_key));
  if (!right || doomed_) return std::nullopt;
  keys_ = {client_key, secret_.server_key};
  return "v=" + base64(view(hmac(view(secret_.server_key), message)));
}

std::optional<std::string> ScramClient::final(std::string_view server_first, std::string_view password,
                                              const std::optional<ScramKeys>& keys) {
  if (server_first.size() > kMaxMessage) return std::nullopt;
  std::string_view rest = server_first;
  const auto nonce = take(rest, 'r'), salt_text = take(rest, 's'), count = take(rest, 'i');
  std::uint32_t iterations = 0;
  if (!nonce || !salt_text || !count || !printable(*nonce) || !nonce->starts_with(nonce_) || nonce->size() == nonce_.size()) return std::nullopt;
  const auto salt = from_base64(*salt_text);
  if (!salt || !read_number(*count, iterations) || iterations == 0 || iterations > kMaxIterations) return std::nullopt;
  ScramKeys used;
  if (keys) {
    used = *keys;
  } else {
    const Digest key = salted(password, *salt, iterations);
    used = {hmac(view(key), "Client Key"), hmac(view(key), "Server Key")};
  }
  server_key_ = used.server_key;
  const std::string without_proof = "c=" + base64(header_ + binding_) + ",r=" + std::string(*nonce);
  auth_message_ = bare() + "," + std::string(server_first) + "," + without_proof;
  const Digest signature = hmac(view(sha256(view(used.client_key))), auth_message_);
  return without_proof + ",p=" + base64(view(exclusive_or(signature, view(used.client_key))));
}

bool ScramClient::verify(std::string_view server_final) const {
  std::string_view rest = server_final;
  const auto signature = take(rest, 'v');
  return signature && equal_in_constant_time(*signature, base64(view(hmac(view(server_key_), auth_message_))));
}

namespace {
std::string md5_hex(std::string_view text) {
  unsigned char digest[16];
  unsigned size = sizeof digest;
  ::EVP_Digest(text.data(), text.size(), digest, &size, ::EVP_md5(), nullptr);
  std::string out;
  for (const unsigned char byte : digest) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}
}  // namespace

std::string md5_secret(std::string_view password, std::string_view user) {
  return "md5" + md5_hex(std::string(password) + std::string(user));
}

std::string md5_answer(std::string_view secret, std::string_view salt) {
  return "md5" + md5_hex(std::string(secret.substr(3)) + std::string(salt));
}

}  // namespace pgsteer::protocol
