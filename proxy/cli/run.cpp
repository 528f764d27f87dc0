// pgsteer run
#include <CLI/CLI.hpp>
#include <memory>

#include "proxy/cli/cli.hpp"
#include "proxy/cli/settings.hpp"
#include "proxy/server.hpp"

namespace pgsteer::proxy::cli {

std::function<int()> add_run(CLI::App& app, const std::string& executable) {
  auto settings = std::make_shared<Settings>();
  add_settings(app, *settings, true);
  auto replace = std::make_shared<bool>(false);
  app.add_flag("--replace", *replace, "take the place of the process that runs with the same state directory, if one does");
  app.footer("Every setting: conf/pgsteer.toml. SIGHUP reads configuration and policies again, SIGUSR2 starts the program anew in place of this process.");
  return [settings, replace, executable] { return run_server({settings->config_file, settings->overrides(), executable, *replace}); };
}

}  // namespace pgsteer::proxy::cli
