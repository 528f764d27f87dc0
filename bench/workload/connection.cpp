#include "bench/workload/connection.hpp"

#include <libpq-fe.h>

#include <chrono>

#include <fmt/format.h>

#include "bench/workload/generator.hpp"

namespace pgsteer::workload {
namespace {

struct Clear {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, Clear>;

std::string error_text(const PGresult* result, PGconn* connection) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  if (state == nullptr) return std::string("connection: ") + PQerrorMessage(connection);
  return std::string(state) + " " + (message == nullptr ? "" : message);
}

bool succeeded(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY;
}

void add_rows(const PGresult* result, bool ordered, Answer& answer) {
  const int rows = PQntuples(result), columns = PQnfields(result);
  for (int row = 0; row < rows; ++row) {
    std::uint64_t hash = static_cast<std::uint64_t>(columns);
    for (int column = 0; column < columns; ++column) {
      const bool null = PQgetisnull(result, row, column) != 0;
      const auto length = static_cast<std::size_t>(PQgetlength(result, row, column));
      hash = null ? hash_bytes("\x01", hash ^ 0x5bd1e995) : hash_bytes({PQgetvalue(result, row, column), length}, hash + length);
    }
    answer.checksum = ordered ? hash_bytes({reinterpret_cast<const char*>(&hash), sizeof hash}, answer.checksum) : answer.checksum + hash;
  }
  answer.rows += static_cast<std::uint64_t>(rows);
  // The command tag says what a write did.
  if (rows == 0 && columns == 0) answer.checksum += hash_bytes(PQcmdStatus(const_cast<PGresult*>(result)));
}

}  // namespace

void Connection::Close::operator()(pg_conn* connection) const { PQfinish(connection); }

Connection::Connection(const std::string& url, const std::string& application) : url_(url), application_(application) { reconnect(); }

void Connection::reconnect() {
  prepared_.clear();
  const char* keys[] = {"dbname", "fallback_application_name", "connect_timeout", nullptr};
  const char* values[] = {url_.c_str(), application_.c_str(), "10", nullptr};
  connection_.reset(PQconnectdbParams(keys, values, 1));
  if (PQstatus(connection_.get()) != CONNECTION_OK) throw ConnectionError(PQerrorMessage(connection_.get()));
  PQsetNoticeProcessor(connection_.get(), [](void*, const char*) {}, nullptr);
}

pg_result* Connection::send(const Step& step) {
  if (step.protocol == Protocol::simple) return PQexec(connection_.get(), step.sql.c_str());
  std::vector<const char*> values;
  values.reserve(step.parameters.size());
  for (const std::string& parameter : step.parameters) values.push_back(parameter.c_str());
  const int count = static_cast<int>(values.size());
  if (step.protocol == Protocol::extended) {
    return PQexecParams(connection_.get(), step.sql.c_str(), count, nullptr, values.data(), nullptr, nullptr, 0);
  }
  const std::string name = fmt::format("s{:x}", hash_bytes(step.sql));
  if (prepared_.insert(name).second) {
    const Result prepared(PQprepare(connection_.get(), name.c_str(), step.sql.c_str(), count, nullptr));
    if (!succeeded(prepared.get())) {
      prepared_.erase(name);
      return PQexecParams(connection_.get(), step.sql.c_str(), count, nullptr, values.data(), nullptr, nullptr, 0);
    }
  }
  return PQexecPrepared(connection_.get(), name.c_str(), count, values.data(), nullptr, nullptr, 0);
}

Answer Connection::run(const std::vector<Step>& steps, bool ordered) {
  Answer answer;
  std::vector<Result> results;
  results.reserve(steps.size());
  const auto begin = std::chrono::steady_clock::now();
  for (const Step& step : steps) {
    results.emplace_back(send(step));
    if (!succeeded(results.back().get())) {
      answer.error = error_text(results.back().get(), connection_.get());
      break;
    }
  }
  answer.milliseconds = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  for (const Result& result : results) add_rows(result.get(), ordered, answer);
  if (!answer.error.empty() && steps.size() > 1) Result(PQexec(connection_.get(), "rollback"));
  return answer;
}

void Connection::execute(const std::string& sql) {
  const Result result(PQexec(connection_.get(), sql.c_str()));
  if (!succeeded(result.get())) throw std::runtime_error(error_text(result.get(), connection_.get()) + " in: " + sql.substr(0, 120));
}

std::vector<std::vector<std::string>> Connection::query(const std::string& sql) {
  const Result result(PQexec(connection_.get(), sql.c_str()));
  if (!succeeded(result.get())) throw std::runtime_error(error_text(result.get(), connection_.get()) + " in: " + sql.substr(0, 120));
  std::vector<std::vector<std::string>> table(1);
  for (int column = 0; column < PQnfields(result.get()); ++column) table[0].emplace_back(PQfname(result.get(), column));
  for (int row = 0; row < PQntuples(result.get()); ++row) {
    table.emplace_back();
    for (int column = 0; column < PQnfields(result.get()); ++column) table.back().emplace_back(PQgetvalue(result.get(), row, column));
  }
  return table;
}

}  // namespace pgsteer::workload
