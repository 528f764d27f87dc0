#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/policy.hpp"

namespace pgsteer::proxy {

/// Every setting of conf/pgsteer.toml with its default. Sections are TOML tables; a test holds file and struct together.
struct Config {
  struct Listen {
    std::string address = "127.0.0.1";
    std::uint16_t port = 6432;
    std::string unix_socket_dir;           ///< "" = none; else DIR/.s.PGSQL.<port>
    int backlog = 1024;
  } listen;
  struct Upstream {
    std::string url = "postgresql://127.0.0.1:5432";  ///< hosts, ports (or a socket directory as host); where sessions go
    std::chrono::milliseconds connect_timeout{5000};
    std::chrono::milliseconds check_interval{1000};  ///< how often each of several hosts is asked for its role and its lag
    std::string probe_url;                 ///< URL with user and secret for background look-ups; "" = url as the invoking user
    std::string probe_password_file;
    bool probe = true;                     ///< background EXPLAIN, judgement and catalog look-ups
  } upstream;
  struct Limits {
    int max_client_conn = 10000;
    std::size_t max_analysed_bytes = 32 * 1024;
    int analysis_cache_entries = 10000;
    std::chrono::milliseconds login_timeout{60000};
  } limits;
  struct Threads {
    int count = 0;                         ///< 0 = one per core
  } threads;
  struct Mode {
    policies::Mode initial = policies::Mode::observe;  ///< [mode] default = "observe": when no policy rule says otherwise
  } mode;
  struct Policies {
    std::string directory;                 ///< "" = conf/policies beside the config file if there, else none
  } policies;
  struct Cache {
    std::size_t memory_bytes = 128u << 20;
    std::string redis_url;                 ///< redis://[user[:password]@]host[:port][/db] or unix:///path; "" = memory only
    std::string group;                     ///< of several pgsteer with the words of the cache in redis_url; "" = alone
    std::chrono::microseconds redis_deadline{2000};
    std::chrono::microseconds feed_deadline{50000};  ///< of a look-up with "strict+wal", for what others have committed
    std::chrono::microseconds redis_min_cost{300};  ///< cheaper results stay in memory only
    std::chrono::milliseconds fill_wait{1000};      ///< for an answer that another session is getting; then the server is asked
    bool serve_old = true;                          ///< in ttl and bounded: what was written since may be left out for the staleness
  } cache;
  struct Learning {
    bool enabled = true;                   ///< write feedback
    std::string store_url;                 ///< postgresql:// of the store that a fleet shares; "" = embedded, in state_dir
    std::chrono::milliseconds flush_interval{200};
    std::int64_t max_rows = 2000000;
    std::chrono::seconds retrain_interval{3600};  ///< 0 = only by TRAIN
    bool explore = true;                   ///< offline exploration of arms, as far as policies allow
    std::chrono::milliseconds explore_idle{200};  ///< pause between explored statements
    std::chrono::milliseconds explore_credit{60000};  ///< what exploring may cost beyond the policy's share of the observed time
    std::chrono::milliseconds regret{300000};  ///< what all policies' changes together may lose in an hour
    std::uint64_t seed = 1;
  } learning;
  struct Catalog {
    std::chrono::milliseconds refresh_interval{5000};  ///< poll for changes that bypassed us
  } catalog;
  struct Console {
    std::string database = "pgsteer";
    std::vector<std::string> admin_users;  ///< empty = anyone from loopback or a unix socket
    std::vector<std::string> stats_users;
  } console;
  struct Http {
    std::string address = "127.0.0.1";
    int port = 6433;                       ///< 0 = off
    std::string token_file;                ///< required when `address` is not this machine's own; "" = no token
  } http;
  struct Log {
    std::string level = "info";            ///< trace debug info warn error
    std::string format = "text";           ///< text | json
    std::string file;                      ///< "" = standard error
    std::chrono::milliseconds min_duration{0};  ///< statements that take as long get a line of their own; 0 = none
  } log;
  std::string state_dir;                   ///< "" = $XDG_STATE_HOME/pgsteer or /var/lib/pgsteer
  std::string config_file;                 ///< where it came from; not a setting
  bool several_hosts = false;              ///< upstream.url names more than one; not a setting

  /// Reads a file (or none: ""), then PGSTEER_SECTION__KEY from the environment, then `--set section.key=value`.
  /// All errors are collected, each as "file:line: what was expected, what came"; nullptr if any.
  static std::shared_ptr<const Config> load(const std::string& file, const std::vector<std::string>& overrides,
                                            std::vector<std::string>* errors);
  struct Row {
    std::string key, value, default_value, source;  ///< source: file:line, environment, --set, default
    bool changeable = false;                        ///< by RELOAD, without a restart
  };
  /// For SHOW CONFIG; secrets as ***.
  std::vector<Row> rows() const;
  bool given(std::string_view key) const;  ///< by the file, the environment or the command line
  std::vector<Row> sources;                ///< filled by load()

  struct Auth {
    std::string mode = "relay";            ///< relay: the client proves itself to the server; terminate: to us
    std::string method = "scram-sha-256";  ///< of terminate: scram-sha-256, md5, password, cert, trust
    std::string file;                      ///< users and their secrets
    std::string hba_file;                  ///< rules as in pg_hba.conf, in the place of `method`
    std::string query_user;                ///< "" = the server is not asked for secrets
    std::string query_database = "postgres";
    std::string query = "SELECT usename, passwd, extract(epoch from valuntil) FROM pg_catalog.pg_shadow WHERE usename = $1";
    std::chrono::milliseconds query_cache{10000};  ///< what it says is taken for true so long
  } auth;
  struct Pool {
    std::string mode = "session";          ///< session | transaction, where neither list below says otherwise
    std::vector<std::string> transaction;  ///< "database/user" patterns
    std::vector<std::string> session;
    int default_pool_size = 20;            ///< server connections per database and user
    int min_pool_size = 0;                 ///< kept open once a pool was used
    int reserve_pool = 0;                  ///< more of them for whoever has waited reserve_pool_timeout
    std::chrono::milliseconds reserve_pool_timeout{5000};
    int max_db_connections = 0;            ///< 0 = no limit
    int max_user_connections = 0;
    std::chrono::milliseconds query_wait_timeout{120000};
    std::chrono::milliseconds server_lifetime{3600000};
    std::chrono::milliseconds server_idle_timeout{600000};
    std::chrono::milliseconds idle_transaction_timeout{0};
    std::chrono::milliseconds transaction_timeout{0};
    std::chrono::milliseconds query_timeout{0};
    int max_prepared_statements = 1000;    ///< per server connection
  } pool;
  struct Routing {
    bool read_your_writes = true;          ///< what a session reads is no older than what it wrote
    std::chrono::milliseconds max_lag{5000};  ///< standbys further behind are not read from; 0 = any
  } routing;
  struct Shutdown {
    std::chrono::milliseconds drain_timeout{300000};  ///< of a process that was replaced: its clients may stay so long
  } shutdown;
  struct Tls {
    std::string mode = "disable";          ///< disable, allow, require, verify-ca, verify-full: of clients
    std::string certificate_file, key_file;
    std::string client_ca_file;            ///< who signs clients' certificates; "" = none are asked for
  } tls;
  std::shared_ptr<const class AuthFile> users;  ///< what auth.file holds; null without one
  std::shared_ptr<const class HbaFile> hba;     ///< what auth.hba_file holds; null without one
  std::shared_ptr<const class TlsContexts> tls_contexts;  ///< what the files of [tls] and of upstream.url hold
};

/// Host, port, and user/password when given, of a postgresql:// URL or of "host=/run/postgresql port=5432" words.
struct Endpoint {
  std::string host = "127.0.0.1";  ///< a leading '/' means a unix socket directory
  std::uint16_t port = 5432;
  std::string user, password, database;
  std::string sslmode = "disable", sslrootcert, sslcert, sslkey;  ///< as libpq's; prefer, require, verify-ca, verify-full
  bool unix_socket() const { return !host.empty() && host[0] == '/'; }
  bool wants_tls() const { return sslmode != "disable" && !unix_socket(); }
  std::string address() const;  ///< "host:port" for people
};
std::optional<Endpoint> parse_endpoint(const std::string& url, std::string* error);  ///< of one host

/// libpq's target_session_attrs: which of several hosts a session may be on.
enum class SessionAttributes : unsigned char { any, read_write, read_only, primary, standby, prefer_standby };
std::string_view to_string(SessionAttributes wanted);

/// One host or several, as libpq takes them: postgresql://a:5432,b:5433/d?target_session_attrs=primary, or host=a,b port=5432,5433.
struct Upstreams {
  std::vector<Endpoint> hosts;  ///< in the order given, at least one
  SessionAttributes wanted = SessionAttributes::any;
};
std::optional<Upstreams> parse_upstreams(const std::string& url, std::string* error);

}  // namespace pgsteer::proxy
