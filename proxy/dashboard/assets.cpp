#include "proxy/dashboard/assets.hpp"

namespace pgsteer::proxy {

std::span<const Asset> dashboard_assets() { return {}; }

}  // namespace pgsteer::proxy
