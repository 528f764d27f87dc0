#pragma once
#include <functional>
#include <string>
#include <vector>

#include "policies/toml_value.hpp"
#include "proxy/config.hpp"

namespace pgsteer::proxy {

/// One setting: how it is read from a file's value or from a text (environment, --set), and how it is shown.
struct Setting {
  std::string key;  ///< "listen.port"
  bool changeable = false;
  /// What was expected when the value does not fit, else "".
  std::function<std::string(Config&, const policies::TomlValue&)> set;
  /// The same value as TOML would have it, made from a bare text.
  std::function<policies::TomlValue(const std::string&)> from_text;
  std::function<std::string(const Config&)> show;  ///< secrets as ***
  std::function<void(Config& to, const Config& from)> copy;
};

/// All settings in the order of the struct.
const std::vector<Setting>& settings();

/// "postgresql://u:***@h" for a URL or connection words with a password in it.
std::string mask_secret(const std::string& url);

}  // namespace pgsteer::proxy
