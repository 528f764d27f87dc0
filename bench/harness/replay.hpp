#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "bench/harness/workloads.hpp"

namespace pgsteer::harness {

/// One statement as a server's log has it.
struct LoggedStatement {
  double seconds = 0;  ///< since the first one
  std::string sql;
  std::vector<std::string> parameters;
};

/// Reads what PostgreSQL wrote with log_statement or log_min_duration_statement in csvlog or jsonlog ("statement: …", "execute …: …" with
/// its "parameters: $1 = '…'"), or a CSV export of pg_stat_statements with a header that names `query` (and `calls`). What the text of the
/// file is decides. `notes` says what was passed over and how often. Throws std::runtime_error.
std::vector<LoggedStatement> read_log(const std::string& path, std::vector<std::string>& notes);

/// Fields of CSV records: quotes, doubled quotes, line feeds inside of quotes.
std::vector<std::vector<std::string>> read_csv(std::string_view text);
/// "parameters: $1 = 'it''s', $2 = NULL" -> its values, NULL as "". False when one is NULL or cut off: such a statement cannot be sent again.
bool read_parameters(std::string_view detail, std::vector<std::string>& values);

/// The statements by fingerprint, one class each with its distinct texts, as often under load as in the log.
Workload make_replay(const std::string& path, bool writes);

}  // namespace pgsteer::harness
