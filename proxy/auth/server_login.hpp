#pragma once
#include <memory>
#include <string>

#include "proxy/pool/pools.hpp"
#include "proxy/worker.hpp"

namespace pgsteer::proxy {

/// What a server connection could not be made for: an ErrorResponse as the server sent it, or one of ours, whole message.
struct ServerRefusal {
  std::string message;
};

/// Connects and logs in as the pool's user with what auth.file or a client's proof gives; up to ReadyForQuery, within
/// upstream.connect_timeout. The slot is inside the connection from then on. nullptr with a refusal otherwise.
Awaitable<std::unique_ptr<ServerConnection>> open_server(Worker& worker, std::shared_ptr<Pool> pool, Slot slot,
                                                         ServerRefusal* refusal);

/// A cancel request for one server connection; returns when the server has closed its side, so that the signal was sent by then.
Awaitable<void> cancel_server(Worker& worker, std::uint32_t pid, std::uint32_t key);

}  // namespace pgsteer::proxy
