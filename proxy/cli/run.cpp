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
  app.footer("Every setting: conf/pgsteer.toml. SIGHUP reads configuration and policies again.");
  return [settings, executable] { return run_server({settings->config_file, settings->overrides(), executable}); };
}

}  // namespace pgsteer::proxy::cli
