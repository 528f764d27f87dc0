#include "proxy/cli/settings.hpp"

#include <CLI/CLI.hpp>

namespace pgsteer::proxy::cli {
namespace {

/// "127.0.0.1:6432", "[::1]:6432", ":6432", "6432" or an address alone.
void add_listen(const std::string& listen, std::vector<std::string>& into) {
  const auto colon = listen.rfind(':');
  const bool bracketed_only = !listen.empty() && listen.back() == ']';
  const bool port_only = listen.find_first_not_of("0123456789") == std::string::npos;
  std::string address = colon == std::string::npos || bracketed_only ? (port_only ? "" : listen) : listen.substr(0, colon);
  const std::string port = port_only ? listen : colon == std::string::npos || bracketed_only ? "" : listen.substr(colon + 1);
  if (address.size() > 1 && address.front() == '[' && address.back() == ']') address = address.substr(1, address.size() - 2);
  if (!address.empty()) into.push_back("listen.address=" + address);
  if (!port.empty()) into.push_back("listen.port=" + port);
}

}  // namespace

std::vector<std::string> Settings::overrides() const {
  std::vector<std::string> all = set;
  if (!upstream.empty()) all.push_back("upstream.url=" + upstream);
  if (!listen.empty()) add_listen(listen, all);
  if (!policies.empty()) all.push_back("policies.directory=" + policies);
  if (!state_dir.empty()) all.push_back("state_dir=" + state_dir);
  if (!mode.empty()) all.push_back("mode.default=" + mode);
  return all;
}

void add_settings(CLI::App& app, Settings& settings, bool all) {
  app.add_option("-c,--config", settings.config_file, "configuration file (conf/pgsteer.toml is the annotated one)")->type_name("FILE");
  if (all) {
    app.add_option("-u,--upstream", settings.upstream, "the server: postgresql://host:5432 or \"host=/run/postgresql\"")->type_name("URL");
    app.add_option("-l,--listen", settings.listen, "address and port, default 127.0.0.1:6432")->type_name("ADDRESS:PORT");
    app.add_option("-m,--mode", settings.mode, "when no policy says otherwise: off observe suggest canary auto")->type_name("MODE");
  }
  app.add_option("--policies", settings.policies, "directory of policy files (*.toml)")->type_name("DIR");
  app.add_option("--state-dir", settings.state_dir, "feedback store, models, audit log")->type_name("DIR");
  app.add_option("--set", settings.set, "one setting, stronger than file and environment; may be repeated")
      ->type_name("SECTION.KEY=VALUE")
      ->allow_extra_args(false);
}

}  // namespace pgsteer::proxy::cli
