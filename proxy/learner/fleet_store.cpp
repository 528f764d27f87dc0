#include "proxy/learner/fleet_store.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <pqxx/pqxx>

#include "proxy/learner/fleet_link.hpp"
#include "proxy/learner/fleet_rows.hpp"
#include "proxy/learner/fleet_schema.hpp"
#include "proxy/reload.hpp"

namespace pgsteer::proxy::learning {

namespace {

using SteadyClock = std::chrono::steady_clock;
using predictor::Feedback;
using std::chrono::milliseconds;
using Snapshot = pqxx::transaction<pqxx::repeatable_read, pqxx::read_only>;

constexpr milliseconds kPatience{10000};        // a whole answer to what was just sent
constexpr milliseconds kLongPatience{125000};   // counting, or the first rows of a sorted read
constexpr milliseconds kCompactTime{5000};      // what is left then goes the next time
constexpr int kDeleteBatch = 5000, kFetch = 1000;
constexpr std::size_t kTextsAtOnce = 1000, kRowsBetweenLooks = 200;

std::string words(const std::exception& error, bool first_line) {
  std::string text = error.what();
  // Of the server's words the first line: further ones may quote a row.
  if (first_line) text.resize(std::min(text.size(), text.find('\n')));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  std::replace(text.begin(), text.end(), '\t', ' ');
  return text;
}

class FleetStore : public predictor::FeedbackStore {
 public:
  FleetStore(const FleetOptions& options, std::unique_ptr<FleetLink> link) : options_(options), link_(std::move(link)) {}

  bool append(const std::vector<Feedback>& batch, std::string* error) override;
  bool compact(std::int64_t max_rows, std::string* error) override;
  std::int64_t count() const override;
  bool read(std::uint64_t schema, const std::function<void(const Feedback&)>& row, std::string* error) const override;
  bool read_window(std::int64_t from_us, std::int64_t to_us, const std::string& fingerprint,
                   const std::function<void(const predictor::Observation&)>& row, std::string* error) const override;
  bool read_outcomes(std::int64_t from_us, std::int64_t to_us, const std::function<void(const predictor::Outcome&)>& row, std::string* error) const override;
  predictor::StoreSpan read_span(std::string* error) const override;
  std::map<std::string, predictor::StatementText> read_statements(std::string* error) const override;
  std::string place() const override { return link_->place() + ", schema pgsteer"; }

 private:
  template <class Work>
  bool guarded(FleetLink& link, std::string* error, Work work) const;
  template <class Work>
  bool reading(std::string* error, Work work) const;
  bool writable(std::string* error) const;
  void write_texts(pqxx::work& transaction, const std::vector<Feedback>& batch) const;
  bool delete_old(std::int64_t max_rows);
  void delete_texts();

  const FleetOptions options_;
  std::unique_ptr<FleetLink> link_;
};

/// What fails comes back as text, and a connection that is no more is not waited for when it is closed.
template <class Work>
bool FleetStore::guarded(FleetLink& link, std::string* error, Work work) const {
  try {
    // libpqxx 6.4 has no words for a connection that ended while it was idle ("Could not obtain client encoding"), and loses memory over it.
    if (!link.alive()) throw std::runtime_error("the server has closed the connection");
    work();
    return true;
  } catch (const pqxx::sql_error& failure) {
    if (error) *error = fmt::format("{}: {}", link.place(), words(failure, true));
  } catch (const std::exception& failure) {
    link.cut();
    if (error) *error = fmt::format("{}: {}", link.place(), words(failure, true));
  }
  return false;
}

/// On a connection of its own, in one snapshot: any thread may read beside the writer.
template <class Work>
bool FleetStore::reading(std::string* error, Work work) const {
  std::unique_ptr<FleetLink> link;
  try {
    link = std::make_unique<FleetLink>(options_.url, options_.hurry);
  } catch (const std::exception& failure) {
    if (error) *error = words(failure, false);
    return false;
  }
  return guarded(*link, error, [&] {
    const FleetLink::Turn turn(*link, kLongPatience);
    Snapshot transaction(link->connection());
    transaction.exec(kFleetSettings);
    transaction.exec("SET LOCAL statement_timeout = '120s'");
    work(transaction, *link);
  });
}

/// Through a cursor: neither side ever holds all of it.
void fetch(pqxx::transaction_base& transaction, FleetLink& link, const std::string& query, const std::function<void(const pqxx::row&)>& take) {
  transaction.exec("DECLARE rows NO SCROLL CURSOR FOR " + query);
  for (;;) {
    link.due(kLongPatience);
    const auto rows = transaction.exec(fmt::format("FETCH {} FROM rows", kFetch));
    link.due(milliseconds(0));  // what the caller does with them is not the server's delay
    if (rows.empty()) break;
    for (const auto& row : rows) take(row);
  }
}

bool FleetStore::writable(std::string* error) const {
  if (options_.read_only && error) *error = link_->place() + ": opened read-only";
  return !options_.read_only;
}

bool FleetStore::append(const std::vector<Feedback>& batch, std::string* error) {
  if (!writable(error)) return false;
  if (batch.empty()) return true;
  return guarded(*link_, error, [&] {
    const FleetLink::Turn turn(*link_, kPatience);
    pqxx::work transaction(link_->connection());
    transaction.exec(kFleetSettings);
    // Else a text that was there already could be deleted between here and our commit, for want of rows.
    transaction.exec("SELECT pg_advisory_xact_lock_shared" + lock_numbers(FleetLock::texts));
    write_texts(transaction, batch);
    FleetCells cells;
    std::array<const char*, kFleetColumns> line;  // a tuple to libpqxx 6.4, which takes nothing else; null: NULL
    std::size_t rows = 0;
    pqxx::stream_to stream(transaction, "pgsteer.feedback", fleet_columns());
    for (const Feedback& feedback : batch) {
      cells.clear();
      append_cells(feedback, options_.instance, cells);
      for (std::size_t i = 0; i < kFleetColumns; ++i) line[i] = cells.nulls.at(i) ? nullptr : cells.texts[i].c_str();
      stream << line;
      if (++rows % kRowsBetweenLooks == 0) link_->due(kPatience);  // late is who takes nothing any more
    }
    link_->due(kPatience);
    stream.complete();
    transaction.commit();
  });
}

/// In the order of their fingerprints, whoever writes: two that bring the same new texts wait for each other in one order only.
void FleetStore::write_texts(pqxx::work& transaction, const std::vector<Feedback>& batch) const {
  std::map<std::string_view, const Feedback*> texts;
  for (const Feedback& feedback : batch) texts.try_emplace(feedback.fingerprint, &feedback);
  std::string values;
  std::size_t waiting = 0;
  const auto flush = [&] {
    if (waiting > 0) transaction.exec("INSERT INTO pgsteer.statements(fingerprint, kind, normalized) VALUES " + values + " ON CONFLICT DO NOTHING");
    values.clear();
    waiting = 0;
    link_->due(kPatience);
  };
  for (const auto& [fingerprint, feedback] : texts) {
    if (waiting > 0) values += ',';
    values += fmt::format("('{}','{}','{}')", transaction.esc(server_text(fingerprint)), transaction.esc(server_text(feedback->kind)),
                          transaction.esc(server_text(feedback->normalized)));
    if (++waiting == kTextsAtOnce) flush();
  }
  flush();
}

bool FleetStore::compact(std::int64_t max_rows, std::string* error) {
  if (!writable(error)) return false;
  return guarded(*link_, error, [&] {
    if (delete_old(max_rows)) delete_texts();
  });
}

/// "(unix_us, id)" of the oldest row that stays; "" when all of them do.
std::string oldest_to_keep(pqxx::transaction_base& transaction, std::int64_t max_rows) {
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  if (max_rows <= 0) return fmt::format("({}, {})", most, most);
  transaction.exec("SET LOCAL statement_timeout = '120s'");
  const auto row =
      transaction.exec(fmt::format("SELECT unix_us, id FROM pgsteer.feedback ORDER BY unix_us DESC, id DESC OFFSET {} LIMIT 1", max_rows - 1));
  transaction.exec("SET LOCAL statement_timeout = '30s'");
  return row.empty() ? std::string() : fmt::format("({}, {})", row[0][0].c_str(), row[0][1].c_str());
}

/// By the oldest row that stays, not by a number of rows: two that do it at once do not delete twice as many. True when something went.
bool FleetStore::delete_old(std::int64_t max_rows) {
  const auto end = SteadyClock::now() + kCompactTime;
  std::string oldest;
  bool deleted = false;
  do {
    const FleetLink::Turn turn(*link_, oldest.empty() ? kLongPatience : kPatience);
    pqxx::work transaction(link_->connection());
    transaction.exec(kFleetSettings);
    if (!transaction.exec1("SELECT pg_try_advisory_xact_lock" + lock_numbers(FleetLock::compaction))[0].as<bool>())
      return deleted;  // another is at it
    if (oldest.empty()) {
      oldest = oldest_to_keep(transaction, max_rows);
      if (oldest.empty()) return false;
    }
    const auto gone = transaction.exec(fmt::format(
        "DELETE FROM pgsteer.feedback WHERE id IN (SELECT id FROM pgsteer.feedback WHERE (unix_us, id) < {} ORDER BY unix_us, id LIMIT {})", oldest,
        kDeleteBatch));
    transaction.commit();
    deleted = deleted || gone.affected_rows() > 0;
    if (gone.affected_rows() < kDeleteBatch) break;
  } while (SteadyClock::now() < end);
  return deleted;
}

/// Shorter than anybody's patience in append(), which waits meanwhile.
void FleetStore::delete_texts() {
  const FleetLink::Turn turn(*link_, kPatience);
  pqxx::work transaction(link_->connection());
  transaction.exec(kFleetSettings);
  transaction.exec("SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '4s'");
  transaction.exec("SELECT pg_advisory_xact_lock" + lock_numbers(FleetLock::texts));
  transaction.exec("DELETE FROM pgsteer.statements s WHERE NOT EXISTS (SELECT FROM pgsteer.feedback f WHERE f.fingerprint = s.fingerprint)");
  transaction.commit();
}

std::int64_t FleetStore::count() const {
  std::int64_t rows = -1;
  guarded(*link_, nullptr, [&] {
    const FleetLink::Turn turn(*link_, kLongPatience);
    Snapshot transaction(link_->connection());
    transaction.exec(kFleetSettings);
    transaction.exec("SET LOCAL statement_timeout = '120s'");
    rows = transaction.exec1("SELECT count(*) FROM pgsteer.feedback")[0].as<std::int64_t>();
  });
  return rows;
}

bool FleetStore::read(std::uint64_t schema, const std::function<void(const Feedback&)>& row, std::string* error) const {
  return reading(error, [&](pqxx::transaction_base& transaction, FleetLink& link) {
    // Texts once, not with every row of theirs.
    std::map<std::string, predictor::StatementText, std::less<>> texts;
    for (const auto& text : transaction.exec("SELECT fingerprint, kind, normalized FROM pgsteer.statements"))
      texts[text[0].c_str()] = {text[1].c_str(), text[2].c_str()};
    const auto query = fmt::format("SELECT {} FROM pgsteer.feedback WHERE feature_schema = {} ORDER BY unix_us, id", kFleetSelect,
                                   static_cast<std::int64_t>(schema));
    fetch(transaction, link, query, [&](const pqxx::row& found) {
      Feedback feedback = fleet_row(found);
      if (const auto text = texts.find(feedback.fingerprint); text != texts.end()) {
        feedback.kind = text->second.kind;
        feedback.normalized = text->second.normalized;
      }
      row(feedback);
    });
  });
}

bool FleetStore::read_window(std::int64_t from_us, std::int64_t to_us, const std::string& fingerprint,
                             const std::function<void(const predictor::Observation&)>& row, std::string* error) const {
  return reading(error, [&](pqxx::transaction_base& transaction, FleetLink& link) {
    auto query = fmt::format("SELECT {} FROM pgsteer.feedback WHERE unix_us >= {} AND unix_us < {} AND source <> 'explore'", kFleetWindow, from_us,
                             to_us);
    if (!fingerprint.empty()) query += fmt::format(" AND fingerprint = '{}'", transaction.esc(server_text(fingerprint)));
    fetch(transaction, link, query + " ORDER BY unix_us, id", [&](const pqxx::row& found) { row(fleet_observation(found)); });
  });
}

bool FleetStore::read_outcomes(std::int64_t from_us, std::int64_t to_us, const std::function<void(const predictor::Outcome&)>& row,
                               std::string* error) const {
  return reading(error, [&](pqxx::transaction_base& transaction, FleetLink& link) {
    const auto query = fmt::format("SELECT {}, CASE feature_schema WHEN {} THEN features END FROM pgsteer.feedback WHERE unix_us >= {} AND unix_us < {} "
                                   "AND source <> 'explore' ORDER BY unix_us, id", kFleetOutcome, static_cast<std::int64_t>(predictor::feature_schema()),
                                   from_us, to_us);
    predictor::FeatureVector features;
    fetch(transaction, link, query, [&](const pqxx::row& found) { row(fleet_outcome(found, features)); });
  });
}

predictor::StoreSpan FleetStore::read_span(std::string* error) const {
  predictor::StoreSpan span;
  reading(error, [&](pqxx::transaction_base& transaction, FleetLink&) {
    const auto row = transaction.exec1("SELECT count(*), coalesce(min(unix_us), 0), coalesce(max(unix_us), 0) FROM pgsteer.feedback WHERE source <> 'explore'");
    span = {row[0].as<std::int64_t>(), row[1].as<std::int64_t>(), row[2].as<std::int64_t>()};
  });
  return span;
}

std::map<std::string, predictor::StatementText> FleetStore::read_statements(std::string* error) const {
  std::map<std::string, predictor::StatementText> texts;
  reading(error, [&](pqxx::transaction_base& transaction, FleetLink&) {
    for (const auto& text : transaction.exec("SELECT fingerprint, kind, normalized FROM pgsteer.statements"))
      texts[text[0].c_str()] = {text[1].c_str(), text[2].c_str()};
  });
  return texts;
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "?";
}

}  // namespace

std::unique_ptr<predictor::FeedbackStore> open_fleet_store(const FleetOptions& options, std::string* error) {
  std::unique_ptr<FleetLink> link;
  try {
    link = std::make_unique<FleetLink>(options.url, options.hurry);
    prepare_fleet_schema(*link, !options.read_only);
    return std::make_unique<FleetStore>(options, std::move(link));
  } catch (const pqxx::sql_error& failure) {
    if (error) *error = fmt::format("{}: {}", link ? link->place() : "", words(failure, true));
  } catch (const std::exception& failure) {
    if (link) link->cut();
    if (error) *error = words(failure, /*first_line=*/link != nullptr);  // of several hosts each has a line of its own
  }
  return nullptr;
}

std::unique_ptr<predictor::FeedbackStore> open_feedback_store(const Config& config, bool read_only, std::string* error,
                                                              std::function<bool()> hurry) {
  if (config.learning.store_url.empty()) return predictor::FeedbackStore::open(state_directory(config), read_only, error);
  return open_fleet_store({config.learning.store_url, fmt::format("{}:{}", host_name(), config.listen.port), read_only, std::move(hurry)},
                          error);
}

}  // namespace pgsteer::proxy::learning
