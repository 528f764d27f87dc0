#include "proxy/console/state_directory.hpp"

#include <cstdlib>

namespace pgsteer::proxy {

std::string state_directory(const Config& config) {
  if (!config.state_dir.empty()) return config.state_dir;
  const char* home = std::getenv("XDG_STATE_HOME");
  return home && *home ? std::string(home) + "/pgsteer" : "/var/lib/pgsteer";
}

}  // namespace pgsteer::proxy
