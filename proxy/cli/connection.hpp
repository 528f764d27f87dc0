#pragma once
#include <memory>
#include <string>
#include <vector>

struct pg_conn;
struct pg_result;

namespace pgsteer::proxy::cli {

/// A blocking libpq connection for the sub-commands that talk to a running pgsteer. Errors are texts.
class Connection {
 public:
  /// `url`: a postgresql:// URL or key=value words. On failure ok() is false and error() says why.
  explicit Connection(const std::string& url);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  bool ok() const;
  std::string error() const;

  struct Result {
    std::vector<std::string> columns;
    std::vector<bool> numeric;  ///< by column: right-aligned
    std::vector<std::vector<std::string>> rows;
    std::string tag, error, hint, sqlstate;
  };
  Result execute(const std::string& command);

 private:
  pg_conn* connection_;
};

/// One key=value word, the value quoted as libpq wants it.
std::string connection_word(const std::string& key, const std::string& value);

}  // namespace pgsteer::proxy::cli
