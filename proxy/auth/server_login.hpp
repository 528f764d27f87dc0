#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "proxy/pool/pools.hpp"
#include "proxy/worker.hpp"

namespace pgsteer::proxy {

/// What a server connection could not be made for: an ErrorResponse as the server sent it, or one of ours, whole message.
struct ServerRefusal {
  std::string message;
  bool again = false;  ///< no host is what sessions want now; one may become it
};

/// An expression: another value than before tells that the server was restarted (the first part) or has recovered from a crash, which
/// the postmaster outlives (the second).
inline constexpr std::string_view kServerIdentity =
    "pg_catalog.concat(extract(epoch from pg_catalog.pg_postmaster_start_time()), ' ', "
    "extract(epoch from pg_catalog.pg_stat_get_bgwriter_stat_reset_time()))";

/// Connects and logs in as the pool's user with what auth.file or a client's proof gives; up to ReadyForQuery, each host within
/// upstream.connect_timeout. Of several hosts the first one that is what upstream.url asks for, as libpq does it. The slot is inside the connection from then on. nullptr with a refusal otherwise. `shared`: nobody waits
/// for its end while it is idle, so the server is asked who it is, and the cache is void should it not be the one of before.
/// `parameters`: of the startup packet, besides user and database.
Awaitable<std::unique_ptr<ServerConnection>> open_server(Worker& worker, std::shared_ptr<Pool> pool, Slot slot, bool shared, ServerRefusal* refusal,
                                                         std::vector<std::pair<std::string, std::string>> parameters = {});

/// A cancel request for one server connection of a host; returns when the server has closed its side, so that the signal was sent by then.
Awaitable<void> cancel_server(Worker& worker, int host, std::uint32_t pid, std::uint32_t key);

}  // namespace pgsteer::proxy
