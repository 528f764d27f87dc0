#pragma once
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace pgsteer::proxy::cli {

/// The options that run, check and train share: where settings come from.
struct Settings {
  std::string config_file;
  std::vector<std::string> set;
  std::string upstream, listen, policies, state_dir, mode;

  /// --set values and the short options as "section.key=value", in order of strength.
  std::vector<std::string> overrides() const;
};

/// `all` adds --upstream, --listen and --mode to --config, --set, --policies and --state-dir.
void add_settings(CLI::App& app, Settings& settings, bool all);

}  // namespace pgsteer::proxy::cli
