#include "proxy/hosts/watch.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include <fmt/format.h>

#include "proxy/hosts/hosts.hpp"
#include "proxy/survive.hpp"

namespace pgsteer::proxy {

namespace {

using learning::Connection;
using learning::Rows;
constexpr auto kLongestDelay = std::chrono::milliseconds(5000);  ///< of hosts that do not answer

/// One row. A standby that waits for WAL to arrive has replayed all that it was sent, as far as that makes whole records: what nobody's commit
/// waits for is sent up to the end of a page. Only pg_monitor and the like may see what it waits for.
constexpr const char* kQuestion =
    "SELECT r, pg_catalog.current_setting('transaction_read_only') = 'on',"
    " pg_catalog.pg_wal_lsn_diff(CASE WHEN r THEN replayed ELSE pg_catalog.pg_current_wal_flush_lsn() END, '0/0'),"
    " CASE WHEN NOT r THEN pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()) END,"
    " CASE WHEN NOT r OR waits OR (replayed = received AND EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver)) THEN 0"
    " ELSE greatest(0, extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())) END,"
    " CASE WHEN NOT r THEN pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0') END,"
    " (SELECT 3 * setting::int FROM pg_catalog.pg_settings WHERE name = 'wal_writer_delay'),"
    " CASE WHEN waits THEN pg_catalog.pg_wal_lsn_diff(received, '0/0') END"
    " FROM (SELECT i.*, r AND EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE backend_type = 'startup' AND wait_event = 'RecoveryWalStream' AND"
    " received IS NOT NULL) FROM (SELECT pg_catalog.pg_is_in_recovery(), CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_receive_lsn() END,"
    " CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() END OFFSET 0) AS i (r, received, replayed) OFFSET 0) AS now (r, received, replayed, waits)";

std::uint64_t number(std::string_view text, int base = 10) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, base);
  return value;
}

HostLook read(const Rows& rows, HostLook look) {
  if (!rows.ok() || rows.rows() != 1 || rows.columns() != 8) {
    look.error = rows.ok() ? "an unexpected answer" : rows.message();
    if (look.error.empty()) look.error = "no answer";
    return look;
  }
  look.role = rows.text(0, 0) == "t" ? Role::standby : Role::primary;
  look.read_only = rows.text(0, 1) == "t";
  look.position = number(rows.text(0, 2));
  look.timeline = static_cast<std::uint32_t>(number(rows.text(0, 3).substr(0, 8), 16));
  if (!rows.is_null(0, 4)) look.lag_seconds = std::strtod(std::string(rows.text(0, 4)).c_str(), nullptr);
  look.inserted = number(rows.text(0, 5));
  look.caught_up = number(rows.text(0, 7));
  look.flushed_within = std::chrono::milliseconds(number(rows.text(0, 6)));
  return look;
}

}  // namespace

void HostWatch::start() {
  if (!hub_.hosts->several()) return;
  for (int host = 0; host < hub_.hosts->count(); ++host) threads_.emplace_back([this, host] { run_thread("hosts", [this, host] { watch(host); }); });
}

void HostWatch::stop() {
  stopped_ = true;
  hub_.hosts->stop();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

std::optional<learning::Target> HostWatch::target(int host, std::string* error) const {
  const auto config = hub_.snapshot()->config;
  const auto login = parse_upstreams(config->upstream.probe_url.empty() ? config->upstream.url : config->upstream.probe_url, error);
  if (!login) return std::nullopt;
  std::string database = login->hosts.front().database, user;
  for (const auto& client : hub_.clients()) {
    if (client.is_console || !login->hosts.front().user.empty()) continue;
    if (database.empty()) database = client.database;
    user = client.user;
    break;
  }
  auto target = learning::probe_target(*config, database.empty() ? "postgres" : database, user, error);
  if (!target) return std::nullopt;
  const Endpoint& endpoint = hub_.hosts->endpoint(host);
  std::erase_if(*target, [](const auto& word) { return word.first == "target_session_attrs"; });
  for (auto& [key, value] : *target) {
    if (key == "host") value = endpoint.host;
    else if (key == "port") value = std::to_string(endpoint.port);
    else if (key == "application_name") value = "pgsteer health";
  }
  return target;
}

void HostWatch::watch(int host) {
  std::unique_ptr<Connection> link;
  auto deadline = Hosts::Clock::time_point::max();
  const auto interrupt = [this, &deadline] { return stopped_.load() || Hosts::Clock::now() > deadline; };
  std::chrono::milliseconds delay(0);
  do {
    const auto limits = hub_.snapshot()->config->upstream;
    HostLook look;
    deadline = Hosts::Clock::now() + limits.connect_timeout;
    if (!link) {
      if (const auto where = target(host, &look.error)) link = Connection::open(*where, limits.connect_timeout, interrupt, &look.error);
    }
    if (link) {
      look.error.clear();
      look.asked = Hosts::Clock::now();
      look = read(link->run(kQuestion), look);
      if (!look.error.empty() || link->broken()) link.reset();
    }
    if (stopped_) return;
    hub_.hosts->saw(host, look);
    if (look.error.empty()) delay = limits.check_interval;
    else delay = std::min(std::max(delay * 2, limits.check_interval), std::max(kLongestDelay, limits.check_interval));
  } while (hub_.hosts->wait_to_look(host, delay));
}

}  // namespace pgsteer::proxy
