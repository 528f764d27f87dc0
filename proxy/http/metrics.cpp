// /metrics: Prometheus text format and OpenMetrics. Labels are bounded: policy rules, modes, reasons, rewrite rules, at most kMaxPeople pairs of
// database and user; never a fingerprint.
#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <cmath>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "cache/stores/redis.hpp"
#include "proxy/feed/feed.hpp"
#include "proxy/http/api.hpp"
#include "proxy/hosts/hosts.hpp"
#include "proxy/lanes.hpp"
#include "proxy/learner/learner.hpp"
#include "proxy/pool/pools.hpp"
#include "proxy/tls/tls.hpp"
#include "proxy/survive.hpp"

namespace pgsteer::proxy::http {
namespace {

constexpr std::size_t kMaxPeople = 200;

using Labels = std::vector<std::pair<std::string_view, std::string_view>>;

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') out += "\\\\";
    else if (c == '"') out += "\\\"";
    else if (c == '\n') out += "\\n";
    else out += c;
  }
  return out;
}

std::string shown(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

/// Families in order, each with its HELP and TYPE once.
class Writer {
 public:
  explicit Writer(bool open_metrics) : open_metrics_(open_metrics) {}
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    if (open_metrics_ && type == "counter") name.remove_suffix(std::string_view("_total").size());  // there it belongs to the sample
    text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  void sample(const Labels& labels, double value, std::string_view suffix = {}) {
    text_.append(name_).append(suffix);
    for (std::size_t i = 0; i < labels.size(); ++i)
      text_ += fmt::format("{}{}=\"{}\"", i == 0 ? "{" : ",", labels[i].first, escaped(labels[i].second));
    text_ += fmt::format("{} {}\n", labels.empty() ? "" : "}", shown(value));
  }
  void one(std::string_view name, std::string_view type, std::string_view help, double value) {
    family(name, type, help);
    sample({}, value);
  }
  void counter(std::string_view name, std::string_view help, std::uint64_t value) { one(name, "counter", help, static_cast<double>(value)); }
  void gauge(std::string_view name, std::string_view help, double value) { one(name, "gauge", help, value); }

  template <std::size_t N>
  void histogram(const Labels& labels, const std::array<double, N>& bounds, const std::array<std::uint64_t, N + 1>& counts, double sum) {
    std::uint64_t total = 0;
    for (std::size_t i = 0; i <= N; ++i) {
      total += counts[i];
      const std::string bound = i == N ? "+Inf" : le(bounds[i]);
      Labels with = labels;
      with.emplace_back("le", bound);
      sample(with, static_cast<double>(total), "_bucket");
    }
    sample(labels, sum, "_sum");
    sample(labels, static_cast<double>(total), "_count");
  }
  void histogram(const Labels& labels, const std::vector<const LatencyMeter*>& parts) {
    std::uint64_t total = 0, sum_ns = 0;
    for (std::size_t i = 0; i < LatencyMeter::kBuckets; ++i) {
      for (const auto* part : parts) total += part->count(i);
      const bool last = i + 1 == LatencyMeter::kBuckets;
      const std::string bound = last ? "+Inf" : le(static_cast<double>(LatencyMeter::upper_ns(i)) / 1e9);
      Labels with = labels;
      with.emplace_back("le", bound);
      sample(with, static_cast<double>(total), "_bucket");
    }
    for (const auto* part : parts) sum_ns += part->sum_ns();
    sample(labels, static_cast<double>(sum_ns) / 1e9, "_sum");
    sample(labels, static_cast<double>(total), "_count");  // of the same reading as the buckets, whatever came in meanwhile
  }
  std::string take() {
    if (open_metrics_) text_ += "# EOF\n";
    return std::move(text_);
  }

 private:
  static std::string le(double bound) {  // OpenMetrics wants a whole number's ".0", and the older format allows it
    auto text = shown(bound);
    return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
  }
  const bool open_metrics_;
  std::string text_, name_;
};

void about(Writer& w, Hub& hub, const Snapshot& snapshot) {
  w.family("pgsteer_build_info", "gauge", "1; the version is the label.");
  w.sample({{"version", PGSTEER_VERSION}}, 1);
  w.family("pgsteer_mode_info", "gauge", "1; the mode where no policy rule says otherwise.");
  w.sample({{"mode", policies::to_string(snapshot.console_mode.value_or(snapshot.config->mode.initial))}}, 1);
  w.gauge("pgsteer_bypass", "1 after PANIC: every byte is relayed as it is.", snapshot.panic ? 1 : 0);
  w.gauge("pgsteer_paused", "1 between PAUSE and RESUME.", hub.paused.load() ? 1 : 0);
  w.gauge("pgsteer_config_last_reload_successful", "1 when the last reload was taken.", hub.reload_error().empty() ? 1 : 0);
  w.gauge("pgsteer_config_last_reload_success_timestamp_seconds", "When the configuration in force was read.",
          static_cast<double>(hub.reloaded_unix_us.load()) / 1e6);
}

void hosts(Writer& w, const Hub& hub) {
  const Hosts& hosts = *hub.hosts;
  if (!hosts.several()) return;
  const auto states = hosts.table();
  const auto each = [&](std::string_view name, std::string_view help, auto sample) {
    w.family(name, "gauge", help);
    for (int i = 0; i < hosts.count(); ++i) sample(hosts.endpoint(i).address(), (*states)[static_cast<std::size_t>(i)]);
  };
  each("pgsteer_host_up", "1 when the host answered the last look.", [&](const std::string& name, const HostState& host) { w.sample({{"host", name}}, host.up ? 1 : 0); });
  each("pgsteer_host_info", "1; the role a host has is the label.", [&](const std::string& name, const HostState& host) {
    w.sample({{"host", name}, {"role", host.stale ? "past primary" : to_string(host.role)}}, 1);
  });
  each("pgsteer_host_lag_seconds", "How far a host's answers are behind the primary's.", [&](const std::string& name, const HostState& host) {
    if (host.lag_seconds) w.sample({{"host", name}}, *host.lag_seconds);
  });
  each("pgsteer_host_lag_bytes", "WAL that a host has not replayed yet.", [&](const std::string& name, const HostState& host) {
    if (host.lag_bytes) w.sample({{"host", name}}, static_cast<double>(*host.lag_bytes));
  });
}

void connections(Writer& w, Hub& hub) {
  std::map<std::array<std::string, 3>, int> clients;
  std::map<std::string, int> servers;
  std::set<std::pair<std::string, std::string>> people;
  for (const auto& client : hub.clients()) {
    std::string database = client.database, user = client.user;
    if (!people.contains({database, user}) && people.size() >= kMaxPeople) database = user = "other";
    people.insert({database, user});
    ++clients[{database, user, client.state}];
    if (client.server_pid != 0) ++servers[database];
  }
  w.family("pgsteer_client_connections", "gauge", "Client connections now.");
  for (const auto& [key, count] : clients) w.sample({{"database", key[0]}, {"user", key[1]}, {"state", key[2]}}, count);
  w.family("pgsteer_server_connections", "gauge", "Server connections now.");
  for (const auto& [database, count] : servers) w.sample({{"database", database}}, count);
  const auto t = hub.totals();
  w.counter("pgsteer_client_connects_total", "Client connections since start.", t.client_connections);
  w.one("pgsteer_client_wait_seconds_total", "counter", "Time clients waited for a server connection.", static_cast<double>(t.wait_ns) / 1e9);
  w.family("pgsteer_bytes_total", "counter", "Bytes relayed, from and to clients.");
  w.sample({{"direction", "in"}}, static_cast<double>(t.bytes_in));
  w.sample({{"direction", "out"}}, static_cast<double>(t.bytes_out));
}

void tls(Writer& w, const Snapshot& snapshot) {
  const auto& counts = tls_handshakes();
  w.family("pgsteer_tls_handshakes_total", "counter", "TLS handshakes, by the other side and by how they ended.");
  w.sample({{"peer", "client"}, {"result", "done"}}, static_cast<double>(counts.with_clients));
  w.sample({{"peer", "client"}, {"result", "failed"}}, static_cast<double>(counts.with_clients_failed));
  w.sample({{"peer", "server"}, {"result", "done"}}, static_cast<double>(counts.with_servers));
  w.sample({{"peer", "server"}, {"result", "failed"}}, static_cast<double>(counts.with_servers_failed));
  const auto& contexts = snapshot.config->tls_contexts;
  w.family("pgsteer_tls_certificate_expiry_timestamp_seconds", "gauge", "When the certificate shown to clients ends.");
  if (const auto ends = contexts ? contexts->certificate_ends() : 0; ends != 0) w.sample({}, static_cast<double>(ends));
}

void pools(Writer& w, Hub& hub) {
  if (!hub.pools) return;
  const auto all = hub.pools->numbers();
  const auto family = [&](const char* name, const char* help, auto value) {
    w.family(name, "gauge", help);
    for (std::size_t i = 0; i < std::min(all.size(), kMaxPeople); ++i) w.sample({{"database", all[i].database}, {"user", all[i].user}}, static_cast<double>(value(all[i])));
  };
  family("pgsteer_pool_connections", "Server connections of a pool, idle ones included.", [](const auto& p) { return p.open; });
  family("pgsteer_pool_idle", "Server connections of a pool that nobody uses.", [](const auto& p) { return p.idle; });
  family("pgsteer_pool_waiting", "Clients that wait for a server connection.", [](const auto& p) { return p.waiting; });
  family("pgsteer_pool_longest_wait_seconds", "How long the first of them has been waiting.", [](const auto& p) { return static_cast<double>(p.longest_wait_us) / 1e6; });
}

void statements(Writer& w, Hub& hub) {
  const auto meters = hub.meters();
  w.family("pgsteer_queries_total", "counter", "Statements by kind, by what was done to them and by how they ended.");
  for (std::size_t kind = 0; kind < Meters::kKinds; ++kind)
    for (std::size_t action = 0; action < Meters::kActions; ++action)
      for (std::size_t ending = 0; ending < Meters::kEndings; ++ending) {
        const auto k = static_cast<sql::StatementKind>(kind);
        const auto index = Meters::index(k, static_cast<Meters::Action>(action), static_cast<Meters::Ending>(ending));
        std::uint64_t total = 0;
        for (const auto* m : meters) total += m->statements[index].value();
        if (total > 0)
          w.sample({{"statement", sql::to_string(k)}, {"action", Meters::action_names[action]}, {"outcome", Meters::ending_names[ending]}},
                   static_cast<double>(total));
      }
  w.family("pgsteer_client_errors_total", "counter", "Errors of the server that clients saw, by the class of the SQLSTATE.");
  constexpr std::string_view digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (std::size_t c = 0; c < Meters::kClasses; ++c) {
    std::uint64_t total = 0;
    for (const auto* m : meters) total += m->errors[c].value();
    if (total > 0) w.sample({{"sqlstate_class", std::string{digits[c / 36], digits[c % 36]}}}, static_cast<double>(total));
  }
  std::vector<const LatencyMeter*> server, cache, overhead;
  for (const auto* m : meters) {
    server.push_back(&m->from_server);
    cache.push_back(&m->from_cache);
    overhead.push_back(&m->overhead);
  }
  w.family("pgsteer_query_duration_seconds", "histogram", "From sending to the last byte of the answer; from the cache, from arrival.");
  w.histogram({{"source", "server"}}, server);
  w.histogram({{"source", "cache"}}, cache);
  w.family("pgsteer_overhead_seconds", "histogram", "Our own time before a statement went to the server.");
  w.histogram({{"stage", "total"}}, overhead);
  const auto t = hub.totals();
  w.counter("pgsteer_transactions_total", "Transactions that ended.", t.transactions);
  w.counter("pgsteer_not_analysed_total", "Statements that were forwarded without being understood.", t.not_analysed);
  w.counter("pgsteer_fallbacks_total", "Changed statements the server refused: the original was sent instead.", t.fallbacks);
  w.counter("pgsteer_tracking_lost_total", "Connections whose protocol could not be followed: relayed as bytes.", t.tracking_lost);
  w.counter("pgsteer_protocol_errors_total", "Malformed messages; their connections were closed.", t.protocol_errors);
  w.counter("pgsteer_exceptions_total", "Exceptions that ended a session or a step in the background: no memory, or a mistake of ours.", survived_exceptions());
}

void lanes(Writer& w, const Hub& hub, const Snapshot& snapshot) {
  const auto states = hub.lanes->states();
  const auto family = [&](const char* name, const char* type, const char* help, auto value) {
    w.family(name, type, help);
    for (const auto& s : states) w.sample({{"lane", s.name}}, static_cast<double>(value(s)));
  };
  w.family("pgsteer_lane_concurrency", "gauge", "Statements a lane lets run at once; 0 = any number.");
  for (const auto& lane : snapshot.policies->lanes()) w.sample({{"lane", lane.name}}, lane.concurrency);
  family("pgsteer_lane_running", "gauge", "Statements of a lane that run now.", [](const auto& s) { return s.running; });
  family("pgsteer_lane_overdue", "gauge", "Of those, the ones that take longer than the lane is for.", [](const auto& s) { return s.overdue; });
  family("pgsteer_lane_waiting", "gauge", "Statements that wait for a place in the lane.", [](const auto& s) { return s.waiting; });
  family("pgsteer_lane_admitted_total", "counter", "Statements that got a place.", [](const auto& s) { return s.admitted; });
  family("pgsteer_lane_waited_total", "counter", "Statements that had to wait for one.", [](const auto& s) { return s.waited; });
  family("pgsteer_lane_timeouts_total", "counter", "Statements that got none in time.", [](const auto& s) { return s.timed_out; });
  w.family("pgsteer_lane_wait_seconds", "histogram", "Time from asking for a place to having it.");
  for (const auto& [name, meter] : hub.lanes->waits()) w.histogram({{"lane", name}}, {meter});
  w.family("pgsteer_limits_total", "counter", "Statements that passed a limit of a policy rule, and what came of it.");
  for (const auto& [key, count] : hub.limit_counts->counts())
    w.sample({{"rule", key.rule}, {"limit", key.limit}, {"outcome", key.outcome}}, static_cast<double>(count));
}

void cache_metrics(Writer& w, Hub& hub, const Snapshot& snapshot) {
  const auto t = hub.totals();
  const auto memory = hub.memory.statistics();
  w.family("pgsteer_cache_requests_total", "counter", "Look-ups in the result cache.");
  w.sample({{"result", "hit"}}, static_cast<double>(t.cache_hits));
  w.sample({{"result", "miss"}}, static_cast<double>(t.cache_misses));
  w.counter("pgsteer_reused_total", "Executions of repeated statements by a prepared statement of ours.", t.reused);
  w.counter("pgsteer_cache_old_hits_total", "Of the hits, answers that a write had overtaken, within the staleness that the policy allows.", t.cache_old_hits);
  w.counter("pgsteer_cache_waits_total", "Look-ups that waited for the answer another session was getting.", t.cache_waits);
  w.counter("pgsteer_cache_stores_total", "Answers put into the cache.", t.cache_stores);
  w.gauge("pgsteer_cache_bytes", "Memory of cached answers.", static_cast<double>(memory.bytes));
  w.gauge("pgsteer_cache_entries", "Cached answers in memory.", static_cast<double>(memory.entries));
  w.one("pgsteer_cache_saved_seconds_total", "counter", "Time of the server that answers from the cache spared.", hub.ledger.total().saved_ms / 1e3);
  if (const auto feeds = hub.feeds ? hub.feeds->states() : std::vector<Feed::State>(); !feeds.empty()) {
    w.family("pgsteer_cache_feed_up", "gauge", "1 while the feed of a database tells what others commit (cache strict+wal).");
    for (const auto& feed : feeds) w.sample({{"database", feed.database}}, feed.live ? 1 : 0);
    w.family("pgsteer_cache_feed_commits_total", "counter", "Transactions that the feed has told of.");
    for (const auto& feed : feeds) w.sample({{"database", feed.database}}, static_cast<double>(feed.commits));
    w.family("pgsteer_cache_feed_late_total", "counter", "Look-ups that the feed could not tell in time.");
    for (const auto& feed : feeds) w.sample({{"database", feed.database}}, static_cast<double>(feed.late));
  }
  if (!snapshot.config->cache.redis_url.empty()) {
    const bool closed = hub.redis_breaker.load() == static_cast<int>(cache::BreakerState::closed);
    w.gauge("pgsteer_cache_backend_up", "1 when Redis is in use, 0 while its circuit breaker is open.", closed ? 1 : 0);
    w.family("pgsteer_breaker_open", "gauge", "1 while a circuit breaker is open.");
    w.sample({{"guardrail", "redis"}}, closed ? 0 : 1);
  }
}

void learning(Writer& w, Hub& hub, const Snapshot& snapshot) {
  w.family("pgsteer_model_info", "gauge", "1; the model that predicts.");
  if (snapshot.model) w.sample({{"name", "latency"}, {"version", snapshot.model->version()}}, 1);
  w.counter("pgsteer_model_failures_total", "Predictions a model refused.", hub.totals().model_failures);
  if (!hub.learner) return;
  const auto& learner = *hub.learner;
  w.family("pgsteer_decisions_total", "counter", "Decisions by policy rule, mode, what was done and why.");
  for (const auto& [d, count] : learner.decision_counts())
    w.sample({{"rule", d.rule}, {"mode", d.mode}, {"action", d.action}, {"reason", d.reason}}, static_cast<double>(count));
  const auto accuracy = learner.accuracy();
  w.family("pgsteer_prediction_q_error", "histogram", "Predicted over actual time or actual over predicted, whichever is larger, by where the prediction came from.");
  for (const auto& [source, a] : accuracy) w.histogram({{"source", source}}, PredictionAccuracy::q_bounds, a.by_q_error, a.q_error_sum);
  w.family("pgsteer_predictions_total", "counter", "Predictions by whether the time was inside of their 90 % interval.");
  for (const auto& [source, a] : accuracy) {
    w.sample({{"source", source}, {"interval", "inside"}}, static_cast<double>(a.inside));
    w.sample({{"source", source}, {"interval", "outside"}}, static_cast<double>(a.outside));
  }
  w.family("pgsteer_rewrites_total", "counter", "Executions that a rewrite rule had a part in.");
  for (const auto& [rule, count] : learner.rewrites_by_rule()) w.sample({{"rule", rule}}, static_cast<double>(count));
  w.family("pgsteer_steered_total", "counter", "Executions steered, by arm.");
  for (const auto& [arm, count] : learner.executions_by_arm()) w.sample({{"arm", arm}}, static_cast<double>(count));
  const auto gains = learner.gains();
  w.family("pgsteer_saved_seconds_total", "counter", "Time that changed executions took less than the statement takes as it is, by what was done.");
  for (const auto& [what, gain] : gains) w.sample({{"by", what}}, gain.saved_ms / 1e3);
  w.family("pgsteer_regret_seconds_total", "counter", "Time that changed executions took more than that.");
  for (const auto& [what, gain] : gains) w.sample({{"by", what}}, gain.lost_ms / 1e3);
  const auto model = learner.model_figures();
  w.gauge("pgsteer_model_watched_rows", "Executions the model in use was watched over.", static_cast<double>(model.rows));
  w.gauge("pgsteer_model_interval_coverage", "Share of them inside of its 90 % intervals.", model.rows ? model.covered : std::nan(""));
  w.gauge("pgsteer_model_log_error", "Mean |ln(predicted / actual)| of the model in use.", model.rows ? model.log_error : std::nan(""));
  w.counter("pgsteer_model_drifts_total", "Times that a model in use was found not to hold any more.", model.drifts);
  w.counter("pgsteer_model_rollbacks_total", "Times that the version before was taken back for it.", model.rollbacks);
  std::map<std::pair<std::string, std::string>, int> suggestions;
  for (const auto& e : learner.experiments()) ++suggestions[{e.label.starts_with("rewrite:") ? "rewrite" : "arm", e.state}];
  w.family("pgsteer_suggestions", "gauge", "Tried candidates by kind and state.");
  for (const auto& [key, count] : suggestions) w.sample({{"kind", key.first}, {"state", key.second}}, count);
  w.family("pgsteer_policy_held", "gauge", "1 for a policy rule that only observes because its changes have lost too much; rule \"(all)\": all of them.");
  const auto rules = learner.policy_records();
  for (const auto& p : rules) w.sample({{"rule", p.rule.empty() ? "(all)" : p.rule}}, p.held.empty() ? 0 : 1);
  const auto v = learner.verification();
  w.family("pgsteer_verifications_total", "counter", "Rewritten executions run again both ways, by what came out.");
  w.sample({{"result", "equal"}}, static_cast<double>(v.equal));
  w.sample({{"result", "different"}}, static_cast<double>(v.different));
  w.sample({{"result", "untold"}}, static_cast<double>(v.untold));
  w.sample({{"result", "excluded"}}, static_cast<double>(v.excluded));
  w.sample({{"result", "dropped"}}, static_cast<double>(v.dropped));
  w.family("pgsteer_rule_banned", "gauge", "1 for every rewrite rule that no statement may use.");
  for (const auto& [rule, why] : learner.banned_rules()) w.sample({{"rule", rule}}, 1);
  const auto feedback = learner.feedback();
  w.gauge("pgsteer_feedback_queue_length", "Feedback rows that wait to be stored.", static_cast<double>(feedback.spooled));
  w.counter("pgsteer_feedback_stored_total", "Feedback rows stored.", feedback.stored);
  w.counter("pgsteer_feedback_dropped_total", "Feedback rows lost.", feedback.dropped + hub.totals().feedback_dropped);
  w.gauge("pgsteer_training", "1 while a model is being trained.", learner.training() ? 1 : 0);
}

void process(Writer& w, const Hub& hub) {
  std::ifstream memory("/proc/self/statm");
  std::uint64_t all = 0, resident = 0;
  memory >> all >> resident;
  w.gauge("process_resident_memory_bytes", "Memory in use.", static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)));
  std::timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  const auto heap = ::mallinfo2();
  w.gauge("pgsteer_heap_bytes", "Allocated and not freed, exactly; process_resident_memory_bytes is what the allocator holds for it.",
          static_cast<double>(heap.uordblks + heap.hblkhd));
  w.one("process_cpu_seconds_total", "counter", "Processor time used.", static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9);
  w.gauge("process_start_time_seconds", "When the process started.", static_cast<double>(hub.started_unix_us) / 1e6);
  std::error_code failure;
  double open = 0;
  for (std::filesystem::directory_iterator at("/proc/self/fd", failure), end; !failure && at != end; at.increment(failure)) ++open;
  w.gauge("process_open_fds", "Open descriptors.", open);
}

}  // namespace

std::string exposition(Hub& hub, bool open_metrics) {
  const auto snapshot = hub.snapshot();
  Writer w(open_metrics);
  about(w, hub, *snapshot);
  connections(w, hub);
  hosts(w, hub);
  pools(w, hub);
  tls(w, *snapshot);
  statements(w, hub);
  lanes(w, hub, *snapshot);
  cache_metrics(w, hub, *snapshot);
  learning(w, hub, *snapshot);
  process(w, hub);
  return w.take();
}

}  // namespace pgsteer::proxy::http
