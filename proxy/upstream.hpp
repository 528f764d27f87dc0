#pragma once
#include <optional>
#include <string>

#include "proxy/stream.hpp"
#include "proxy/worker.hpp"

namespace pgsteer::proxy {

/// A connection to upstream.url, encrypted as its sslmode says, within upstream.connect_timeout; nullopt with the words libpq would use.
Awaitable<std::optional<Stream>> connect_with_deadline(Worker& worker, std::string* error);

}  // namespace pgsteer::proxy
