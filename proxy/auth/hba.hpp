#pragma once
#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct re_pattern_buffer;

namespace pgsteer::proxy {

enum class LoginMethod : std::uint8_t { trust, reject, scram_sha_256, md5, password, cert, peer };
std::string_view to_string(LoginMethod method);

/// Who asks to be let in, as far as the rules look.
struct LoginRequest {
  std::string_view database, user;
  bool physical_replication = false;  ///< of no database: only the word `replication` means it
  std::optional<boost::asio::ip::address> address;  ///< none: by the unix socket
  bool encrypted = false;
};

/// auth.hba_file: the rules of pg_hba.conf (the manual's "The pg_hba.conf File"), first match decides. What would not be honoured
/// is refused when the file is read, with its line: group membership (+name, samerole), host names, included files, the methods that ask
/// somebody else (ldap, pam, gss, ...) and every option but clientcert.
/// Immutable, shared by all threads.
class HbaFile {
 public:
  enum class Certificate : std::uint8_t { none, verify_ca, verify_full };  ///< clientcert=
  struct Rule {
    enum class Connection : std::uint8_t { local, host, hostssl, hostnossl };
    enum class Address : std::uint8_t { any, network, samehost, samenet };
    /// One item of a list: a word as it stands, or a regular expression (/...), as PostgreSQL 16 has them.
    struct Item {
      std::string text;
      bool quoted = false;                                  ///< then `all` is a name like any other
      std::shared_ptr<const re_pattern_buffer> expression;  ///< null: a plain word
      bool keyword(std::string_view word) const { return !quoted && text == word; }
      bool matches(std::string_view name) const;
    };
    int line = 0;
    Connection connection = Connection::local;
    std::vector<Item> databases, users;
    Address address = Address::any;
    boost::asio::ip::address network, mask;  ///< both of one family
    LoginMethod method = LoginMethod::reject;
    Certificate certificate = Certificate::none;
  };

  /// "3: expected ..., got ..." (the line) in *error when nullptr.
  static std::shared_ptr<const HbaFile> parse(std::string_view text, std::string* error);
  /// "file:3: ..."
  static std::shared_ptr<const HbaFile> load(const std::string& path, std::string* error);

  const Rule* find(const LoginRequest& request) const;  ///< nullptr: no rule speaks of it
  const std::vector<Rule>& rules() const { return rules_; }

 private:
  std::vector<Rule> rules_;
};

}  // namespace pgsteer::proxy
