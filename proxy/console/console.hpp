#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/hub.hpp"

namespace pgsteer::proxy {

/// A result of the console: columns with PostgreSQL types and text rows, or an error, or a bare command tag.
struct ConsoleResult {
  struct Column {
    std::string name;
    std::uint32_t type = 25;  ///< OID: 25 text, 20 int8, 701 float8, 16 bool, 1184 timestamptz
  };
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;
  std::string tag;       ///< CommandComplete; "SHOW" when empty and columns are not
  std::string sqlstate;  ///< not empty: an error
  std::string message, hint;
  bool close = false;    ///< SHUTDOWN etc.: close this session after the answer
  std::function<bool()> until;  ///< PAUSE: the answer waits for this, asked again and again on one thread
};

/// Who is asking.
struct ConsoleUser {
  std::string name;
  bool admin = false;  ///< may change things; otherwise SHOW only
};

/// One admin command (without trailing semicolon) -> result. Total: unknown commands give an error with the nearest
/// name. Every command is one entry of the explicit list in console/all.cpp. Never blocks for long.
ConsoleResult run_console_command(Hub& hub, const ConsoleUser& user, std::string_view command);

/// Rows of EXPLAIN (PGSTEER): the plan in words.
std::vector<std::string> explain_plan(const Plan& plan, const Snapshot& snapshot, std::string_view text);

}  // namespace pgsteer::proxy
