// SHOW STATS, STATS_TOTALS, STATS_AVERAGES: pgbouncer's columns, a row for each database; TOTALS: every counter of the process. Averages are over
// the last whole minute, as pgbouncer's are.
#include <algorithm>

#include "proxy/clock.hpp"
#include "proxy/console/command.hpp"
#include "proxy/console/result.hpp"
#include "proxy/stats_period.hpp"

namespace pgsteer::proxy::console {
namespace {

struct Averages {
  std::int64_t transactions = 0, queries = 0, received = 0, sent = 0;  ///< per second
  std::int64_t transaction_us = 0, query_us = 0, wait_us = 0;          ///< per transaction, per query, per transaction
};

std::int64_t per(std::uint64_t amount, double parts) { return parts > 0 ? static_cast<std::int64_t>(static_cast<double>(amount) / parts) : 0; }

Averages averages(const StatsPeriod::Span& span) {
  const Totals& t = span.totals;
  const auto transactions = static_cast<double>(t.transactions), queries = static_cast<double>(t.queries);
  return {per(t.transactions, span.seconds), per(t.queries, span.seconds), per(t.bytes_in, span.seconds), per(t.bytes_out, span.seconds),
          per(t.transaction_ns / 1000, transactions), per(t.server_ns / 1000, queries), per(t.wait_ns / 1000, transactions)};
}

/// Calls `row` with each database's name, totals and averages.
template <class Row>
void each_database(const Hub& hub, Row row) {
  for (const auto& [database, totals] : hub.totals_by_database())
    if (!database.empty()) row(database, totals, averages(hub.stats_period->last(database, totals, unix_us())));
}

}  // namespace

ConsoleResult show_stats(const Request& request) {
  Table table({{"database", Type::text},           {"total_xact_count", Type::numeric}, {"total_query_count", Type::numeric},
               {"total_received", Type::numeric},  {"total_sent", Type::numeric},       {"total_xact_time", Type::numeric},
               {"total_query_time", Type::numeric}, {"total_wait_time", Type::numeric},  {"avg_xact_count", Type::numeric},
               {"avg_query_count", Type::numeric}, {"avg_recv", Type::numeric},         {"avg_sent", Type::numeric},
               {"avg_xact_time", Type::numeric},   {"avg_query_time", Type::numeric},   {"avg_wait_time", Type::numeric},
               {"total_requests", Type::numeric}});  // the name before 1.8, which Debian's exporter still reads
  each_database(request.hub, [&](const std::string& database, const Totals& t, const Averages& average) {
    table.row(database, t.transactions, t.queries, t.bytes_in, t.bytes_out, t.transaction_ns / 1000, t.server_ns / 1000, t.wait_ns / 1000,
              average.transactions, average.queries, average.received, average.sent, average.transaction_us, average.query_us,
              average.wait_us, t.queries);
  });
  return table;
}

ConsoleResult show_stats_totals(const Request& request) {
  Table table({{"database", Type::text}, {"xact_count", Type::numeric}, {"query_count", Type::numeric}, {"bytes_received", Type::numeric},
               {"bytes_sent", Type::numeric}, {"xact_time", Type::numeric}, {"query_time", Type::numeric}, {"wait_time", Type::numeric}});
  each_database(request.hub, [&](const std::string& database, const Totals& t, const Averages&) {
    table.row(database, t.transactions, t.queries, t.bytes_in, t.bytes_out, t.transaction_ns / 1000, t.server_ns / 1000, t.wait_ns / 1000);
  });
  return table;
}

ConsoleResult show_stats_averages(const Request& request) {
  Table table({{"database", Type::text}, {"xact_count", Type::numeric}, {"query_count", Type::numeric}, {"bytes_received", Type::numeric},
               {"bytes_sent", Type::numeric}, {"xact_time", Type::numeric}, {"query_time", Type::numeric}, {"wait_time", Type::numeric}});
  each_database(request.hub, [&](const std::string& database, const Totals&, const Averages& average) {
    table.row(database, average.transactions, average.queries, average.received, average.sent, average.transaction_us, average.query_us,
              average.wait_us);
  });
  return table;
}

ConsoleResult show_totals(const Request& request) {
  const Totals totals = request.hub.totals();
  StatsPeriod::Span span;
  for (const auto& [database, counted] : request.hub.totals_by_database()) {
    const auto one = request.hub.stats_period->last(database, counted, unix_us());
    for (const auto& [name, member] : totals_members) span.totals.*member += one.totals.*member;
    span.seconds = one.seconds;
  }
  const Averages average = averages(span);
  Table table({{"name", Type::text}, {"value", Type::numeric}});
  table.row("total_xact_count", totals.transactions);
  table.row("total_query_count", totals.queries);
  table.row("total_client_bytes", totals.bytes_in);
  table.row("total_server_bytes", totals.bytes_out);
  table.row("total_xact_time", totals.transaction_ns / 1000);
  table.row("total_query_time", totals.server_ns / 1000);
  table.row("total_wait_time", totals.wait_ns / 1000);
  table.row("avg_xact_count", average.transactions);
  table.row("avg_query_count", average.queries);
  table.row("avg_client_bytes", average.received);
  table.row("avg_server_bytes", average.sent);
  table.row("avg_xact_time", average.transaction_us);
  table.row("avg_query_time", average.query_us);
  table.row("avg_wait_time", average.wait_us);
  // Ours; times in microseconds.
  table.row("client_connections", totals.client_connections);
  table.row("client_disconnects", totals.client_disconnects);
  table.row("errors", totals.errors);
  table.row("proxy_time", totals.proxy_ns / 1000);
  table.row("not_analysed", totals.not_analysed);
  table.row("rewritten", totals.rewritten);
  table.row("steered", totals.steered);
  table.row("cache_hits", totals.cache_hits);
  table.row("cache_old_hits", totals.cache_old_hits);
  table.row("cache_misses", totals.cache_misses);
  table.row("cache_waits", totals.cache_waits);
  table.row("reused", totals.reused);
  table.row("cache_stores", totals.cache_stores);
  table.row("reads_on_standbys", totals.reads_on_standbys);
  table.row("reads_repeated", totals.reads_repeated);
  table.row("fallbacks", totals.fallbacks);
  table.row("tracking_lost", totals.tracking_lost);
  table.row("feedback_dropped", totals.feedback_dropped);
  table.row("protocol_errors", totals.protocol_errors);
  table.row("model_failures", totals.model_failures);
  return table;
}

}  // namespace pgsteer::proxy::console
