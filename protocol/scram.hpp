#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pgsteer::protocol {

/// SCRAM-SHA-256 (RFC 5802, RFC 7677) and md5 as PostgreSQL speaks them ("SASL Authentication" in the manual's chapter on the
/// protocol). Sans-I/O; nonces and salts come from the caller. Passwords are taken as bytes (no SASLprep: for ASCII it changes nothing).
using Digest = std::array<unsigned char, 32>;

/// What a server stores of a password: "SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>" of pg_authid.
struct ScramSecret {
  std::uint32_t iterations = 4096;
  std::string salt;  ///< raw
  Digest stored_key{}, server_key{};
  bool operator==(const ScramSecret&) const = default;
};
/// What kind of thing is stored for a user: "SCRAM-SHA-256$...", "md5...", else the password itself; none: "".
enum class SecretKind : unsigned char { none, plain, md5, scram };
SecretKind secret_kind(std::string_view text);
std::optional<ScramSecret> parse_scram_secret(std::string_view text);
ScramSecret make_scram_secret(std::string_view password, std::string salt, std::uint32_t iterations);

/// What proves a password without being it. Taken from a client's proof it logs in wherever the same secret is stored (same salt,
/// same iterations): this is the pass-through of SCRAM keys.
struct ScramKeys {
  Digest client_key{}, server_key{};
};

/// The server's side of one exchange: client_first, then client_final.
class ScramServer {
 public:
  /// `binding`: data of tls-server-end-point for SCRAM-SHA-256-PLUS, "" without TLS. `doomed`: the secret is made up, the proof of
  /// whatever password is refused.
  ScramServer(ScramSecret secret, std::string nonce, std::string binding, bool plus, bool doomed)
      : secret_(std::move(secret)), nonce_(std::move(nonce)), binding_(std::move(binding)), plus_(plus), doomed_(doomed) {}

  /// server-first-message; nullopt: malformed, see error().
  std::optional<std::string> first(std::string_view client_first);
  /// server-final-message; nullopt: malformed (error() says why) or a wrong password (error() is empty).
  std::optional<std::string> final(std::string_view client_final);
  const std::string& error() const { return error_; }
  ScramKeys keys() const { return keys_; }  ///< after a final() that succeeded

 private:
  std::nullopt_t refuse(const char* why) {
    error_ = why;
    return std::nullopt;
  }
  ScramSecret secret_;
  std::string nonce_, binding_;
  bool plus_, doomed_;
  std::string header_, client_first_bare_, server_first_, error_;
  ScramKeys keys_;
};

/// The client's side: first, final, verify.
class ScramClient {
 public:
  /// `binding_header`: "n,,", "y,," or "p=tls-server-end-point,,"; `binding`: its data.
  ScramClient(std::string nonce, std::string binding_header = "n,,", std::string binding = {})
      : nonce_(std::move(nonce)), header_(std::move(binding_header)), binding_(std::move(binding)) {}
  std::string first() const { return header_ + bare(); }
  /// client-final-message from a password or from keys; nullopt: the server's message is malformed or asks for too much.
  std::optional<std::string> final(std::string_view server_first, std::string_view password,
                                   const std::optional<ScramKeys>& keys);
  bool verify(std::string_view server_final) const;  ///< that the server knows the password too

 private:
  std::string bare() const { return "n=,r=" + nonce_; }
  std::string nonce_, header_, binding_, auth_message_;
  Digest server_key_{};
};

/// "md5" + md5(password + user): what pg_authid holds. And what answers AuthenticationMD5Password of that salt.
std::string md5_secret(std::string_view password, std::string_view user);
std::string md5_answer(std::string_view secret, std::string_view salt);

std::string base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view text);
/// `bytes` random ones of the operating system's generator.
std::string random_bytes(std::size_t bytes);
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace pgsteer::protocol
