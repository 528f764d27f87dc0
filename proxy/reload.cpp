#include "proxy/reload.hpp"

#include <cstdlib>
#include <filesystem>

#include "proxy/config_settings.hpp"
#include "proxy/tls/tls.hpp"

namespace pgsteer::proxy {
namespace fs = std::filesystem;

std::string policy_directory(const Config& config) {
  if (!config.policies.directory.empty()) return config.policies.directory;
  if (config.config_file.empty()) return {};
  const fs::path beside = fs::path(config.config_file).parent_path() / "policies";
  std::error_code ignored;
  return fs::is_directory(beside, ignored) ? beside.string() : std::string();
}

std::string state_directory(const Config& config) {
  fs::path directory = config.state_dir;
  if (directory.empty()) {
    const char* xdg = std::getenv("XDG_STATE_HOME");
    const char* home = std::getenv("HOME");
    std::error_code ignored;
    if (xdg && *xdg) directory = fs::path(xdg) / "pgsteer";
    else if (fs::is_directory("/var/lib/pgsteer", ignored)) directory = "/var/lib/pgsteer";
    else if (home && *home) directory = fs::path(home) / ".local/state/pgsteer";
    else directory = "/var/lib/pgsteer";
  }
  std::error_code ignored;
  fs::create_directories(directory, ignored);
  return directory.string();
}

ReloadResult load_all(const std::string& file, const std::vector<std::string>& overrides) {
  ReloadResult result;
  std::vector<std::string> errors;
  result.config = Config::load(file, overrides, &errors);
  if (result.config) {
    std::vector<policies::FileError> policy_errors;
    result.policies = policies::PolicySet::load(policy_directory(*result.config), &policy_errors);
    for (const auto& error : policy_errors) errors.push_back(error.text);
  }
  if (!result.config || !result.policies || !errors.empty()) {
    for (const auto& error : errors) result.error += (result.error.empty() ? "" : "\n") + error;
    if (result.error.empty()) result.error = "configuration could not be loaded";
  }
  return result;
}

ReloadResult load_again(const Config& current, const std::vector<std::string>& overrides) {
  ReloadResult result = load_all(current.config_file, overrides);
  if (!result.error.empty()) return result;
  // What needs a restart stays as it is, and SHOW CONFIG says that the file wants something else.
  auto merged = std::make_shared<Config>(*result.config);
  for (const auto& setting : settings()) {
    if (setting.changeable) continue;
    const bool wanted_other = setting.show(*merged) != setting.show(current);
    setting.copy(*merged, current);
    if (!wanted_other) continue;
    for (auto& row : merged->sources)
      if (row.key == setting.key) row.source += " (what it says there needs a restart)";
  }
  // The server's address may be one of those: its certificates are read for the one that holds.
  merged->tls_contexts = TlsContexts::load(*merged, &result.error);
  result.config = merged;
  return result;
}

}  // namespace pgsteer::proxy
