#include "proxy/learner/connection.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

namespace pgsteer::proxy::learning {

namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr int kStepMs = 20;  // how long a shutdown may go unnoticed
constexpr std::chrono::milliseconds kCancelGrace{400};

// Two 64-bit halves of one row's hash; rows are summed, so the order of rows does not matter but their number does.
struct RowHash {
  std::uint64_t a = 0x9E3779B97F4A7C15ull, b = 0xC2B2AE3D27D4EB4Full;
  void add(std::string_view bytes) {
    for (const unsigned char c : bytes) {
      a = (a ^ c) * 0x100000001B3ull;
      b = (b + c) * 0xFF51AFD7ED558CCDull;
      b ^= b >> 29;
    }
    a ^= a >> 32;
    a *= 0xC4CEB9FE1A85EC53ull;
    b += a ^ bytes.size();
  }
};

bool is_float(Oid type) { return type == 700 || type == 701; }

void digest_row(const PGresult* row, Answer& answer) {
  RowHash hash;
  for (int c = 0; c < PQnfields(row); ++c) {
    if (PQgetisnull(row, 0, c)) {
      hash.add("\xff null");
      continue;
    }
    const std::string_view value(PQgetvalue(row, 0, c), static_cast<std::size_t>(PQgetlength(row, 0, c)));
    answer.bytes += value.size();
    if (is_float(PQftype(row, c))) {
      // The order of summation may change the last digits of a floating-point aggregate.
      const double number = std::strtod(value.data(), nullptr);
      if (std::isfinite(number)) {
        answer.float_sum += number;
        answer.float_abs += std::fabs(number);
      } else {
        hash.add(value);
      }
      continue;
    }
    hash.add(value);
    hash.add("\x1f");
  }
  answer.digest[0] += hash.a;
  answer.digest[1] += hash.b;
  ++answer.rows;
}

std::vector<std::string> describe_columns(const PGresult* result, bool origin) {
  std::vector<std::string> columns;
  for (int c = 0; c < PQnfields(result); ++c) {
    std::string column = fmt::format("{}|{}|{}", PQfname(result, c), PQftype(result, c), PQfmod(result, c));
    if (origin) column += fmt::format("|{}.{}", PQftable(result, c), PQftablecol(result, c));
    columns.push_back(std::move(column));
  }
  return columns;
}

std::string field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text ? text : "";
}

/// A client's text, run by us: whoever looks for the client's own execution in pg_stat_activity must not find this one. Behind it, for a
/// hint works only in front.
std::string signed_by_us(const std::string& sql) { return sql + "\n/* pgsteer */"; }

}  // namespace

std::optional<Target> probe_target(const Config& config, const std::string& database, const std::string& session_user,
                                   std::string* error) {
  const bool own = !config.upstream.probe_url.empty();
  const auto upstreams = parse_upstreams(own ? config.upstream.probe_url : config.upstream.url, error);
  if (!upstreams) return std::nullopt;
  const Endpoint& endpoint = upstreams->hosts.front();
  std::string password = endpoint.password, hosts = endpoint.host, ports = std::to_string(endpoint.port);
  for (std::size_t i = 1; i < upstreams->hosts.size(); ++i) {
    hosts.append(1, ',').append(upstreams->hosts[i].host);
    ports += fmt::format(",{}", upstreams->hosts[i].port);
  }
  if (!config.upstream.probe_password_file.empty()) {
    std::ifstream file(config.upstream.probe_password_file);
    if (!std::getline(file, password)) {
      *error = "upstream.probe_password_file: cannot read " + config.upstream.probe_password_file;
      return std::nullopt;
    }
  }
  const std::string user = !endpoint.user.empty() || own ? endpoint.user : session_user;
  Target target{{"host", hosts},
                {"port", ports},
                {"dbname", database},
                {"application_name", "pgsteer probe"},
                {"connect_timeout", "2"},
                {"client_encoding", "UTF8"},
                {"options", "-c statement_timeout=10000 -c lock_timeout=1000 -c idle_in_transaction_session_timeout=60000"}};
  if (!user.empty()) target.emplace_back("user", user);
  if (!password.empty()) target.emplace_back("password", password);
  // A standby's catalog may be of before the DDL that was just seen.
  const bool of_standbys = upstreams->wanted == SessionAttributes::standby || upstreams->wanted == SessionAttributes::read_only;
  if (upstreams->hosts.size() > 1) target.emplace_back("target_session_attrs", of_standbys ? "any" : "primary");
  return target;
}

std::optional<Target> read_connection_string(const std::string& text, std::string* error) {
  char* message = nullptr;
  PQconninfoOption* options = PQconninfoParse(text.c_str(), &message);
  if (!options) {
    *error = message ? message : "it cannot be read";
    if (message) PQfreemem(message);
    return std::nullopt;
  }
  Target target;
  for (const auto* option = options; option->keyword; ++option)
    if (option->val && *option->val) target.emplace_back(option->keyword, option->val);
  PQconninfoFree(options);
  return target;
}

std::string connection_string(const Target& target) {
  std::string text;
  for (const auto& [key, value] : target) {
    text += key + "='";
    for (const char c : value) {
      if (c == '\'' || c == '\\') text += '\\';
      text += c;
    }
    text += "' ";
  }
  return text;
}

std::optional<Parameters> parse_bind(const std::vector<std::uint32_t>& types, std::string_view section) {
  Parameters parameters;
  parameters.types = types;
  if (section.empty()) return parameters;
  std::size_t at = 0;
  const auto take = [&](std::size_t bytes) -> std::optional<std::uint32_t> {
    if (section.size() - at < bytes) return std::nullopt;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | static_cast<unsigned char>(section[at + i]);
    at += bytes;
    return value;
  };
  const auto format_count = take(2);
  if (!format_count) return std::nullopt;
  std::vector<int> formats;
  for (std::uint32_t i = 0; i < *format_count; ++i) {
    const auto format = take(2);
    if (!format || *format > 1) return std::nullopt;
    formats.push_back(static_cast<int>(*format));
  }
  const auto count = take(2);
  if (!count || (formats.size() > 1 && formats.size() != *count)) return std::nullopt;
  for (std::uint32_t i = 0; i < *count; ++i) {
    const auto length = take(4);
    if (!length) return std::nullopt;
    parameters.formats.push_back(formats.empty() ? 0 : formats.size() == 1 ? formats[0] : formats[i]);
    if (*length == 0xFFFFFFFFu) {
      parameters.values.emplace_back(std::nullopt);
      continue;
    }
    if (section.size() - at < *length) return std::nullopt;
    parameters.values.emplace_back(std::string(section.substr(at, *length)));
    at += *length;
  }
  return parameters;
}

// --- Rows ------------------------------------------------------------------------------------------------------------

Rows::Rows(pg_result* result) : result_(result, [](pg_result* r) { PQclear(r); }) {
  const auto status = PQresultStatus(result);
  ok_ = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_SINGLE_TUPLE;
  if (ok_) return;
  sqlstate_ = field(result, PG_DIAG_SQLSTATE);
  message_ = field(result, PG_DIAG_MESSAGE_PRIMARY);
  if (message_.empty()) message_ = PQresultErrorMessage(result);
}

Rows Rows::failure(std::string message, std::string sqlstate) {
  Rows rows;
  rows.message_ = std::move(message);
  rows.sqlstate_ = std::move(sqlstate);
  return rows;
}

int Rows::rows() const { return result_ ? PQntuples(result_.get()) : 0; }
int Rows::columns() const { return result_ ? PQnfields(result_.get()) : 0; }
std::string_view Rows::text(int row, int column) const {
  return {PQgetvalue(result_.get(), row, column), static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
}
bool Rows::is_null(int row, int column) const { return PQgetisnull(result_.get(), row, column) != 0; }
std::uint32_t Rows::column_type(int column) const { return PQftype(result_.get(), column); }
std::vector<std::string> Rows::row_description() const { return describe_columns(result_.get(), true); }
std::vector<std::string> Rows::column_types() const { return describe_columns(result_.get(), false); }
std::vector<std::uint32_t> Rows::parameter_types() const {
  std::vector<std::uint32_t> types;
  for (int i = 0; i < PQnparams(result_.get()); ++i) types.push_back(PQparamtype(result_.get(), i));
  return types;
}

// --- Connection ------------------------------------------------------------------------------------------------------

Connection::Connection(pg_conn* connection, Interrupt interrupt)
    : connection_(connection), interrupt_(std::move(interrupt)) {}

Connection::~Connection() { PQfinish(connection_); }

std::unique_ptr<Connection> Connection::open(const Target& target, std::chrono::milliseconds timeout,
                                             Interrupt interrupt, std::string* error) {
  std::vector<const char*> keys, values;
  for (const auto& [key, value] : target) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  keys.push_back(nullptr);
  values.push_back(nullptr);
  std::unique_ptr<Connection> made(new Connection(PQconnectStartParams(keys.data(), values.data(), 0), interrupt));
  pg_conn* connection = made->connection_;
  if (!connection || PQstatus(connection) == CONNECTION_BAD) {
    *error = connection ? made->error_text() : "out of memory";
    return nullptr;
  }
  const auto deadline = SteadyClock::now() + timeout;
  for (auto state = PGRES_POLLING_WRITING; state != PGRES_POLLING_OK;) {
    pollfd waiting{PQsocket(connection), static_cast<short>(state == PGRES_POLLING_READING ? POLLIN : POLLOUT), 0};
    const int ready = ::poll(&waiting, 1, kStepMs);
    if (made->interrupted()) {
      *error = "stopping";
      return nullptr;
    }
    if (SteadyClock::now() > deadline) {
      *error = fmt::format("no answer within {} ms", timeout.count());
      return nullptr;
    }
    if (ready <= 0) continue;
    state = PQconnectPoll(connection);
    if (state == PGRES_POLLING_FAILED) {
      *error = made->error_text();
      return nullptr;
    }
  }
  PQsetNoticeProcessor(connection, [](void*, const char*) {}, nullptr);
  return made;
}

std::string Connection::error_text() const {
  std::string text = PQerrorMessage(connection_);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

void Connection::note(const std::string& sqlstate) { stopped_ = stopped_ || sqlstate == "57014"; }

bool Connection::broken() const {
  return PQstatus(connection_) != CONNECTION_OK || PQtransactionStatus(connection_) == PQTRANS_ACTIVE;
}

// PQcancel waits for the server to hang up, which a stopped server never does: hence a thread that nobody waits for.
void Connection::request_cancel() {
  PGcancel* cancel = PQgetCancel(connection_);
  if (!cancel) return;
  std::thread([cancel] {
    char reason[256];
    PQcancel(cancel, reason, sizeof reason);
    PQfreeCancel(cancel);
  }).detach();
}

pg_result* Connection::next() {
  std::optional<SteadyClock::time_point> give_up;
  while (PQisBusy(connection_)) {
    pollfd waiting{PQsocket(connection_), POLLIN, 0};
    ::poll(&waiting, 1, kStepMs);
    if (!PQconsumeInput(connection_)) return nullptr;
    if (give_up && SteadyClock::now() > *give_up) return nullptr;  // still active, hence broken()
    if (give_up || !interrupted()) continue;
    give_up = SteadyClock::now() + kCancelGrace;
    request_cancel();
  }
  return PQgetResult(connection_);
}

bool Connection::send(const std::string& sql, const Parameters& parameters) {
  const std::size_t count = parameters.values.size();
  std::vector<Oid> types(parameters.types.begin(), parameters.types.end());
  types.resize(count, 0);
  std::vector<const char*> values;
  std::vector<int> lengths;
  for (const auto& value : parameters.values) {
    values.push_back(value ? value->c_str() : nullptr);
    lengths.push_back(value ? static_cast<int>(value->size()) : 0);
  }
  return PQsendQueryParams(connection_, sql.c_str(), static_cast<int>(count), types.data(), values.data(),
                           lengths.data(), parameters.formats.data(), 0) != 0;
}

Rows Connection::collect() {
  Rows last = Rows::failure("no result");
  bool first = true, failed = false;
  while (pg_result* result = next()) {
    Rows rows(result);
    note(rows.sqlstate());
    if (!failed) last = rows;
    failed = failed || !rows.ok();
    first = false;
  }
  if (first || broken()) return Rows::failure(error_text());
  return last;
}

Rows Connection::run(const std::string& sql) {
  if (!PQsendQuery(connection_, sql.c_str())) return Rows::failure(error_text());
  return collect();
}

Rows Connection::run(const std::string& sql, const Parameters& parameters) {
  if (!send(sql, parameters)) return Rows::failure(error_text());
  return collect();
}

Rows Connection::describe(const std::string& sql, const std::vector<std::uint32_t>& types) {
  const std::vector<Oid> oids(types.begin(), types.end());
  if (!PQsendPrepare(connection_, "", signed_by_us(sql).c_str(), static_cast<int>(oids.size()), oids.data()))
    return Rows::failure(error_text());
  const Rows parsed = collect();
  if (!parsed.ok()) return parsed;
  if (!PQsendDescribePrepared(connection_, "")) return Rows::failure(error_text());
  return collect();
}

Answer Connection::stream(const std::string& sql, const Parameters& parameters) {
  Answer answer;
  const auto start = SteadyClock::now();
  if (!send(signed_by_us(sql), parameters) || !PQsetSingleRowMode(connection_)) {
    answer.sqlstate = "08006";
    answer.message = error_text();
    return answer;
  }
  while (pg_result* result = next()) {
    switch (PQresultStatus(result)) {
      case PGRES_SINGLE_TUPLE:
        digest_row(result, answer);
        break;
      case PGRES_TUPLES_OK:
        answer.ok = true;
        answer.columns = describe_columns(result, false);
        break;
      default: {
        const Rows failure(result);  // owns it
        answer.ok = false;
        answer.sqlstate = failure.sqlstate();
        answer.message = failure.message();
        note(answer.sqlstate);
        continue;
      }
    }
    PQclear(result);
  }
  answer.ms = std::chrono::duration<double, std::milli>(SteadyClock::now() - start).count();
  if (broken()) {
    answer.ok = false;
    answer.sqlstate = "08006";
    answer.message = error_text();
  }
  return answer;
}

// --- Links -----------------------------------------------------------------------------------------------------------

Links::Links(UserOf user_of, Interrupt interrupt, Vacant vacant)
    : user_of_(std::move(user_of)), interrupt_(std::move(interrupt)), vacant_(std::move(vacant)) {}

Connection* Links::get(const Config& config, const std::string& database) {
  leave();
  Slot& slot = slots_[database];
  if (slot.connection && !slot.connection->broken()) return slot.connection.get();
  slot.connection.reset();
  const auto now = SteadyClock::now();
  if (now < slot.not_before || vacant_(database)) return nullptr;
  std::string error;
  if (const auto target = probe_target(config, database, user_of_(database), &error))
    slot.connection = Connection::open(*target, config.upstream.connect_timeout, interrupt_, &error);
  const std::lock_guard lock(mutex_);
  if (slot.connection) {
    slot.delay = std::chrono::milliseconds(0);
    state_[database] = "ok";
    return slot.connection.get();
  }
  slot.delay = std::min(std::max(slot.delay * 2, std::chrono::milliseconds(250)), std::chrono::milliseconds(30000));
  slot.not_before = SteadyClock::now() + slot.delay;
  state_[database] = error;
  return nullptr;
}

void Links::leave() {
  for (auto& [database, slot] : slots_) {
    if (slot.connection && (slot.connection->stopped() || vacant_(database))) slot.connection.reset();
  }
}

void Links::close_all() { slots_.clear(); }

std::vector<std::pair<std::string, std::string>> Links::health() const {
  const std::lock_guard lock(mutex_);
  return {state_.begin(), state_.end()};
}

}  // namespace pgsteer::proxy::learning
