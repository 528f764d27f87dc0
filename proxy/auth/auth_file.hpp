#pragma once
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace pgsteer::proxy {

/// auth.file: one user a line, "name" "secret", both in double quotes ("" inside stands for one); what follows is ignored, as are
/// empty lines and those that begin with ; or #. The secret is a password, md5..., SCRAM-SHA-256$..., or "" (nothing is let in).
class AuthFile {
 public:
  static std::shared_ptr<const AuthFile> load(const std::string& path, std::string* error);
  static std::shared_ptr<const AuthFile> parse(std::string_view text, std::string* error);
  /// nullptr: no such user.
  const std::string* secret(std::string_view user) const;
  bool keeps_scram() const { return keeps_scram_; }  ///< some secret is of SCRAM

 private:
  std::map<std::string, std::string, std::less<>> secrets_;
  bool keeps_scram_ = false;
};

}  // namespace pgsteer::proxy
