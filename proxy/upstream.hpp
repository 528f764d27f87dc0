#pragma once
#include <optional>
#include <string>

#include "proxy/stream.hpp"
#include "proxy/worker.hpp"

namespace pgsteer::proxy {

/// A connection to one of the hosts of upstream.url, encrypted as its sslmode says, within upstream.connect_timeout; nullopt with the words
/// libpq would use, and a look at all hosts soon.
Awaitable<std::optional<Stream>> connect_with_deadline(Worker& worker, int host, std::string* error);

}  // namespace pgsteer::proxy
