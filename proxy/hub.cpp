#include "proxy/hub.hpp"

#include <set>
#include <unordered_map>

#include "proxy/feed/feed.hpp"
#include "proxy/hosts/hosts.hpp"
#include "proxy/lanes.hpp"
#include "proxy/pool/pools.hpp"
#include "proxy/reload.hpp"
#include "proxy/stats_period.hpp"

namespace pgsteer::proxy {
namespace {
constexpr int kMaxThreads = 256;

}  // namespace

struct Hub::Impl {
  mutable std::mutex snapshot_mutex;  // guards snapshot and subscribers
  std::shared_ptr<const Snapshot> snapshot;
  std::vector<Subscriber> subscribers;

  mutable std::mutex feedback_mutex;
  std::set<std::string> catalog_requests;

  mutable std::mutex counters_mutex;  // of the map; the counters themselves have one writer each
  std::map<std::string, std::map<int, Counters>> counters;  // by database
  struct Loop {
    Meters meters;
    OutcomeQueue outcomes;
  };
  mutable std::mutex loops_mutex;
  std::vector<std::unique_ptr<Loop>> loops;  ///< by thread
  Loop& loop(int thread) {
    const auto index = static_cast<std::size_t>(thread) % kMaxThreads;
    const std::lock_guard lock(loops_mutex);
    if (loops.size() <= index) loops.resize(index + 1);
    auto& found = loops[index];
    if (!found) found = std::make_unique<Loop>();
    return *found;
  }
  template <class See>
  void for_each_loop(See see) const {
    const std::lock_guard lock(loops_mutex);
    for (const auto& each : loops)
      if (each) see(*each);
  }
  mutable std::mutex reload_mutex;  // guards the next two
  std::string reload_error;
  std::string http_status = "off";

  mutable std::mutex clients_mutex;
  std::unordered_map<std::uint64_t, ClientInfo> clients;

  std::mutex server_mutex;
  std::string server_start;

  std::mutex prepared_mutex;
  std::map<std::string, cache::Words::Mark> prepared_marks;
};

Hub::Hub(std::shared_ptr<const Config> config, std::shared_ptr<const policies::PolicySet> policies)
    : memory(config->cache.memory_bytes),
      lanes(std::make_unique<Lanes>()),
      rates(std::make_unique<Rates>()),
      limit_counts(std::make_unique<LimitCounts>()),
      stats_period(std::make_unique<StatsPeriod>(unix_us())),
      started_unix_us(unix_us()),
      hosts(std::make_unique<Hosts>(config->upstream.url)),
      impl_(std::make_unique<Impl>()) {
  auto first = std::make_shared<Snapshot>();
  first->config = std::move(config);
  first->policies = std::move(policies);
  first->calibration = std::make_shared<predictor::Calibration>();
  first->knowledge = std::make_shared<policies::KnowledgeMap>();
  first->version = 1;
  reloaded_unix_us = started_unix_us;
  impl_->snapshot = std::move(first);
}

Hub::~Hub() = default;

std::shared_ptr<const Snapshot> Hub::snapshot() const {
  const std::lock_guard lock(impl_->snapshot_mutex);
  return impl_->snapshot;
}

void Hub::update(const std::function<void(Snapshot&)>& change) {
  // Subscribers are called under the lock so that every thread sees versions in order; they only post.
  const std::lock_guard lock(impl_->snapshot_mutex);
  auto next = std::make_shared<Snapshot>(*impl_->snapshot);
  change(*next);
  next->version = impl_->snapshot->version + 1;
  impl_->snapshot = next;
  for (const auto& subscriber : impl_->subscribers) subscriber(impl_->snapshot);
}

void Hub::subscribe(Subscriber subscriber) {
  const std::lock_guard lock(impl_->snapshot_mutex);
  impl_->subscribers.push_back(std::move(subscriber));
}

OutcomeQueue& Hub::outcomes(int thread) { return impl_->loop(thread).outcomes; }

std::vector<OutcomeQueue::Batch> Hub::drain() {
  std::vector<OutcomeQueue::Batch> batches;
  impl_->for_each_loop([&](Impl::Loop& loop) { batches.push_back(loop.outcomes.take()); });
  return batches;
}

void Hub::catalog_changed(const std::string& database) {
  const std::uint64_t epoch = catalog_epoch.fetch_add(1) + 1;
  {
    const std::lock_guard lock(impl_->feedback_mutex);
    impl_->catalog_requests.insert(database);
  }
  update([&](Snapshot& next) {
    next.catalogs.erase(database);
    next.catalog_epoch = std::max(next.catalog_epoch, epoch);
  });
}

void Hub::catalog_wanted(const std::string& database) {
  const std::lock_guard lock(impl_->feedback_mutex);
  impl_->catalog_requests.insert(database);
}

std::vector<std::string> Hub::take_catalog_requests() {
  const std::lock_guard lock(impl_->feedback_mutex);
  std::vector<std::string> requests(impl_->catalog_requests.begin(), impl_->catalog_requests.end());
  impl_->catalog_requests.clear();
  return requests;
}

Counters& Hub::counters(int thread, const std::string& database) {
  const std::lock_guard lock(impl_->counters_mutex);
  const bool room = impl_->counters.contains(database) || impl_->counters.size() < kMaxDatabases;
  return impl_->counters[room ? database : "other"][thread];
}

Meters& Hub::thread_meters(int thread) { return impl_->loop(thread).meters; }

std::vector<const Meters*> Hub::meters() const {
  std::vector<const Meters*> list;
  impl_->for_each_loop([&](const Impl::Loop& loop) { list.push_back(&loop.meters); });
  return list;
}

Totals& Totals::operator+=(const Counters& counters) {
#define PGSTEER_MEMBER(name) name += counters.name.value();
  PGSTEER_COUNTED(PGSTEER_MEMBER)
#undef PGSTEER_MEMBER
  return *this;
}

Totals Hub::totals() const {
  Totals sum;
  impl_->for_each_loop([&](const Impl::Loop& loop) { sum.feedback_dropped += loop.outcomes.dropped(); });
  const std::lock_guard lock(impl_->counters_mutex);
  for (const auto& [database, by_thread] : impl_->counters)
    for (const auto& [thread, counters] : by_thread) sum += counters;
  return sum;
}

std::map<std::string, Totals> Hub::totals_by_database() const {
  std::map<std::string, Totals> sums;
  const std::lock_guard lock(impl_->counters_mutex);
  for (const auto& [database, by_thread] : impl_->counters)
    for (const auto& [thread, counters] : by_thread) sums[database] += counters;
  return sums;
}

void Hub::set_client(const ClientInfo& info) {
  const std::lock_guard lock(impl_->clients_mutex);
  impl_->clients[info.id] = info;
}

void Hub::drop_client(std::uint64_t id) {
  const std::lock_guard lock(impl_->clients_mutex);
  impl_->clients.erase(id);
}

std::vector<ClientInfo> Hub::clients() const {
  const std::lock_guard lock(impl_->clients_mutex);
  std::vector<ClientInfo> list;
  list.reserve(impl_->clients.size());
  for (const auto& [id, info] : impl_->clients) {
    list.push_back(info);
    if (info.live_state) list.back().state = info.live_state->load(std::memory_order_relaxed);
  }
  return list;
}

void Hub::keep_prepared_mark(const std::string& gid, cache::Words::Mark mark) {
  const std::lock_guard lock(impl_->prepared_mutex);
  impl_->prepared_marks[gid] = std::move(mark);
}

std::optional<cache::Words::Mark> Hub::take_prepared_mark(const std::string& gid) {
  const std::lock_guard lock(impl_->prepared_mutex);
  const auto found = impl_->prepared_marks.find(gid);
  if (found == impl_->prepared_marks.end()) return std::nullopt;
  std::optional<cache::Words::Mark> mark(std::move(found->second));
  impl_->prepared_marks.erase(found);
  return mark;
}

std::string Hub::http_status() const {
  const std::lock_guard lock(impl_->reload_mutex);
  return impl_->http_status;
}

void Hub::set_http_status(std::string status) {
  const std::lock_guard lock(impl_->reload_mutex);
  impl_->http_status = std::move(status);
}

std::string Hub::reload_error() const {
  const std::lock_guard lock(impl_->reload_mutex);
  return impl_->reload_error;
}

void Hub::server_started(const std::string& when) {
  const std::lock_guard lock(impl_->server_mutex);
  if (when.empty() || (!impl_->server_start.empty() && impl_->server_start != when)) words.flush();
  if (!when.empty()) impl_->server_start = when;
}

void Hub::pause() {
  paused = true;
  if (pools) pools->close_idle();
}

void Hub::resume() {
  if (pools) pools->resume();
  paused = false;
  if (on_resume) on_resume();
}

void Hub::vacate(const std::string& database) {
  vacancies.ask(database);
  if (pools) pools->vacate(database);
  if (feeds) feeds->vacate(database);
}

std::optional<std::string> Hub::reload() {
  const auto current = snapshot();
  ReloadResult loaded = load_again(*current->config, overrides);
  {
    const std::lock_guard lock(impl_->reload_mutex);
    impl_->reload_error = loaded.error;
  }
  if (!loaded.error.empty()) return loaded.error;
  reloaded_unix_us = unix_us();
  update([&](Snapshot& next) {
    next.config = loaded.config;
    next.policies = loaded.policies;
  });
  return std::nullopt;
}

}  // namespace pgsteer::proxy
