#pragma once
#include <string>

#include "cache/stores/redis.hpp"

namespace pgsteer::proxy {

/// redis://[user[:password]@]host[:port][/db] or unix:///path[?db=n]; false with *error otherwise.
bool parse_redis_url(const std::string& url, cache::RedisOptions* options, std::string* error);

}  // namespace pgsteer::proxy
