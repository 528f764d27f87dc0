#pragma once
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

struct pg_conn;
struct pg_result;

namespace pgsteer::workload {

/// How a statement travels: simple Query, Parse/Bind/Execute each time, or a named statement parsed once a connection.
enum class Protocol : std::uint8_t { simple, extended, prepared };

/// One step of a statement: a text and its parameters.
struct Step {
  std::string sql;
  std::vector<std::string> parameters;
  Protocol protocol = Protocol::simple;
};

/// What came back. The checksum covers every value of every row, with its length and NULL; rows are summed, so their
/// order does not count, unless the statement fixes it (`ordered`).
struct Answer {
  double milliseconds = 0;
  std::uint64_t rows = 0, checksum = 0;
  std::string error;  ///< SQLSTATE and message; "" = none
};

/// A libpq connection; blocking, one thread. Throws ConnectionError when it cannot be opened.
class ConnectionError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Connection {
 public:
  explicit Connection(const std::string& url, const std::string& application = "pgsteer-workload");

  /// Runs the steps one after the other, as an application would; time is from the first send to the last byte.
  Answer run(const std::vector<Step>& steps, bool ordered);
  /// For set-up work: throws std::runtime_error with the server's message.
  void execute(const std::string& sql);
  /// All rows as text, NULL as "", first row the column names. Throws as execute() does.
  std::vector<std::vector<std::string>> query(const std::string& sql);
  /// Opens again after the server went away.
  void reconnect();
  pg_conn* raw() { return connection_.get(); }

 private:
  struct Close {
    void operator()(pg_conn* connection) const;
  };
  pg_result* send(const Step& step);
  std::unique_ptr<pg_conn, Close> connection_;
  std::unordered_set<std::string> prepared_;
  std::string url_, application_;
};

}  // namespace pgsteer::workload
