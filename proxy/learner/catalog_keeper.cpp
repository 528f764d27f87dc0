#include "proxy/learner/catalog_keeper.hpp"
#include "proxy/group/members.hpp"
#include "proxy/survive.hpp"

#include <spdlog/spdlog.h>

#include <array>
#include <cstdint>

namespace pgsteer::proxy::learning {

namespace {
using SteadyClock = std::chrono::steady_clock;
using std::chrono::milliseconds;
/// Triggers and functions ask for a look at the catalog after every call of theirs.
constexpr milliseconds kBetweenLooks{100};
}  // namespace

CatalogKeeper::CatalogKeeper(Hub& hub, UserOf user_of) : hub_(hub), user_of_(std::move(user_of)) {}
CatalogKeeper::~CatalogKeeper() { stop(); }

void CatalogKeeper::start() {
  if (!thread_.joinable())
    thread_ = std::thread([this] {
      run_thread("catalog", [this] { loop(); });
      slots_.clear();  // and with it the connections
    });
}

void CatalogKeeper::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (running_) running_->abandon();
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::vector<std::pair<std::string, std::string>> CatalogKeeper::health() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, std::string>> rows;
  for (const auto& [database, state] : state_) rows.emplace_back("catalog:" + database, state);
  return rows;
}

void CatalogKeeper::loop() {
  for (;;) {
    {
      // take_catalog_requests() has no bell; a look every 20 ms is what "at once" costs.
      std::unique_lock lock(mutex_);
      if (wake_.wait_for(lock, milliseconds(20), [this] { return stopping_; })) return;
    }
    const auto config = hub_.snapshot()->config;
    for (const auto& database : hub_.take_catalog_requests()) {
      slots_[database].wanted = true;
      slots_[database].not_before = {};
    }
    if (!config->upstream.probe) continue;
    const auto now = SteadyClock::now();
    for (auto& [database, slot] : slots_) {
      if (hub_.vacancies.asked(database, now)) {
        slot.loader.reset();
        continue;
      }
      if (now < slot.not_before || (!slot.wanted && now < slot.next_poll)) continue;
      if (now < slot.next_look && hub_.snapshot()->catalog(database)) continue;
      busy_ = true;
      refresh(database, slot);
      slot.next_poll = SteadyClock::now() + config->catalog.refresh_interval;
      slot.next_look = SteadyClock::now() + kBetweenLooks;
    }
    // A database that stays away (dropped, perhaps) is health()'s business and not work under way.
    bool wanted = false;
    for (const auto& [database, slot] : slots_) wanted = wanted || (slot.wanted && slot.delay < milliseconds(2000));
    busy_ = wanted;
  }
}

void CatalogKeeper::refresh(const std::string& database, Slot& slot) {
  try {
    if (!slot.loader) {
      std::string error;
      const auto target = probe_target(*hub_.snapshot()->config, database, user_of_(database), &error);
      if (!target) return fail(database, slot, error);
      slot.loader = std::make_unique<CatalogLoader>(connection_string(*target));
    }
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      running_ = slot.loader.get();
    }
    load(database, slot);
    slot.delay = milliseconds(0);
    const std::lock_guard lock(mutex_);
    running_ = nullptr;
    state_[database] = "ok";
  } catch (const std::exception& error) {
    fail(database, slot, error.what());
  }
}

void CatalogKeeper::load(const std::string& database, Slot& slot) {
  // A request may be a new session's or a DDL statement's; in the first case there is nothing to do.
  const auto before = hub_.snapshot();
  bool published = before->catalog(database) != nullptr;
  // In a group the picture counts for as long as nobody has announced DDL since this moment.
  const std::uint64_t picture = hub_.group ? hub_.group->words().picture(database) : 0;
  if (hub_.group && before->picture(database) != picture) published = false;
  if ((!slot.wanted || published) && slot.loader->signature() == slot.loaded) {
    slot.wanted = false;
    return;
  }
  const std::uint64_t epoch = hub_.catalog_epoch.load();
  CatalogSignature signature;
  std::shared_ptr<sql::Catalog> catalog = slot.loader->load(&signature);
  const bool structure_changed = slot.version > 0 && signature.structure != slot.loaded.structure;
  const bool changed = signature != slot.loaded;
  if (changed) ++slot.version;
  catalog->version = slot.version;
  slot.loaded = std::move(signature);
  slot.wanted = false;
  if (structure_changed) hub_.words.bump(database, std::array{cache::word_cat});
  // Code that nobody announced as DDL: the others are to look too.
  if (hub_.group && structure_changed && picture == before->picture(database)) hub_.words.bump(database, std::array{cache::word_picture});
  // DDL seen while we were reading makes this picture old before it is published: read again instead. Asked under the
  // snapshot's lock, so that catalog_changed() either is seen here or removes what is published. A mere wish for the
  // catalog (a new session, a trigger that ran) must not start the reading again, or busy traffic never gets one.
  hub_.update([&](Snapshot& snapshot) {
    if (hub_.catalog_epoch.load() == epoch)
      snapshot.catalogs[database] = catalog;
    else
      slot.wanted = true;
    snapshot.pictures[database] = picture;
  });
  if (hub_.group && picture == cache::no_picture) slot.wanted = true;
  spdlog::log(changed ? spdlog::level::info : spdlog::level::debug, "catalog database={} version={} relations={} hint_plan={}", database, catalog->version,
               catalog->relations().size(), catalog->hint_plan);
}

void CatalogKeeper::fail(const std::string& database, Slot& slot, const std::string& error) {
  slot.delay = std::min(std::max(slot.delay * 2, milliseconds(250)), milliseconds(30000));
  slot.not_before = SteadyClock::now() + slot.delay;
  std::string text = error;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::unique_lock lock(mutex_);
  running_ = nullptr;
  slot.loader.reset();
  if (stopping_) return;
  const bool news = state_[database] != text;
  state_[database] = text;
  lock.unlock();
  // A picture that cannot be refreshed may no longer be true; without one, rewriting and caching stand aside.
  if (hub_.snapshot()->catalog(database))
    hub_.update([&](Snapshot& snapshot) { snapshot.catalogs.erase(database); });
  slot.wanted = true;
  if (news) spdlog::warn("catalog database={} error=\"{}\"", database, text);
}

}  // namespace pgsteer::proxy::learning
