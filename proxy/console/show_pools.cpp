// SHOW POOLS, CLIENTS, SERVERS, DATABASES, USERS, LISTS, MEM: pgbouncer's columns and types. Sessions are one-to-one, so a pool
// is the sessions of one database and user, and every logged-in client holds one server connection.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "proxy/console/command.hpp"
#include "proxy/console/result.hpp"
#include "proxy/hosts/hosts.hpp"
#include "proxy/pool/pools.hpp"

namespace pgsteer::proxy::console {
namespace {

struct Address {
  std::string host;
  int port = 0;
};

/// "10.0.0.1:5000", "[::1]:5000" or a path / "unix".
Address split_address(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) return {text, 0};
  int port = 0;
  const auto [end, error] = std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return {text, 0};
  std::string host = text.substr(0, colon);
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  return {host, port};
}

struct Where {
  std::string listen_address, upstream_host;
  int listen_port = 0, upstream_port = 0, max_clients = 0;
};

Where where(const Request& request) {
  const auto snapshot = request.hub.snapshot();
  if (!snapshot->config) return {};
  const Config& config = *snapshot->config;
  const Endpoint& upstream = request.hub.hosts->endpoint(0);
  return {config.listen.address, upstream.host, config.listen.port, upstream.port, config.limits.max_client_conn};
}

std::string console_database(const Request& request) {
  const auto snapshot = request.hub.snapshot();
  return snapshot->config ? snapshot->config->console.database : "pgsteer";
}

bool is_active(const ClientInfo& client) { return client.state.starts_with("active"); }
std::string pointer(char kind, std::uint64_t id) { return fmt::format("0x{:x}{:08x}", kind == 'C' ? 0xc : 0x5, id); }

/// Microseconds a client that is not served yet has been waiting; 0 for the others.
std::int64_t waited_us(const ClientInfo& client) {
  return client.state == "waiting" ? std::max<std::int64_t>(0, unix_us() - client.request_unix_us) : 0;
}

constexpr std::initializer_list<std::pair<const char*, Type>> socket_columns = {
    {"type", Type::text},       {"user", Type::text},         {"database", Type::text},     {"state", Type::text},
    {"addr", Type::text},       {"port", Type::int4},         {"local_addr", Type::text},   {"local_port", Type::int4},
    {"connect_time", Type::text}, {"request_time", Type::text}, {"wait", Type::int4},       {"wait_us", Type::int4},
    {"close_needed", Type::int4}, {"ptr", Type::text},        {"link", Type::text},         {"remote_pid", Type::int4},
    {"tls", Type::text},        {"application_name", Type::text}, {"id", Type::int8},       {"pinned", Type::text}};

}  // namespace

ConsoleResult show_clients(const Request& request) {
  const Where at = where(request);
  Table table(socket_columns);
  for (const auto& client : request.hub.clients()) {
    const Address address = split_address(client.address);
    const auto wait = waited_us(client);
    table.row("C", client.user, client.database, client.state, address.host, address.port, at.listen_address, at.listen_port,
              utc_time(client.connected_unix_us), utc_time(client.request_unix_us), wait / 1000000, wait % 1000000, 0,
              pointer('C', client.id), client.server_pid ? pointer('S', client.id) : std::string(), client.server_pid, client.tls,
              client.application, client.id, client.pinned);
  }
  return table;
}

ConsoleResult show_servers(const Request& request) {
  Table table(socket_columns);
  for (const auto& client : request.hub.clients()) {
    if (!client.server_pid) continue;
    const Endpoint& server = request.hub.hosts->endpoint(client.server_host);
    table.row("S", client.user, client.database, is_active(client) ? "active" : "idle", server.host, server.port, "", 0,
              utc_time(client.connected_unix_us), utc_time(client.request_unix_us), 0, 0, 0, pointer('S', client.id),
              pointer('C', client.id), client.server_pid, "", client.application, client.id, client.pinned);
  }
  return table;
}

ConsoleResult show_pools(const Request& request) {
  struct Pool {
    std::int64_t clients = 0, waiting = 0, servers_active = 0, servers_idle = 0, servers_login = 0, longest_wait_us = 0;
    bool console = false, transaction = false;
  };
  std::map<std::pair<std::string, std::string>, Pool> pools;
  for (const auto& client : request.hub.clients()) {
    Pool& pool = pools[{client.database, client.user}];
    pool.console = client.is_console;
    ++(client.state == "waiting" ? pool.waiting : pool.clients);
    pool.longest_wait_us = std::max(pool.longest_wait_us, waited_us(client));
    if (client.state == "login" && !client.is_console) ++pool.servers_login;
    else if (client.server_pid) ++(client.state == "idle" ? pool.servers_idle : pool.servers_active);
  }
  if (request.hub.pools) {
    for (const auto& numbers : request.hub.pools->numbers()) {
      if (!numbers.transaction) continue;
      Pool& pool = pools[{numbers.database, numbers.user}];
      if (!std::exchange(pool.transaction, true)) pool.servers_idle = pool.servers_active = pool.longest_wait_us = 0;  // and those of other hosts
      pool.servers_idle += numbers.idle;
      pool.servers_active += numbers.open - numbers.idle;
      pool.longest_wait_us = std::max(pool.longest_wait_us, numbers.longest_wait_us);
    }
  }
  Table table({{"database", Type::text},  {"user", Type::text},     {"cl_active", Type::int4},        {"cl_waiting", Type::int4},
               {"cl_active_cancel_req", Type::int4}, {"cl_waiting_cancel_req", Type::int4},            {"sv_active", Type::int4},
               {"sv_active_cancel", Type::int4},     {"sv_being_canceled", Type::int4},                {"sv_idle", Type::int4},
               {"sv_used", Type::int4},   {"sv_tested", Type::int4}, {"sv_login", Type::int4},         {"maxwait", Type::int4},
               {"maxwait_us", Type::int4}, {"pool_mode", Type::text}});
  for (const auto& [key, pool] : pools)
    table.row(key.first, key.second, pool.clients, pool.waiting, 0, 0, pool.servers_active, 0, 0, pool.servers_idle, 0, 0,
              pool.servers_login, pool.longest_wait_us / 1000000, pool.longest_wait_us % 1000000, pool.console ? "statement" : pool.transaction ? "transaction" : "session");
  return table;
}

ConsoleResult show_databases(const Request& request) {
  const Where at = where(request);
  std::map<std::string, std::int64_t> connections;
  for (const auto& [name, catalog] : request.hub.snapshot()->catalogs) connections[name];
  for (const auto& client : request.hub.clients())
    if (!client.is_console && !client.database.empty()) connections[client.database] += client.server_pid != 0;
  const int paused = request.hub.paused.load() ? 1 : 0;
  Table table({{"name", Type::text},         {"host", Type::text},          {"port", Type::int4},
               {"database", Type::text},     {"force_user", Type::text},    {"pool_size", Type::int4},
               {"min_pool_size", Type::int4}, {"reserve_pool", Type::int4}, {"pool_mode", Type::text},
               {"max_connections", Type::int4}, {"current_connections", Type::int4}, {"paused", Type::int4},
               {"disabled", Type::int4}});
  const std::string console = console_database(request);
  for (const auto& [name, count] : connections)
    table.row(name, at.upstream_host, at.upstream_port, name, "", at.max_clients, 0, 0, "session", at.max_clients, count, paused, 0);
  table.row(console, "", at.listen_port, console, "", 0, 0, 0, "statement", 0, 0, 0, 0);
  return table;
}

ConsoleResult show_users(const Request& request) {
  std::set<std::string> users;
  for (const auto& client : request.hub.clients()) users.insert(client.user);
  if (const auto snapshot = request.hub.snapshot(); snapshot->config) {
    users.insert(snapshot->config->console.admin_users.begin(), snapshot->config->console.admin_users.end());
    users.insert(snapshot->config->console.stats_users.begin(), snapshot->config->console.stats_users.end());
  }
  users.erase("");
  Table table({{"name", Type::text}, {"pool_mode", Type::text}});
  for (const auto& user : users) table.row(user, "");
  return table;
}

ConsoleResult show_lists(const Request& request) {
  std::set<std::string> databases, users;
  std::set<std::pair<std::string, std::string>> pools;
  std::int64_t logging_in = 0, servers = 0, busy_servers = 0, clients = 0;
  for (const auto& client : request.hub.clients()) {
    databases.insert(client.database);
    users.insert(client.user);
    pools.insert({client.database, client.user});
    ++(client.state == "login" ? logging_in : clients);
    servers += client.server_pid != 0;
    busy_servers += client.server_pid != 0 && client.state != "idle";
  }
  const auto free_clients = std::max<std::int64_t>(0, where(request).max_clients - clients - logging_in);
  const auto size = [](const auto& set) { return static_cast<std::int64_t>(set.size()); };
  Table table({{"list", Type::text}, {"items", Type::int4}});
  table.row("databases", size(databases));
  table.row("users", size(users));
  table.row("pools", size(pools));
  table.row("free_clients", free_clients);
  table.row("used_clients", clients);
  table.row("login_clients", logging_in);
  table.row("free_servers", servers - busy_servers);
  table.row("used_servers", busy_servers);
  for (const char* name : {"dns_names", "dns_zones", "dns_queries", "dns_pending"}) table.row(name, 0);
  return table;
}

/// int8 where pgbouncer says int4: a cache may well hold more than 2 GB.
ConsoleResult show_mem(const Request& request) {
  const auto memory = request.hub.memory.statistics();
  Table table({{"name", Type::text}, {"size", Type::int8}, {"used", Type::int8}, {"free", Type::int8}, {"memtotal", Type::int8}});
  table.row("result_cache", memory.entries ? memory.bytes / memory.entries : 0, memory.entries,
            memory.max_bytes > memory.bytes ? memory.max_bytes - memory.bytes : 0, memory.bytes);
  return table;
}

}  // namespace pgsteer::proxy::console
