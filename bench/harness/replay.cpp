#include "bench/harness/replay.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "rewriter/sql/analysis.hpp"

namespace pgsteer::harness {
namespace {

using Json = nlohmann::json;
using workload::Protocol;
using workload::Random;
using workload::Statement;

struct Record {
  std::string time, message, detail;
};

/// "2026-11-21 08:14:43.123 UTC" -> seconds; the zone is the same for a whole log.
double seconds_of(const std::string& time) {
  std::tm parts{};
  const char* rest = ::strptime(time.c_str(), "%Y-%m-%d %H:%M:%S", &parts);
  if (!rest) return 0;
  return static_cast<double>(::timegm(&parts)) + (*rest == '.' ? std::strtod(rest, nullptr) : 0);
}

/// The statement in a message; "" when the message is of something else.
std::string statement_of(std::string_view message) {
  if (message.starts_with("duration: ")) {
    const auto end = message.find(" ms  ");
    if (end == std::string_view::npos) return {};
    message.remove_prefix(end + 5);
  }
  if (message.starts_with("statement: ")) return std::string(message.substr(11));
  if (!message.starts_with("execute ")) return {};  // "parse …" and "bind …" are the same statement once more
  const auto colon = message.find(": ");
  return colon == std::string_view::npos ? std::string() : std::string(message.substr(colon + 2));
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<Record> records_of_json(const std::string& text) {
  std::vector<Record> records;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const Json one = Json::parse(line, nullptr, false);
    if (!one.is_object()) continue;
    records.push_back({one.value("timestamp", ""), one.value("message", ""), one.value("detail", "")});
  }
  return records;
}

std::vector<LoggedStatement> from_records(const std::vector<Record>& records, std::vector<std::string>& notes) {
  std::vector<LoggedStatement> statements;
  int without_values = 0;
  double first = 0;
  for (const Record& record : records) {
    LoggedStatement one{seconds_of(record.time), statement_of(record.message), {}};
    if (one.sql.empty()) continue;
    if (!read_parameters(record.detail, one.parameters)) {
      ++without_values;
      continue;
    }
    if (statements.empty()) first = one.seconds;
    one.seconds = std::max(0.0, one.seconds - first);
    statements.push_back(std::move(one));
  }
  if (without_values > 0) notes.push_back(fmt::format("{} statements left out: a parameter is NULL or was cut off in the log", without_values));
  return statements;
}

std::vector<LoggedStatement> from_export(const std::vector<std::vector<std::string>>& rows, std::vector<std::string>& notes) {
  const auto column = [&](const char* name) { return static_cast<std::size_t>(std::find(rows[0].begin(), rows[0].end(), name) - rows[0].begin()); };
  const std::size_t query = column("query"), calls = column("calls");
  std::vector<LoggedStatement> statements;
  int with_placeholders = 0;
  for (std::size_t i = 1; i < rows.size(); ++i) {
    if (query >= rows[i].size()) continue;
    const auto analysis = sql::analyse(rows[i][query]);
    if (analysis->features.parameters > 0) {
      ++with_placeholders;
      continue;
    }
    const int times = calls < rows[i].size() ? std::clamp(std::atoi(rows[i][calls].c_str()), 1, 100) : 1;
    for (int k = 0; k < times; ++k) statements.push_back({0, rows[i][query], {}});
  }
  if (with_placeholders > 0)
    notes.push_back(fmt::format("{} statements left out: pg_stat_statements keeps no values for their $1; a csvlog or jsonlog does", with_placeholders));
  return statements;
}

/// Asked twice it answers otherwise.
bool changes_by_itself(const sql::Analysis& analysis) {
  static const std::set<std::string> names = {"now", "random", "clock_timestamp", "statement_timestamp", "transaction_timestamp", "timeofday", "nextval", "currval", "lastval",
                                              "pg_backend_pid", "txid_current", "pg_current_xact_id", "gen_random_uuid", "uuid_generate_v4", "inet_client_port", "setseed"};
  return analysis.flags.sql_value_function || analysis.flags.time_literal || analysis.flags.tablesample ||
         std::any_of(analysis.functions.begin(), analysis.functions.end(), [](const auto& f) { return names.contains(f.name); });
}

}  // namespace

std::vector<std::vector<std::string>> read_csv(std::string_view text) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> row;
  std::string field;
  bool quoted = false;
  const auto end_row = [&] {
    row.push_back(std::move(field));
    field.clear();
    rows.push_back(std::move(row));
    row.clear();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c != '"') field += c;
      else if (i + 1 < text.size() && text[i + 1] == '"') field += text[++i];
      else quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == ',') {
      row.push_back(std::move(field));
      field.clear();
    } else if (c == '\n') {
      end_row();
    } else if (c != '\r') {
      field += c;
    }
  }
  if (!field.empty() || !row.empty()) end_row();
  return rows;
}

bool read_parameters(std::string_view detail, std::vector<std::string>& values) {
  values.clear();
  if (!detail.starts_with("parameters: ") && !detail.starts_with("Parameters: ")) return true;
  detail.remove_prefix(12);
  while (!detail.empty()) {
    const auto equals = detail.find(" = ");
    if (equals == std::string_view::npos || detail[0] != '$') return false;
    detail.remove_prefix(equals + 3);
    if (!detail.starts_with('\'')) return false;  // NULL
    std::string value;
    std::size_t at = 1;
    for (; at < detail.size(); ++at) {
      if (detail[at] != '\'') value += detail[at];
      else if (at + 1 < detail.size() && detail[at + 1] == '\'') value += detail[++at];
      else break;
    }
    if (at >= detail.size() || value.ends_with("...")) return false;
    values.push_back(std::move(value));
    detail.remove_prefix(at + 1);
    if (detail.starts_with(", ")) detail.remove_prefix(2);
  }
  return true;
}

std::vector<LoggedStatement> read_log(const std::string& path, std::vector<std::string>& notes) {
  const std::string text = read_file(path);
  if (text.starts_with("{")) return from_records(records_of_json(text), notes);
  const auto rows = read_csv(text);
  if (rows.empty()) throw std::runtime_error(path + " is empty");
  if (std::find(rows[0].begin(), rows[0].end(), "query") != rows[0].end()) return from_export(rows, notes);
  std::vector<Record> records;
  for (const auto& row : rows)
    if (row.size() >= 15) records.push_back({row[0], row[13], row[14]});
  if (records.empty()) throw std::runtime_error(path + ": neither a csvlog, a jsonlog nor an export of pg_stat_statements with a header (column query)");
  return from_records(records, notes);
}

Workload make_replay(const std::string& path, bool writes) {
  if (path.empty()) throw std::invalid_argument("the workload replay needs --replay FILE");
  Workload workload{"replay", "statements of " + path, {}, true, false, {}, {}};
  std::map<std::string, std::size_t> known;
  std::vector<std::vector<Statement>> of_class;
  int written = 0, unread = 0;
  for (LoggedStatement& one : read_log(path, workload.notes)) {
    const auto analysis = sql::analyse(one.sql);
    if (analysis->kind == sql::StatementKind::unparsed || analysis->kind == sql::StatementKind::multiple) {
      ++unread;
      continue;
    }
    const bool changes = analysis->kind == sql::StatementKind::insert || analysis->kind == sql::StatementKind::update || analysis->kind == sql::StatementKind::delete_ ||
                         analysis->kind == sql::StatementKind::merge;
    if (!analysis->read_only_select() && !(writes && changes)) {
      ++written;
      continue;
    }
    const auto [at, fresh] = known.emplace(analysis->fingerprint_hex, workload.classes.size());
    if (fresh) {
      workload::StatementClass added;
      added.name = analysis->fingerprint_hex;
      added.what = analysis->normalized();
      added.writes = changes;
      added.comparable = !changes && !changes_by_itself(*analysis) && !analysis->features.has_limit;  // which rows a LIMIT takes is open
      workload.classes.push_back(std::move(added));
      of_class.emplace_back();
    }
    const Protocol protocol = one.parameters.empty() ? Protocol::simple : Protocol::extended;
    Statement statement{{{std::move(one.sql), std::move(one.parameters), protocol}}, false, {}};
    of_class[at->second].push_back(statement);
    workload.recorded.push_back({one.seconds, at->second, std::move(statement)});
  }
  for (std::size_t i = 0; i < workload.classes.size(); ++i) {
    auto& c = workload.classes[i];
    c.per_round = static_cast<int>(std::min<std::size_t>(of_class[i].size(), 20));
    c.day = c.night = static_cast<double>(of_class[i].size());
    c.draw = [statements = std::move(of_class[i])](Random& random) { return statements[random.below(statements.size())]; };
  }
  if (written > 0) workload.notes.push_back(fmt::format("{} statements left out: they write, lock or are no queries{}", written, writes ? "" : " (--writes sends INSERT, UPDATE, DELETE and MERGE too)"));
  if (unread > 0) workload.notes.push_back(fmt::format("{} statements left out: not understood, or several in one", unread));
  if (workload.classes.empty()) throw std::runtime_error(path + ": no statement that could be sent again");
  return workload;
}

}  // namespace pgsteer::harness
