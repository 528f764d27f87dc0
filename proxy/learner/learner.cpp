#include "proxy/learner/learner.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "proxy/learner/audit.hpp"
#include "proxy/learner/book.hpp"
#include "proxy/learner/catalog_keeper.hpp"
#include "proxy/learner/explorer.hpp"
#include "proxy/learner/fleet_link.hpp"
#include "proxy/learner/fleet_store.hpp"
#include "proxy/learner/pins.hpp"
#include "proxy/learner/prober.hpp"
#include "proxy/learner/rule_bans.hpp"
#include "proxy/learner/sampler.hpp"
#include "proxy/learner/statistics.hpp"
#include "proxy/learner/store_writer.hpp"
#include "proxy/learner/trainer.hpp"
#include "proxy/learner/verifier.hpp"
#include "proxy/pipeline.hpp"
#include "proxy/reload.hpp"
#include "proxy/process.hpp"
#include "proxy/survive.hpp"

namespace pgsteer::proxy {

namespace {

using namespace learning;
using std::chrono::milliseconds;

constexpr milliseconds kDrainInterval{10}, kModelInterval{500};
constexpr auto kTrimInterval = std::chrono::seconds(10);
constexpr milliseconds kQuiet{250};  // nothing reported for that long: drained
constexpr std::uint64_t kRowsWorthTraining = 200;

}  // namespace

/// Five threads: the clerk drains, counts and publishes and never speaks to a server; one writes the feedback store; the scout probes and
/// explores; the catalog keeper has its own, so that no statement of the scout's delays it;
/// and so has the verifier, because a wrong rewrite must be found soon.
struct Learner::Impl {
  Impl(Hub& owner, std::string executable)
      : hub(owner),
        state_dir(state_directory(*owner.snapshot()->config)),
        audit(state_dir),
        book(owner, audit),
        store([this](std::string* error) { return open_feedback_store(*hub.snapshot()->config, false, error, [this] { return stopping.load(); }); },
              shared_store(*owner.snapshot()->config)),
        keeper(owner, [this](const std::string& database) { return book.user_of(database); }),
        links(new_links()),
        prober(owner, book, links),
        bans(owner, audit, state_dir),
        explorer(owner, book, links, store, bans, [this](milliseconds time) { return pause(time); }),
        pin_file(state_dir),
        kept_file(state_dir),
        trainer(std::move(executable), state_dir, owner.snapshot()->config->learning.store_url),
        models(owner, audit, state_dir),
        verify_links(new_links()),
        verifier(owner, verify_links, bans) {}

  static bool shared_store(const Config& config) { return config.learning.enabled && !config.learning.store_url.empty(); }

  Links new_links() {
    return Links([this](const std::string& database) { return book.user_of(database); }, [this] { return must_let_go(); },
                 [this](const std::string& database) { return hub.vacancies.asked(database); });
  }

  bool must_let_go() const { return stopping.load(std::memory_order_relaxed) || hub.snapshot()->panic; }

  bool pause(milliseconds time) {
    std::unique_lock lock(mutex);
    wake.wait_for(lock, time, [this] { return stopping.load(); });
    lock.unlock();
    return !must_let_go();
  }

  void clerk() {
    auto next_model = Clock::now(), next_trim = next_model;
    auto last_training = Clock::now();
    std::uint64_t trained_at = 0;
    bool drifted = false;
    while (pause_clerk()) {
      const auto config = hub.snapshot()->config;
      take(config->learning.enabled);
      book.publish();
      trainer.poll();
      const auto now = Clock::now();
      if (now >= next_model) {
        models.poll();
        next_model = Clock::now() + kModelInterval;
      }
      if (now >= next_trim) {
        return_free_memory();
        save_kept();
        next_trim = Clock::now() + kTrimInterval;
      }
      const auto stored = store.state().stored;
      drifted = drifted || !models.drifted().empty();
      const bool automatic = config->learning.enabled && config->learning.retrain_interval.count() > 0;
      if (automatic && (drifted || now - last_training >= config->learning.retrain_interval) && stored - trained_at >= kRowsWorthTraining &&
          !trainer.running()) {
        drifted = false;
        last_training = now;
        trained_at = stored;
        trainer.train(false);
      }
    }
    take(hub.snapshot()->config->learning.enabled);
    save_kept();
  }

  /// The store may be a server far away, which the clerk never waits for.
  void write() {
    while (!stopping) {
      const auto config = hub.snapshot()->config;
      store.flush(config->learning.max_rows);
      std::unique_lock lock(mutex);
      wake.wait_for(lock, config->learning.flush_interval, [this] { return stopping.load(); });
    }
  }

  bool pause_clerk() {
    std::unique_lock lock(mutex);
    return !wake.wait_for(lock, kDrainInterval, [this] { return stopping.load(); });
  }

  Sampler sampler;  ///< under take_mutex

  /// By the clerk, and by whoever asks whether anything waits: until then nothing can be said of what was reported.
  void take(bool keep) {
    const std::lock_guard lock(take_mutex);
    auto batches = hub.drain();
    std::erase_if(batches, [](const auto& batch) { return batch.empty(); });
    if (batches.empty()) return;
    last_outcome = Clock::now().time_since_epoch().count();
    std::vector<predictor::Feedback> rows;
    const auto now = unix_us();
    in_order(std::move(batches), [&](const Outcome& outcome) {
      if (!outcome.plan || !outcome.plan->analysis || outcome.plan->candidates.empty()) return;
      const double expected = book.record(outcome);
      statistics.record(outcome, now, expected);
      verifier.offer(outcome);
      // A standby has other caches and another load: its times say nothing of the primary's.
      if (!keep || outcome.execution.source == Source::local || outcome.execution.source == Source::standby) return;
      if (outcome.plan->application == kStoreApplication) return;  // a store that is reached through us: each flush would have a row for the next
      if (sampler.take(outcome.plan->analysis->fingerprint, outcome.plan->decision.candidate, now))
        rows.push_back(Pipeline::learn(*outcome.plan, outcome.execution, now));
    });
    models.observe(rows);
    if (!rows.empty()) store.add(std::move(rows));
    last_outcome = Clock::now().time_since_epoch().count();
  }

  void scout() {
    while (!stopping) {
      links.leave();
      const bool worked = !hub.snapshot()->panic && (prober.step() || explorer.step());
      if (!worked) {
        std::unique_lock lock(mutex);
        wake.wait_for(lock, milliseconds(50), [this] { return stopping.load(); });
      }
    }
    links.close_all();
  }

  void verify() {
    while (!stopping) {
      verify_links.leave();
      if (!hub.snapshot()->panic && verifier.step()) continue;
      std::unique_lock lock(mutex);
      wake.wait_for(lock, milliseconds(50), [this] { return stopping.load(); });
    }
    verify_links.close_all();
  }

  void load_pins() {
    std::string error;
    const auto read = pin_file.read(&error);
    const std::lock_guard lock(pins_mutex);
    if (!read) {
      pins_error = error;
      spdlog::warn("pins refused error=\"{}\"", error);
      return;
    }
    pins = *read;
    book.set_pins(pins);
  }

  void load_kept() {
    std::string error;
    auto read = kept_file.read(&error);
    if (!read) {
      spdlog::warn("steering decisions refused error=\"{}\"", error);
      kept_error = error;
      return;
    }
    book.keep(std::move(*read));
  }

  /// What was explored is not lost with the process. Written only when it is another.
  void save_kept() {
    if (!kept_error.empty()) return;
    const auto list = book.kept();
    std::size_t hash = list.size();
    for (const auto& arm : list) hash = (hash ^ std::hash<std::string>{}(arm.fingerprint + arm.label + arm.database) ^ arm.plan ^ arm.explored) * 0x9E3779B97F4A7C15ull;
    if (hash == kept_hash) return;
    std::string error;
    if (kept_file.write(list, &error)) kept_hash = hash;
    else spdlog::warn("steering decisions not written error=\"{}\"", error);
  }

  /// Applies `change` to one fingerprint's entry, saves, and only then lets it act.
  std::string change_pin(const std::string& fingerprint, const std::function<std::string(Pin&)>& change) {
    const std::lock_guard lock(pins_mutex);
    if (!pins_error.empty()) return pins_error;
    if (!pins.contains(fingerprint) && !book.knows_fingerprint(fingerprint) && !statistics.knows(fingerprint))
      return fmt::format("no statement with fingerprint \"{}\" was seen; SHOW QUERIES lists them", fingerprint);
    auto changed = pins;
    Pin& pin = changed[fingerprint];
    if (auto error = change(pin); !error.empty()) return error;
    if (pin.pinned.empty() && pin.banned.empty()) changed.erase(fingerprint);
    std::string error;
    if (!pin_file.write(changed, &error)) return error;
    pins = std::move(changed);
    book.set_pins(pins);
    return {};
  }

  bool settled() {
    take(hub.snapshot()->config->learning.enabled);
    const auto quiet = Clock::now().time_since_epoch().count() - last_outcome.load();
    if (quiet < std::chrono::duration_cast<Clock::duration>(kQuiet).count()) return false;
    return !keeper.busy() && store.idle() && !book.unpublished() && !book.probes_pending() && !explorer.pending() &&
           !verifier.pending();
  }

  Hub& hub;
  const std::string state_dir;
  Audit audit;
  Book book;
  Statistics statistics;
  StoreWriter store;
  CatalogKeeper keeper;
  Links links;
  Prober prober;
  RuleBans bans;
  Explorer explorer;
  PinFile pin_file;
  KeptFile kept_file;
  Trainer trainer;
  ModelWatcher models;
  Links verify_links;
  Verifier verifier;

  std::mutex pins_mutex;
  std::map<std::string, Pin> pins;
  std::string pins_error, kept_error;
  std::size_t kept_hash = 0;  ///< of what is in the file; the clerk's

  std::mutex take_mutex;
  std::mutex mutex;
  std::condition_variable wake;
  std::atomic<bool> stopping{false};
  std::atomic<Clock::rep> last_outcome{0};
  std::thread clerk_thread, scout_thread, verify_thread, write_thread;
  bool started = false;
};

Learner::Learner(Hub& hub, std::string executable) : impl_(std::make_unique<Impl>(hub, std::move(executable))) {}
Learner::~Learner() { stop(); }

void Learner::start() {
  if (impl_->started) return;
  impl_->started = true;
  std::error_code failure;
  std::filesystem::create_directories(impl_->state_dir, failure);
  if (failure) spdlog::warn("state directory {}: {}", impl_->state_dir, failure.message());
  impl_->load_pins();
  impl_->load_kept();
  impl_->bans.load();
  impl_->models.poll();
  impl_->keeper.start();
  impl_->clerk_thread = std::thread([this] { run_thread("clerk", [this] { impl_->clerk(); }); });
  impl_->scout_thread = std::thread([this] { run_thread("scout", [this] { impl_->scout(); }); });
  impl_->write_thread = std::thread([this] { run_thread("store", [this] { impl_->write(); }); });
  impl_->verify_thread = std::thread([this] { run_thread("verify", [this] { impl_->verify(); }); });
}

void Learner::stop() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  impl_->trainer.stop();
  if (impl_->scout_thread.joinable()) impl_->scout_thread.join();
  if (impl_->verify_thread.joinable()) impl_->verify_thread.join();
  impl_->keeper.stop();
  if (impl_->write_thread.joinable()) impl_->write_thread.join();
  if (!impl_->clerk_thread.joinable()) return;
  impl_->clerk_thread.join();
  impl_->store.flush(impl_->hub.snapshot()->config->learning.max_rows, true);  // with what the clerk took last
}

std::vector<QueryStatistics> Learner::queries() const { return impl_->statistics.queries(); }
std::vector<DecisionRecord> Learner::decisions(std::size_t limit, const DecisionFilter& filter) const {
  return impl_->statistics.decisions(limit, filter);
}
double Learner::saved_ms() const {
  double sum = 0;
  for (const auto& [what, gain] : impl_->statistics.gains()) sum += gain.saved_ms - gain.lost_ms;
  return sum;
}
std::map<std::string, Learner::Gain> Learner::gains() const { return impl_->statistics.gains(); }
std::map<std::string, std::uint64_t> Learner::executions_by_arm() const { return impl_->statistics.executions_by_arm(); }
Learner::ModelFigures Learner::model_figures() const { return impl_->models.figures(); }
std::optional<StatementRecord> Learner::statement(const std::string& fingerprint, const std::string& database) const {
  auto record = impl_->statistics.statement(fingerprint, database);
  if (record) impl_->book.complete(*record);
  return record;
}
std::vector<ExperimentRecord> Learner::experiments() const { return impl_->book.experiments(); }
std::vector<PolicyRecord> Learner::policy_records() const { return impl_->book.policy_records(); }

std::string Learner::resume_policy(const std::string& rule) {
  if (impl_->book.resume_policy(rule)) return {};
  return rule.empty() ? "no policy is held" : fmt::format("policy '{}' is not held; SHOW POLICIES shows them", rule);
}

Learner::FeedbackState Learner::feedback() const { return impl_->store.state(); }
double Learner::explored_ms() const { return impl_->explorer.spent_ms(); }
bool Learner::training() const { return impl_->trainer.running(); }
bool Learner::settled() const { return impl_->settled(); }

std::vector<std::pair<std::string, std::string>> Learner::health() const {
  std::vector<std::pair<std::string, std::string>> rows;
  const auto state = impl_->store.state();
  rows.emplace_back("feedback_store", state.error.empty() ? "ok"
                                                          : fmt::format("{} ({} rows wait in memory, {} dropped)",
                                                                        state.error, state.spooled, state.dropped));
  for (auto& row : impl_->keeper.health()) rows.push_back(std::move(row));
  for (auto& [database, text] : impl_->links.health()) rows.emplace_back("probe:" + database, text);
  rows.emplace_back("model", impl_->models.health());
  rows.emplace_back("training", impl_->trainer.health());
  {
    const std::lock_guard lock(impl_->pins_mutex);
    rows.emplace_back("pins", impl_->pins_error.empty() ? "ok" : impl_->pins_error);
  }
  rows.emplace_back("verification", impl_->bans.health());
  const auto mismatches = impl_->book.mismatches();
  rows.emplace_back("exploration",
                    mismatches == 0 ? "ok" : fmt::format("{} candidates answered otherwise; see audit.log", mismatches));
  rows.emplace_back("settled", settled() ? "ok" : "working");
  return rows;
}

std::string Learner::train(bool wait) { return impl_->trainer.train(wait); }

std::string Learner::rollback_model(const std::string& name) {
  std::string error;
  if (!predictor::rollback_model(impl_->state_dir, name.empty() ? "latency" : name, &error))
    return error.empty() ? "cannot roll back" : error;
  impl_->models.poll();
  return {};
}

std::string Learner::pin_model(const std::string& version) {
  std::string error;
  if (!predictor::pin_model(impl_->state_dir, "latency", version, &error)) return error.empty() ? "cannot pin" : error;
  impl_->audit.write("model", "", version.empty() ? "none" : version, version.empty() ? "unpinned by hand" : "pinned by hand");
  impl_->models.poll();
  return {};
}

std::string Learner::model_watch() const { return impl_->models.watched(); }

std::string Learner::pin(const std::string& fingerprint, const std::string& label) {
  std::string error;
  const auto full = candidate_label(label, &error);
  if (!full) return error;
  error = impl_->change_pin(fingerprint, [&](Pin& pin) -> std::string {
    if (std::find(pin.banned.begin(), pin.banned.end(), *full) != pin.banned.end())
      return *full + " is banned for this fingerprint; UNPIN it first";
    pin.pinned = *full;
    return {};
  });
  if (error.empty()) impl_->audit.write("pinned", fingerprint, *full, "by hand");
  return error;
}

std::string Learner::approve(const std::string& fingerprint, const std::string& label, const std::string& plan, const std::string& database) {
  std::string error;
  const auto full = candidate_label(label, &error);
  if (!full) return error;
  if (!full->starts_with("arm:")) return *full + " is not an arm; rewrites are proved, not approved";
  const auto shape = parse_plan_words(plan);
  if (!shape) return "'" + plan + "' is not a plan: SHOW STEERING and SHOW EXPERIMENTS show them, 16 hexadecimal digits";
  KeptArm arm;
  arm.fingerprint = fingerprint;
  arm.label = *full;
  arm.database = database;
  arm.plan = *shape;
  arm.by_hand = true;
  impl_->book.approve(arm);
  impl_->audit.write("approved", fingerprint, *full, "by hand");
  return {};
}

void Learner::explore(double ms) { impl_->explorer.grant(ms); }

std::vector<SteeringRecord> Learner::steering() const {
  std::vector<SteeringRecord> rows;
  std::map<std::pair<std::string, std::string>, std::string> texts;
  for (const auto& query : impl_->statistics.queries()) texts[{query.fingerprint, query.database}] = query.normalized;
  for (const auto& arm : impl_->book.kept()) {
    const double gain = arm.explored_default_ms > 0 ? 1 - arm.explored_ms / arm.explored_default_ms : 0;
    rows.push_back({arm.fingerprint, arm.database, arm.label, plan_words(arm.plan), arm.by_hand ? "approved" : "explored", arm.explored, gain,
                    arm.worst_ratio, texts[{arm.fingerprint, arm.database}]});
  }
  const std::lock_guard lock(impl_->pins_mutex);
  for (const auto& [fingerprint, pin] : impl_->pins) {
    if (!pin.pinned.empty()) rows.push_back({fingerprint, "", pin.pinned, "", "pinned", 0, 0, 0, ""});
    for (const auto& label : pin.banned) rows.push_back({fingerprint, "", label, "", "banned", 0, 0, 0, ""});
  }
  return rows;
}

std::string Learner::unpin(const std::string& fingerprint) {
  const bool withdrawn = impl_->book.withdraw(fingerprint);
  const std::string error = impl_->change_pin(fingerprint, [&](Pin& pin) -> std::string {
    if (pin.pinned.empty() && pin.banned.empty() && !withdrawn) return "nothing is pinned, banned or approved for this fingerprint";
    pin = Pin{};
    return {};
  });
  if (error.empty()) impl_->audit.write("unpinned", fingerprint, "", "by hand");
  return error;
}

std::string Learner::ban(const std::string& fingerprint, const std::string& label) {
  std::string error;
  const auto full = candidate_label(label, &error);
  if (!full) return error;
  if (*full == "as-is") return "as-is cannot be banned: it is what remains";
  error = impl_->change_pin(fingerprint, [&](Pin& pin) -> std::string {
    if (pin.pinned == *full) pin.pinned.clear();
    if (std::find(pin.banned.begin(), pin.banned.end(), *full) == pin.banned.end()) pin.banned.push_back(*full);
    return {};
  });
  if (error.empty()) impl_->audit.write("banned", fingerprint, *full, "by hand");
  return error;
}

std::map<Learner::DecisionCount, std::uint64_t> Learner::decision_counts() const { return impl_->statistics.decision_counts(); }
std::map<std::string, std::uint64_t> Learner::rewrites_by_rule() const { return impl_->statistics.rewrites_by_rule(); }
std::map<std::string, PredictionAccuracy> Learner::accuracy() const { return impl_->statistics.accuracy(); }
std::string Learner::ban_rule(const std::string& rule) { return impl_->bans.ban(rule, "by hand"); }
std::string Learner::unban_rule(const std::string& rule) { return impl_->bans.unban(rule); }
std::map<std::string, std::string> Learner::banned_rules() const { return impl_->bans.banned(); }
std::vector<MismatchRecord> Learner::mismatches() const { return impl_->bans.mismatches(); }
Learner::VerificationState Learner::verification() const { return impl_->verifier.state(); }

}  // namespace pgsteer::proxy
