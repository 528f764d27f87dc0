#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/config.hpp"

struct pg_conn;
struct pg_result;

namespace pgsteer::proxy::learning {

/// True when the background must let go at once (shutdown). Polled every few milliseconds by every wait of a Connection.
using Interrupt = std::function<bool()>;

/// libpq keywords and values of one database on the probed server.
using Target = std::vector<std::pair<std::string, std::string>>;

/// Where to look things up: upstream.probe_url (secret from probe_password_file when given), else upstream.url as
/// `session_user`, else as the invoking user. nullopt with *error when the URL cannot be read.
std::optional<Target> probe_target(const Config& config, const std::string& database, const std::string& session_user,
                                   std::string* error);
/// The same as one libpq connection string, for libpqxx.
std::string connection_string(const Target& target);
/// What a URL or connection string says, by libpq's rules, without what it leaves empty; nullopt with libpq's own words in *error, which may hold
/// all of the text, its password too.
std::optional<Target> read_connection_string(const std::string& text, std::string* error);

/// Parameter values of one execution, as libpq takes them. `types` may be shorter than `values` (0 = let the server say).
struct Parameters {
  std::vector<std::uint32_t> types;
  std::vector<std::optional<std::string>> values;
  std::vector<int> formats;  ///< one per value, 0 text, 1 binary
};
/// Reads the parameter section of a Bind message (format codes, count, values; whatever follows is left alone).
/// nullopt when it is truncated or inconsistent. "" means no parameters (simple protocol).
std::optional<Parameters> parse_bind(const std::vector<std::uint32_t>& types, std::string_view section);

/// A result, or the error in its place.
class Rows {
 public:
  Rows() = default;
  explicit Rows(pg_result* result);
  static Rows failure(std::string message, std::string sqlstate = "08006");
  bool ok() const { return ok_; }
  const std::string& sqlstate() const { return sqlstate_; }
  const std::string& message() const { return message_; }
  int rows() const;
  int columns() const;
  std::string_view text(int row, int column) const;  ///< "" for NULL
  bool is_null(int row, int column) const;
  std::uint32_t column_type(int column) const;
  /// Everything RowDescription says but the format: name, table OID, column number, type OID, typmod per column.
  std::vector<std::string> row_description() const;
  /// The same without table OID and column number: what the answer's consumer must not see change.
  std::vector<std::string> column_types() const;
  std::vector<std::uint32_t> parameter_types() const;

 private:
  std::shared_ptr<pg_result> result_;
  bool ok_ = false;
  std::string sqlstate_, message_;
};

/// What a streamed statement returned: timing and an order-blind digest of its rows.
struct Answer {
  bool ok = false;
  std::string sqlstate, message;
  double ms = 0;                  ///< sent to last byte
  std::uint64_t rows = 0, bytes = 0;
  std::uint64_t digest[2] = {0, 0};  ///< sum of a hash of every row, floating-point columns left out
  double float_sum = 0, float_abs = 0;  ///< of the floating-point columns: compared with a tolerance
  std::vector<std::string> columns;
  bool timed_out() const { return sqlstate == "57014"; }
};

/// One libpq connection of the background thread that made it. Every call waits in small steps and gives up (with a
/// cancel request) when `interrupt` says so, hence never holds up a shutdown.
class Connection {
 public:
  static std::unique_ptr<Connection> open(const Target& target, std::chrono::milliseconds timeout, Interrupt interrupt,
                                          std::string* error);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Simple protocol: one or several statements; the last result, or the first error.
  Rows run(const std::string& sql);
  /// Extended protocol with text results.
  Rows run(const std::string& sql, const Parameters& parameters);
  /// Parse and Describe of the unnamed statement.
  Rows describe(const std::string& sql, const std::vector<std::uint32_t>& types);
  /// Runs and digests a statement row by row, without holding its result.
  Answer stream(const std::string& sql, const Parameters& parameters);
  bool broken() const;
  /// A statement of it was cancelled or ran into a time-out. PostgreSQL (15) forgets a ProcSignalBarrier that arrived with that, and DROP DATABASE,
  /// of whatever database, waits for ever for the backend to answer it: such a connection is not to be kept.
  bool stopped() const { return stopped_; }
  bool interrupted() const { return interrupt_ && interrupt_(); }

 private:
  Connection(pg_conn* connection, Interrupt interrupt);
  pg_result* next();  ///< waits for the next result; nullptr at the end
  void request_cancel();
  bool send(const std::string& sql, const Parameters& parameters);
  Rows collect();
  std::string error_text() const;
  void note(const std::string& sqlstate);
  pg_conn* connection_;
  Interrupt interrupt_;
  bool stopped_ = false;
};

/// The probe connections of one thread, one per database, re-opened with back-off. health() may be called from anywhere.
class Links {
 public:
  using UserOf = std::function<std::string(const std::string& database)>;
  using Vacant = std::function<bool(const std::string& database)>;
  /// While `vacant` says so there is no connection to that database.
  Links(UserOf user_of, Interrupt interrupt, Vacant vacant);
  /// An idle connection, or nullptr (with the reason in health()) when there is none right now.
  Connection* get(const Config& config, const std::string& database);
  void leave();  ///< closes what is idle in databases that are to be vacated, and what was stopped
  void close_all();
  std::vector<std::pair<std::string, std::string>> health() const;

 private:
  struct Slot {
    std::unique_ptr<Connection> connection;
    std::chrono::steady_clock::time_point not_before{};
    std::chrono::milliseconds delay{0};
  };
  UserOf user_of_;
  Interrupt interrupt_;
  Vacant vacant_;
  std::map<std::string, Slot> slots_;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> state_;
};

}  // namespace pgsteer::proxy::learning
