// SHOW HOSTS: the servers of upstream.url. With one host nothing is asked of it here, and there is nothing to tell.
#include <fmt/format.h>

#include "proxy/console/command.hpp"
#include "proxy/console/result.hpp"
#include "proxy/hosts/hosts.hpp"

namespace pgsteer::proxy::console {
namespace {

std::string wal_position(std::uint64_t position) { return position == 0 ? std::string() : fmt::format("{:X}/{:X}", position >> 32, position & 0xffffffff); }

std::string state_of(const HostState& host) { return !host.seen ? "unknown" : host.up ? "up" : "down"; }

}  // namespace

ConsoleResult show_hosts(const Request& request) {
  const Hosts& hosts = *request.hub.hosts;
  Table table({{"host", Type::text}, {"port", Type::int4}, {"state", Type::text}, {"role", Type::text}, {"eligible", Type::boolean},
               {"wal_position", Type::text}, {"lag_bytes", Type::text}, {"lag_seconds", Type::text}, {"since", Type::timestamptz},
               {"checked", Type::timestamptz}, {"error", Type::text}});
  const auto states = hosts.table();
  for (int i = 0; i < hosts.count(); ++i) {
    const HostState& host = (*states)[static_cast<std::size_t>(i)];
    const Endpoint& endpoint = hosts.endpoint(i);
    table.row(endpoint.host, endpoint.port, state_of(host), host.stale ? std::string("past primary") : std::string(to_string(host.role)), hosts.fits(i),
              wal_position(host.position), host.lag_bytes ? cell(*host.lag_bytes) : std::string(),
              host.lag_seconds ? cell(*host.lag_seconds) : std::string(), timestamp(host.since_unix_us), timestamp(host.checked_unix_us), host.error);
  }
  return table;
}

}  // namespace pgsteer::proxy::console
