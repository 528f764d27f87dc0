#include "proxy/cli/connection.hpp"

#include <libpq-fe.h>

namespace pgsteer::proxy::cli {
namespace {

std::string field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text ? text : "";
}

bool is_numeric(Oid type) { return type == 20 || type == 21 || type == 23 || type == 700 || type == 701 || type == 1700; }

std::string without_newline(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

Connection::Connection(const std::string& url) : connection_(PQconnectdb(url.c_str())) {
  if (connection_) PQsetNoticeProcessor(connection_, [](void*, const char*) {}, nullptr);
}

Connection::~Connection() { PQfinish(connection_); }

bool Connection::ok() const { return PQstatus(connection_) == CONNECTION_OK; }

std::string Connection::error() const { return without_newline(PQerrorMessage(connection_)); }

Connection::Result Connection::execute(const std::string& command) {
  const std::unique_ptr<PGresult, decltype(&PQclear)> reply(PQexec(connection_, command.c_str()), &PQclear);
  Result result;
  const auto status = PQresultStatus(reply.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY) {
    result.error = field(reply.get(), PG_DIAG_MESSAGE_PRIMARY);
    if (result.error.empty()) result.error = error();
    if (result.error.empty()) result.error = "the connection was closed";
    result.hint = field(reply.get(), PG_DIAG_MESSAGE_HINT);
    result.sqlstate = field(reply.get(), PG_DIAG_SQLSTATE);
    return result;
  }
  result.tag = PQcmdStatus(reply.get());
  const int columns = PQnfields(reply.get());
  for (int c = 0; c < columns; ++c) {
    result.columns.emplace_back(PQfname(reply.get(), c));
    result.numeric.push_back(is_numeric(PQftype(reply.get(), c)));
  }
  for (int r = 0; r < PQntuples(reply.get()); ++r) {
    auto& row = result.rows.emplace_back();
    for (int c = 0; c < columns; ++c)
      row.emplace_back(PQgetvalue(reply.get(), r, c), static_cast<std::size_t>(PQgetlength(reply.get(), r, c)));
  }
  return result;
}

std::string connection_word(const std::string& key, const std::string& value) {
  std::string text = key + "='";
  for (const char c : value) {
    if (c == '\'' || c == '\\') text += '\\';
    text += c;
  }
  return text + "' ";
}

}  // namespace pgsteer::proxy::cli
