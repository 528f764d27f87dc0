// SHOW STATS, STATS_TOTALS, STATS_AVERAGES, TOTALS: pgbouncer's columns over this process's counters.
// Two things differ from pgbouncer and are said in the README: the counters are of the process, so there is one row ("*"), and
// the averages are since start, not over the last minute.
#include <algorithm>

#include "proxy/console/command.hpp"
#include "proxy/console/result.hpp"

namespace pgsteer::proxy::console {
namespace {

struct Averages {
  std::int64_t transactions = 0, queries = 0, received = 0, sent = 0;  ///< per second
  std::int64_t transaction_us = 0, query_us = 0, wait_us = 0;          ///< per transaction, per query, per transaction
};

std::int64_t per(std::uint64_t amount, std::uint64_t parts) { return parts ? static_cast<std::int64_t>(amount / parts) : 0; }

Averages averages(const Hub& hub, const Totals& totals) {
  const auto seconds = static_cast<std::uint64_t>(std::max<std::int64_t>(1, (unix_us() - hub.started_unix_us) / 1000000));
  return {per(totals.transactions, seconds),
          per(totals.queries, seconds),
          per(totals.bytes_in, seconds),
          per(totals.bytes_out, seconds),
          per(totals.server_ns / 1000, totals.transactions),
          per(totals.server_ns / 1000, totals.queries),
          per(totals.wait_ns / 1000, totals.transactions)};
}

constexpr const char* everything = "*";

}  // namespace

ConsoleResult show_stats(const Request& request) {
  const Totals totals = request.hub.totals();
  const Averages average = averages(request.hub, totals);
  Table table({{"database", Type::text},           {"total_xact_count", Type::numeric}, {"total_query_count", Type::numeric},
               {"total_received", Type::numeric},  {"total_sent", Type::numeric},       {"total_xact_time", Type::numeric},
               {"total_query_time", Type::numeric}, {"total_wait_time", Type::numeric},  {"avg_xact_count", Type::numeric},
               {"avg_query_count", Type::numeric}, {"avg_recv", Type::numeric},         {"avg_sent", Type::numeric},
               {"avg_xact_time", Type::numeric},   {"avg_query_time", Type::numeric},   {"avg_wait_time", Type::numeric},
               {"total_requests", Type::numeric}});  // the name before 1.8, which Debian's exporter still reads
  table.row(everything, totals.transactions, totals.queries, totals.bytes_in, totals.bytes_out, totals.server_ns / 1000,
            totals.server_ns / 1000, totals.wait_ns / 1000, average.transactions, average.queries, average.received, average.sent,
            average.transaction_us, average.query_us, average.wait_us, totals.queries);
  return table;
}

ConsoleResult show_stats_totals(const Request& request) {
  const Totals totals = request.hub.totals();
  Table table({{"database", Type::text}, {"xact_count", Type::numeric}, {"query_count", Type::numeric}, {"bytes_received", Type::numeric},
               {"bytes_sent", Type::numeric}, {"xact_time", Type::numeric}, {"query_time", Type::numeric}, {"wait_time", Type::numeric}});
  table.row(everything, totals.transactions, totals.queries, totals.bytes_in, totals.bytes_out, totals.server_ns / 1000,
            totals.server_ns / 1000, totals.wait_ns / 1000);
  return table;
}

ConsoleResult show_stats_averages(const Request& request) {
  const Averages average = averages(request.hub, request.hub.totals());
  Table table({{"database", Type::text}, {"xact_count", Type::numeric}, {"query_count", Type::numeric}, {"bytes_received", Type::numeric},
               {"bytes_sent", Type::numeric}, {"xact_time", Type::numeric}, {"query_time", Type::numeric}, {"wait_time", Type::numeric}});
  table.row(everything, average.transactions, average.queries, average.received, average.sent, average.transaction_us, average.query_us,
            average.wait_us);
  return table;
}

ConsoleResult show_totals(const Request& request) {
  const Totals totals = request.hub.totals();
  const Averages average = averages(request.hub, totals);
  Table table({{"name", Type::text}, {"value", Type::numeric}});
  table.row("total_xact_count", totals.transactions);
  table.row("total_query_count", totals.queries);
  table.row("total_client_bytes", totals.bytes_in);
  table.row("total_server_bytes", totals.bytes_out);
  table.row("total_xact_time", totals.server_ns / 1000);
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
  table.row("cache_misses", totals.cache_misses);
  table.row("cache_stores", totals.cache_stores);
  table.row("fallbacks", totals.fallbacks);
  table.row("tracking_lost", totals.tracking_lost);
  table.row("feedback_dropped", totals.feedback_dropped);
  table.row("protocol_errors", totals.protocol_errors);
  table.row("model_failures", totals.model_failures);
  return table;
}

}  // namespace pgsteer::proxy::console
