#include "bench/workload/loader.hpp"

#include <libpq-fe.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <stdexcept>

#include <fmt/format.h>

#include "bench/workload/connection.hpp"

namespace pgsteer::workload {
namespace {

/// One bar over all of the loading: rows first, then keys and indexes.
class Progress {
 public:
  explicit Progress(std::uint64_t total) : total_(std::max<std::uint64_t>(total, 1)), terminal_(isatty(2) == 1) {}
  ~Progress() {
    if (terminal_) fmt::print(stderr, "\r{:78}\r", "");
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void add(std::uint64_t done, const std::string& what) {
    done_ = std::min(done_ + done, total_);
    const auto percent = static_cast<int>(done_ * 100 / total_);
    if (terminal_ && (percent != shown_ || what != what_)) {
      fmt::print(stderr, "\r  [{:-<40}] {:3} % {:28}", std::string(static_cast<std::size_t>(percent) * 2 / 5, '#'), percent, what.substr(0, 28));
    } else if (!terminal_ && percent / 20 != shown_ / 20) {
      fmt::print(stderr, "  {:3} % loaded ({})\n", percent, what);
    }
    std::fflush(stderr);
    shown_ = percent;
    what_ = what;
  }

 private:
  std::uint64_t total_, done_ = 0;
  int shown_ = 0;
  std::string what_;
  bool terminal_;
};

std::uint64_t copy(Connection& connection, const Table& table, Progress& progress, std::uint64_t checksum) {
  PGconn* raw = connection.raw();
  PGresult* begin = PQexec(raw, ("copy " + table.name + " from stdin with (freeze)").c_str());
  const bool started = PQresultStatus(begin) == PGRES_COPY_IN;
  PQclear(begin);
  if (!started) throw std::runtime_error(table.name + ": " + PQerrorMessage(raw));
  std::uint64_t hash = hash_bytes(table.name, checksum);
  table.produce([&](std::string_view block, std::uint64_t rows) {
    hash = hash_bytes(block, hash);
    if (PQputCopyData(raw, block.data(), static_cast<int>(block.size())) != 1) throw std::runtime_error(table.name + ": " + PQerrorMessage(raw));
    progress.add(rows, table.name);
  });
  if (PQputCopyEnd(raw, nullptr) != 1) throw std::runtime_error(table.name + ": " + PQerrorMessage(raw));
  std::string error;
  while (PGresult* result = PQgetResult(raw)) {
    if (PQresultStatus(result) != PGRES_COMMAND_OK) error = PQresultErrorMessage(result);
    PQclear(result);
  }
  if (!error.empty()) throw std::runtime_error(table.name + ": " + error);
  return hash;
}

std::vector<std::string> lines(std::string_view text) {
  std::vector<std::string> result;
  std::istringstream stream{std::string(text)};
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty()) result.push_back(line);
  }
  return result;
}

}  // namespace

Digest load(const std::string& url, const Scale& scale, std::uint64_t seed) {
  Connection connection(url);
  const std::vector<Table> tables = make_tables(scale, seed);
  const std::vector<std::string> constraints = lines(constraints_sql);
  std::uint64_t rows = 0;
  for (const Table& table : tables) rows += table.expected_rows;
  // On the machines this was written on an index costs about as much as 60,000 copied rows, the final ANALYZE as four.
  const std::uint64_t index_weight = std::max<std::uint64_t>(1, rows / 45);
  Progress progress(rows + index_weight * (constraints.size() + 4));

  connection.execute("set client_min_messages = warning");
  connection.execute("set maintenance_work_mem = '256MB'");
  std::string names;
  for (const Table& table : tables) names += (names.empty() ? "" : ", ") + table.name;
  connection.execute("begin");  // COPY FREEZE wants tables of its own transaction; half-loaded data is never seen
  connection.execute("drop table if exists " + names + " cascade");
  connection.execute(std::string(schema_sql));
  Digest digest;
  for (const Table& table : tables) digest.checksum = copy(connection, table, progress, digest.checksum);
  for (const std::string& line : constraints) {
    progress.add(index_weight, "keys and indexes");
    connection.execute(line);
  }
  connection.execute("commit");
  progress.add(index_weight, "statistics");
  connection.execute("vacuum analyze " + names);
  for (const Table& table : tables) {
    digest.rows += std::stoull(connection.query("select count(*) from " + table.name)[1][0]);
  }
  return digest;
}

}  // namespace pgsteer::workload
