#pragma once
#include <optional>
#include <string>

#include "protocol/scram.hpp"
#include "proxy/stream.hpp"

namespace pgsteer::proxy {

enum class Verdict : unsigned char { right, wrong, over };  ///< over: told, or gone

/// What is known of a user whose proof is asked for. Whatever is missing, the client sees the same messages.
struct Candidate {
  std::string user;
  std::optional<std::string> secret;  ///< a password, "md5...", "SCRAM-SHA-256$..."; none: nobody is let in
  bool doomed = false;                ///< nor is who knows the secret: it has ended
  protocol::SecretKind kind() const { return secret ? protocol::secret_kind(*secret) : protocol::SecretKind::none; }
};

/// What a login has shown, as far as it opens the server too.
struct Proof {
  std::optional<protocol::ScramKeys> keys;
  std::string secret;  ///< the password in clear or an md5 secret; "" = none
};

// Each has the client prove itself in one way. The caller holds the deadline.

/// SASL: SCRAM-SHA-256, over TLS -PLUS as well. `*keys` when the secret itself is a SCRAM secret.
Awaitable<Verdict> prove_by_scram(Stream& client, Candidate candidate, std::optional<protocol::ScramKeys>* keys);

/// md5 and clear-text passwords: the answer is one message and can be held against another secret later.
struct PasswordAnswer {
  bool over = false;
  std::string text, salt;  ///< salt "": text is the password in clear
};
Awaitable<PasswordAnswer> ask_password(Stream& client, bool md5);
bool fits(const PasswordAnswer& answer, const Candidate& candidate);

/// FATAL; the connection is over then.
Awaitable<void> send_fatal(Stream& client, std::string sqlstate, std::string message, std::string hint = {});

/// Where the salts of users that do not exist come from: kept in a file of the state directory, so that they outlive a restart as
/// those of real users do. Call before the first login; a file that cannot be kept is replaced by chance.
void keep_mock_salts(const std::string& state_directory);

}  // namespace pgsteer::proxy
