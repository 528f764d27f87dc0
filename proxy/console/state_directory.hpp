#pragma once
#include <string>

#include "proxy/config.hpp"

namespace pgsteer::proxy {

/// Config::state_dir, or what it means when empty: $XDG_STATE_HOME/pgsteer, else /var/lib/pgsteer.
std::string state_directory(const Config& config);

}  // namespace pgsteer::proxy
