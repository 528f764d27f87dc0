#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

#include "tests/support/servers.hpp"

namespace pgsteer::harness {

/// Where a PostgreSQL is, by its connection string (URI or key=value, as libpq reads both).
struct Upstream {
  std::string host, port, user, password, database;
  std::string url() const;                                   ///< libpq key=value form
  std::string url_at(std::uint16_t other_port, const std::string& other_database = {}) const;  ///< the same through 127.0.0.1:other_port
};
/// Throws std::invalid_argument with libpq's words.
Upstream parse_upstream(const std::string& url);

/// User and system time of a process and all its descendants, those included that it has waited for. Seconds; 0 when it is gone.
double cpu_seconds(pid_t pid);
double resident_mb(pid_t pid);

/// Something statements are sent to. The first of a run is what the others are measured against.
struct System {
  std::string label;    ///< as given: direct, pgbouncer, pgpool, pgsteer:auto, or a name of the user's
  std::string url;
  std::string console;  ///< of a pgsteer we started; "" for all others
  pid_t pid = -1;       ///< of a proxy we started; -1: none, or not ours
};

/// Throws std::invalid_argument when there is no such system.
void check_system(const std::string& spec);

/// Starts what is compared, each on a free port of 127.0.0.1 with everything it writes in a directory of its own, and ends it.
/// Known: direct; pgbouncer (session pooling: Debian's knows no prepared statements in transactions); pgpool (with its memory cache); pgsteer:MODE with MODE one of off, observe, suggest,
/// auto, `+cache` for a strict result cache, `+pool` for transaction pooling; LABEL=host:port or LABEL=URL for whatever runs already.
class Systems {
 public:
  /// `pgsteer`: the program to start; `clients`: connections to make room for.
  Systems(Upstream upstream, std::string pgsteer, int clients);
  /// Throws std::runtime_error when it does not start (with the end of its log).
  System start(const std::string& spec);
  const std::string& directory() const { return directory_.path(); }

 private:
  System start_pgbouncer();
  System start_pgpool();
  System start_pgsteer(const std::string& spec);
  System finish(const std::string& label, std::vector<std::string> command, std::uint16_t port, bool as_nobody);
  const Upstream upstream_;
  const std::string pgsteer_;
  const int clients_;
  test::TempDir directory_;
  std::vector<std::unique_ptr<test::Process>> processes_;
};

}  // namespace pgsteer::harness
