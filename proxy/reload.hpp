#pragma once
#include <memory>
#include <string>
#include <vector>

#include "policies/policy.hpp"
#include "proxy/config.hpp"

namespace pgsteer::proxy {

/// Configuration and policies as one unit: both valid, or an error that names every fault with file and line.
struct ReloadResult {
  std::shared_ptr<const Config> config;
  std::shared_ptr<const policies::PolicySet> policies;
  std::string error;
};

/// Reads everything from the start: the file, the environment, the overrides, the policy directory.
ReloadResult load_all(const std::string& file, const std::vector<std::string>& overrides);

/// The same for a running process: settings that need a restart keep their present value.
ReloadResult load_again(const Config& current, const std::vector<std::string>& overrides);

/// The policy directory in effect: the setting, else conf/policies beside the configuration file, else "".
std::string policy_directory(const Config& config);

/// The state directory in effect, created when missing: the setting, else $XDG_STATE_HOME/pgsteer, else
/// /var/lib/pgsteer.
std::string state_directory(const Config& config);

}  // namespace pgsteer::proxy
