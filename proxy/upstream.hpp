#pragma once
#include <optional>
#include <string>

#include "proxy/stream.hpp"
#include "proxy/worker.hpp"

namespace pgsteer::proxy {

/// A non-blocking socket to upstream.url within upstream.connect_timeout; nullopt with the words libpq would use.
Awaitable<std::optional<Socket>> connect_with_deadline(Worker& worker, std::string* error);

}  // namespace pgsteer::proxy
