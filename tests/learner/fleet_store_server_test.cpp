// The fleet's store against a real server: the embedded store's own cases over both, and what only a server can do wrong.
#include <signal.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <fstream>
#include <limits>
#include <thread>

#include "proxy/learner/fleet_link.hpp"
#include "proxy/learner/fleet_rows.hpp"
#include "proxy/learner/fleet_store.hpp"
#include "proxy/learner/store_writer.hpp"
#include "tests/learner/fixture.hpp"
#include "tests/predictor/synthetic.hpp"
#include "tests/predictor/training.hpp"
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

using namespace pgsteer;
using namespace pgsteer::proxy::learning;
using namespace pgsteer::test;
using predictor::Feedback;
using predictor::FeedbackStore;
using std::chrono::milliseconds;

namespace {

std::unique_ptr<FeedbackStore> open_fleet(const std::string& database, bool read_only = false, const std::string& instance = "one:1") {
  std::string error;
  auto store = open_fleet_store({postgres().url(database), instance, read_only, {}}, &error);
  REQUIRE_MESSAGE(store, error);
  return store;
}

std::string refusal(const std::string& database, bool read_only = false) {
  std::string error;
  const auto store = open_fleet_store({postgres().url(database), "one:1", read_only, {}}, &error);
  CHECK_FALSE(store);
  return error;
}

std::string value(const std::string& database, const std::string& sql) {
  const auto rows = connect(database)->run(sql);
  REQUIRE_MESSAGE(rows.ok(), rows.message());
  return rows.rows() > 0 ? std::string(rows.text(0, 0)) : std::string();
}

std::vector<Feedback> all(const FeedbackStore& store, std::uint64_t schema = predictor::feature_schema()) {
  std::vector<Feedback> rows;
  std::string error;
  REQUIRE_MESSAGE(store.read(schema, [&](const Feedback& row) { rows.push_back(row); }, &error), error);
  return rows;
}

/// Everything of a row, to the bit.
std::string dump(const Feedback& f) {
  const auto bits = [](double number) { return std::bit_cast<std::uint64_t>(number); };
  std::string text = fmt::format("{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|", f.unix_microseconds, f.database, f.user, f.application, f.fingerprint, f.shape,
                                 f.kind, f.normalized, f.feature_schema, f.candidate, predictor::labels_text(f.candidates));
  for (const float feature : f.features) text += fmt::format("{:x},", std::bit_cast<std::uint32_t>(feature));
  for (const double number : {f.estimate_ms, f.estimate_low_ms, f.estimate_high_ms, f.probability, f.server_ms, f.total_ms, f.proxy_us, f.plan_cost})
    text += fmt::format("{:x},", bits(number));
  return text + fmt::format("{}|{}|{}|{}|{}|{}|{}|{}|{}|{}", f.estimate_source, f.model_version, f.source, f.mode, f.policy_rule, f.reason, f.rows,
                            f.bytes, f.sqlstate, f.censored);
}

std::vector<std::string> dump(const std::vector<Feedback>& rows) {
  std::vector<std::string> texts;
  for (const auto& row : rows) texts.push_back(dump(row));
  return texts;
}

/// Rows with everything in them that a text format could get wrong.
std::vector<Feedback> awkward() {
  auto rows = synthetic_feedback({.rows = 40, .templates = 7});
  const double infinity = std::numeric_limits<double>::infinity(), nan = std::nan("");
  const double numbers[] = {nan, infinity, -infinity, 0.1, -2.5e-7, 1e-310, 1.7976931348623157e308, 123456789.123456789};
  const std::string texts[] = {"",
                               "\\",
                               "\\N",
                               "\\.",
                               "tab\tnew\nline\r\v\f\b",
                               "'; drop schema pgsteer; --",
                               "\"q\" $1 {} %s",
                               "\x01\x1f\x7f",
                               "ümläut 漢字 \xF0\x9F\x98\x80",
                               "\\x00"};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Feedback& f = rows[i];
    f.estimate_ms = numbers[i % std::size(numbers)];
    f.plan_cost = numbers[(i + 1) % std::size(numbers)];
    f.proxy_us = numbers[(i + 2) % std::size(numbers)];
    f.application = texts[i % std::size(texts)];
    f.reason = texts[(i + 1) % std::size(texts)];
    f.normalized = f.fingerprint + texts[f.fingerprint[0] % std::size(texts)];
    f.candidates = {"as-is", texts[i % std::size(texts)]};
    f.censored = i % 3 == 0;
    f.source = "cache";  // nothing to train on
    f.rows = i % 2 ? std::numeric_limits<std::int64_t>::max() : -1;
    if (!f.features.empty()) f.features[i % f.features.size()] = i % 2 ? std::numeric_limits<float>::infinity() : std::nanf("");
    if (i == 5) f.features.clear();
  }
  return rows;
}

}  // namespace

TEST_CASE("both stores give the same rows back, to the bit, and the same model") {
  if (!server_here()) return;
  const Database database("fleet_same");
  const ScratchDir dir;
  std::string error;
  const auto embedded = FeedbackStore::open(dir.path(), false, &error);
  REQUIRE_MESSAGE(embedded, error);
  const auto fleet = open_fleet(database.name());
  auto rows = synthetic_feedback({.rows = 2500});
  const auto more = awkward();
  rows.insert(rows.end(), more.begin(), more.end());
  for (FeedbackStore* store : {embedded.get(), fleet.get()}) {
    REQUIRE_MESSAGE(store->append(rows, &error), error);
    CHECK(store->append({}, &error));
    CHECK(store->count() == static_cast<std::int64_t>(rows.size()));
  }
  const auto local = dump(all(*embedded)), far = dump(all(*fleet));
  REQUIRE(local.size() == far.size());
  for (std::size_t i = 0; i < local.size(); ++i) REQUIRE(local[i] == far[i]);
  CHECK(all(*fleet, 1).empty());

  const auto window = [&](const FeedbackStore& store, const std::string& fingerprint) {
    std::vector<std::string> seen;
    CHECK(store.read_window(rows[100].unix_microseconds, rows[900].unix_microseconds, fingerprint, [&](const predictor::Observation& o) {
      seen.push_back(fmt::format("{} {} {} {} {} {}", o.unix_us, o.application, o.fingerprint, o.ms, o.estimate_high_ms, o.rows));
    }, &error));
    return seen;
  };
  CHECK(window(*embedded, "") == window(*fleet, ""));
  CHECK(window(*fleet, "").size() >= 800);
  CHECK(window(*embedded, rows[0].fingerprint) == window(*fleet, rows[0].fingerprint));
  CHECK(!window(*fleet, rows[0].fingerprint).empty());
  const auto outcomes = [&](const FeedbackStore& store) {
    std::vector<std::string> seen;
    CHECK(store.read_outcomes(rows[100].unix_microseconds, rows[900].unix_microseconds, [&](const predictor::Outcome& o) {
      double sum = 0;
      for (const float value : o.features) sum += std::isnan(value) ? 0.5 : value;
      seen.push_back(fmt::format("{} {} {} {} {} {} {} {} {} {} {} {} {}", o.unix_us, o.fingerprint, o.source, o.sqlstate, o.estimate_source,
                                 o.model_version, o.censored, o.server_ms, o.estimate_ms, o.estimate_low_ms, o.estimate_high_ms, o.features.size(), sum));
    }, &error));
    return seen;
  };
  CHECK(outcomes(*embedded) == outcomes(*fleet));
  CHECK(outcomes(*fleet).size() >= 800);
  const auto here = embedded->read_span(&error), there = fleet->read_span(&error);
  CHECK((here.rows == there.rows && here.first_us == there.first_us && here.last_us == there.last_us));
  const auto texts = embedded->read_statements(&error), shared = fleet->read_statements(&error);
  REQUIRE(texts.size() == shared.size());
  for (const auto& [fingerprint, text] : texts)
    CHECK((shared.at(fingerprint).kind == text.kind && shared.at(fingerprint).normalized == text.normalized));

  // Byte for byte the same trees.
  const auto model = [&](const predictor::FeedbackReader& reader) {
    const ScratchDir state;
    auto options = predictor::quick(state.path(), 20);
    options.feedback = reader;
    const auto result = predictor::train(options);
    CHECK_MESSAGE(result.registered, result.message);
    std::string files;
    for (const auto& file : std::filesystem::directory_iterator(result.directory)) {
      if (file.path().extension() != ".ubj" && file.path().filename().string().find("model") == std::string::npos) continue;
      std::ifstream in(file.path(), std::ios::binary);
      files += std::string(std::istreambuf_iterator<char>(in), {});
    }
    return files;
  };
  const auto from_file = model(predictor::embedded_feedback(dir.path()));
  const auto from_server =
      model([&](std::uint64_t schema, const auto& row, std::string* why) { return open_fleet(database.name(), true)->read(schema, row, why); });
  CHECK(from_file.size() > 1000);
  CHECK(from_file == from_server);
}

TEST_CASE("the embedded store's own case: time order, count, compaction, reopening, a reader beside the writer") {
  if (!server_here()) return;
  const Database database("fleet_case");
  std::string error;
  auto rows = synthetic_feedback({.rows = 500, .templates = 20});
  rows[0].unix_microseconds += 10'000'000'000;  // spooled: written first, happened last
  {
    const auto store = open_fleet(database.name());
    REQUIRE_MESSAGE(store->append(rows, &error), error);
    const auto reader = open_fleet(database.name(), true);
    CHECK(reader->count() == 500);
    CHECK(!reader->append(rows, &error));
    CHECK(!reader->compact(1, &error));
    CHECK(error.find("read-only") != std::string::npos);
    REQUIRE_MESSAGE(store->compact(100, &error), error);
    CHECK(store->count() == 100);
    REQUIRE(store->compact(100, &error));
    REQUIRE(store->compact(101, &error));
    CHECK(store->count() == 100);
  }
  const auto store = open_fleet(database.name());
  const auto left = all(*store);
  REQUIRE(left.size() == 100);
  CHECK(std::is_sorted(left.begin(), left.end(), [](const auto& a, const auto& b) { return a.unix_microseconds < b.unix_microseconds; }));
  CHECK(left.back().unix_microseconds == rows[0].unix_microseconds);  // the oldest went, not the first written
  for (const auto& row : left) CHECK(!row.normalized.empty());
  REQUIRE(store->compact(0, &error));
  CHECK(store->count() == 0);
  CHECK(store->read_statements(&error).empty());  // a text goes with its last row
}

TEST_CASE("what a text of the server cannot hold is replaced, and the batch is not lost") {
  if (!server_here()) return;
  CHECK(server_text(std::string("zero\0byte", 9)) == "zero\uFFFDbyte");
  for (const char* bad :
       {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe4\xbc", "\x80", "\xf8\x88\x80\x80\x80", "\xe0\x80\xaf", "\xf0\x80\x80\xaf"}) {
    const auto text = server_text(std::string("a") + bad);
    CHECK(text.starts_with("a\uFFFD"));
  }
  const Database database("fleet_texts");
  std::vector<Feedback> rows;
  for (int i = 1; i < 256; ++i) {  // each byte alone, and before another
    Feedback f = synthetic_feedback({.rows = 1})[0];
    f.application = std::string("a") + static_cast<char>(i) + "z";
    f.user = std::string(1, static_cast<char>(i));
    f.normalized = f.fingerprint = fmt::format("{}-", i) + static_cast<char>(i);
    rows.push_back(f);
  }
  rows[0].application = std::string("zero\0byte", 9);
  const auto store = open_fleet(database.name());
  std::string error;
  REQUIRE_MESSAGE(store->append(rows, &error), error);
  const auto read = all(*store);
  REQUIRE(read.size() == rows.size());
  CHECK(read[0].application == "zero\uFFFDbyte");
  CHECK(read[9].application == "a\nz");
  CHECK(read[254].application == "a\uFFFDz");
  for (std::size_t i = 0; i < 127; ++i) CHECK(read[i].normalized == rows[i].normalized);
  const auto latin = connect()->run("CREATE DATABASE fleet_latin ENCODING LATIN1 TEMPLATE template0 LOCALE 'C'");
  REQUIRE_MESSAGE(latin.ok(), latin.message());
  CHECK(refusal("fleet_latin").find("encoding LATIN1, expected UTF8") != std::string::npos);
  execute("DROP DATABASE fleet_latin");
}

TEST_CASE("what is not ours is refused and left as it is") {
  if (!server_here()) return;
  const Database database("fleet_foreign");
  SUBCASE("nothing there to read") {
    CHECK(refusal(database.name(), true).find("nothing was recorded yet") != std::string::npos);
    CHECK(value(database.name(), "SELECT count(*) FROM pg_namespace WHERE nspname = 'pgsteer'") == "0");
  }
  SUBCASE("somebody else's tables") {
    database.run("CREATE SCHEMA pgsteer; CREATE TABLE pgsteer.feedback(recipe text); INSERT INTO pgsteer.feedback VALUES ('soup')");
    for (const bool read_only : {false, true}) CHECK(refusal(database.name(), read_only).find("somebody else's tables") != std::string::npos);
    CHECK(value(database.name(), "SELECT recipe FROM pgsteer.feedback") == "soup");
    CHECK(value(database.name(), "SELECT count(*) FROM pg_class WHERE relnamespace = 'pgsteer'::regnamespace") == "1");
  }
  SUBCASE("a newer version") {
    open_fleet(database.name());
    database.run("UPDATE pgsteer.store_version SET version = 99; ALTER TABLE pgsteer.feedback RENAME COLUMN reason TO whatever");
    for (const bool read_only : {false, true})
      CHECK(refusal(database.name(), read_only).find("schema version 99, this build knows 2; it is left as it is") != std::string::npos);
    CHECK(value(database.name(), "SELECT version FROM pgsteer.store_version") == "99");
    CHECK(value(database.name(), "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'pgsteer' AND column_name = 'whatever'") ==
          "1");
  }
  SUBCASE("no version, or two") {
    open_fleet(database.name());
    database.run("INSERT INTO pgsteer.store_version VALUES (2)");
    CHECK(refusal(database.name()).find("2 rows in store_version") != std::string::npos);
  }
  SUBCASE("an older version is brought up to date, rows and all") {
    std::string error;
    REQUIRE(open_fleet(database.name())->append(synthetic_feedback({.rows = 10}), &error));
    database.run("ALTER TABLE pgsteer.feedback DROP COLUMN trace_id; UPDATE pgsteer.store_version SET version = 1");
    CHECK(all(*open_fleet(database.name(), true)).size() == 10);  // a reader changes nothing
    CHECK(value(database.name(), "SELECT version FROM pgsteer.store_version") == "1");
    const auto store = open_fleet(database.name());
    CHECK(value(database.name(), "SELECT version FROM pgsteer.store_version") == "2");
    REQUIRE_MESSAGE(store->append(synthetic_feedback({.rows = 10}), &error), error);
    CHECK(all(*store).size() == 20);
  }
  SUBCASE("a schema made ready by somebody who may") {
    connect()->run("CREATE ROLE fleet_writer LOGIN; CREATE ROLE fleet_reader LOGIN");
    const auto open = [&](const char* user, bool read_only, std::string* error) {
      return open_fleet_store({postgres().url(database.name(), user), "one:1", read_only, {}}, error);
    };
    std::string error;
    CHECK_FALSE(open("fleet_writer", false, &error));
    CHECK(error.find("permission denied for database") != std::string::npos);
    database.run("CREATE SCHEMA pgsteer AUTHORIZATION fleet_writer");
    const auto store = open("fleet_writer", false, &error);
    REQUIRE_MESSAGE(store, error);
    CHECK(store->append(synthetic_feedback({.rows = 10}), &error));
    CHECK_FALSE(open("fleet_reader", true, &error));
    CHECK(error.find("permission denied for schema pgsteer") != std::string::npos);
    database.run("GRANT USAGE ON SCHEMA pgsteer TO fleet_reader; GRANT SELECT ON ALL TABLES IN SCHEMA pgsteer TO fleet_reader");
    const auto reader = open("fleet_reader", true, &error);
    REQUIRE_MESSAGE(reader, error);
    CHECK(all(*reader).size() == 10);
    database.run("GRANT INSERT, DELETE ON pgsteer.feedback, pgsteer.statements TO fleet_reader");  // as the manual says: no more is needed to write
    const auto second = open("fleet_reader", false, &error);
    REQUIRE_MESSAGE(second, error);
    CHECK_MESSAGE(second->append(synthetic_feedback({.rows = 10}), &error), error);
    CHECK_MESSAGE(second->compact(5, &error), error);
    CHECK(second->count() == 5);
    database.run("DROP OWNED BY fleet_writer, fleet_reader CASCADE");
    connect()->run("DROP ROLE fleet_writer; DROP ROLE fleet_reader");
  }
}

TEST_CASE("many come at once: one makes the tables, all write and one keeps the limit") {
  if (!server_here()) return;
  const Database database("fleet_crowd");
  constexpr int processes = 8, batches = 6;
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  std::string errors[processes];
  for (int n = 0; n < processes; ++n)
    threads.emplace_back([&, n] {
      std::string& error = errors[n];
      const auto store = open_fleet_store({postgres().url(database.name()), fmt::format("host:{}", n), false, {}}, &error);
      if (!store) {
        ++failures;
        return;
      }
      for (int batch = 0; batch < batches; ++batch) {
        auto rows = synthetic_feedback({.rows = 300, .templates = 200, .seed = static_cast<std::uint64_t>(batch + 1)});
        if (n % 2) std::reverse(rows.begin(), rows.end());  // the same new texts, the other way round
        if (!store->append(rows, &error)) ++failures;
        if (batch % 2 && !store->compact(2000, &error)) ++failures;
      }
    });
  for (auto& thread : threads) thread.join();
  for (const auto& error : errors) CHECK(error == "");
  CHECK(failures == 0);
  const auto store = open_fleet(database.name());
  std::string error;
  REQUIRE(store->compact(2000, &error));
  CHECK(store->count() == 2000);
  for (const auto& row : all(*store)) CHECK(!row.normalized.empty());  // no text went while somebody wrote a row of it
  CHECK(value(database.name(), "SELECT count(DISTINCT instance) FROM pgsteer.feedback") != "0");
  CHECK(value(database.name(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgsteer feedback store'") != "0");
}

TEST_CASE("two that bring the same new texts in opposite order do not wait for each other for ever") {
  if (!server_here()) return;
  const Database database("fleet_order");
  open_fleet(database.name());
  for (int round = 0; round < 4; ++round) {
    std::vector<Feedback> rows(3000, synthetic_feedback({.rows = 1})[0]);
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i].fingerprint = fmt::format("{}-{:04}", round, i);
    std::string errors[2];
    std::vector<std::thread> threads;
    for (std::string& error : errors) {
      threads.emplace_back([&error, rows, name = database.name()] {
        const auto store = open_fleet_store({postgres().url(name), "", false, {}}, &error);
        if (store) store->append(rows, &error);
      });
      std::reverse(rows.begin(), rows.end());
    }
    for (auto& thread : threads) thread.join();
    CHECK(errors[0] == "");
    CHECK(errors[1] == "");
  }
}

TEST_CASE("a text is not deleted while a row of it is being written") {
  if (!server_here()) return;
  const Database database("fleet_text_race");
  std::string error;
  const auto store = open_fleet(database.name());
  const auto rows = synthetic_feedback({.rows = 200, .templates = 20});
  std::atomic<bool> stop{false};
  std::thread compactor([&] {
    const auto other = open_fleet_store({postgres().url(database.name()), "two:2", false, {}}, &error);
    while (other && !stop) other->compact(0, nullptr);
  });
  std::string why;
  const auto watcher = connect(database.name());
  for (int i = 0; i < 60; ++i) {
    CHECK_MESSAGE(store->append(rows, &why), why);
    const auto orphans = watcher->run(
        "SELECT count(*) FROM pgsteer.feedback f WHERE NOT EXISTS (SELECT FROM pgsteer.statements s WHERE s.fingerprint = f.fingerprint)");
    CHECK(orphans.text(0, 0) == "0");
  }
  stop = true;
  compactor.join();
}

TEST_CASE("nothing waits for ever: a wrong password, nobody there, a server that is stopped") {
  if (!server_here()) return;
  std::string error;
  const auto took = [](auto&& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::steady_clock::now() - start;
  };
  CHECK_FALSE(open_fleet_store({"postgresql://u:sekrit@127.0.0.1:" + std::to_string(free_port()) + "/d", "", false, {}}, &error));
  CHECK(error.find("refused") != std::string::npos);
  CHECK(error.find("sekrit") == std::string::npos);
  CHECK_FALSE(open_fleet_store({"postgresql://u:sekrit@host:70000x/?nonsense=1", "", false, {}}, &error));
  CHECK(error.find("expected postgresql://") != std::string::npos);
  CHECK(error.find("sekrit") == std::string::npos);

  Postgres own;
  const auto url = own.url();
  std::atomic<bool> stopping{false};
  const auto store = open_fleet_store({url, "one:1", false, [&] { return stopping.load(); }}, &error);
  REQUIRE_MESSAGE(store, error);
  const auto rows = synthetic_feedback({.rows = 100});
  REQUIRE(store->append(rows, &error));
  const auto backend = [&] {  // that of the store: asked on a connection that has ended by then
    std::string why;
    auto connection =
        proxy::learning::Connection::open({{"host", "127.0.0.1"}, {"port", std::to_string(own.port())}, {"user", "postgres"}, {"dbname", "postgres"}},
                                          std::chrono::seconds(5), {}, &why);
    REQUIRE_MESSAGE(connection, why);
    return std::stoi(std::string(connection->run("SELECT pid FROM pg_stat_activity WHERE application_name = 'pgsteer feedback store'").text(0, 0)));
  }();
  REQUIRE(::kill(backend, SIGSTOP) == 0);
  std::thread shutdown([&] {
    std::this_thread::sleep_for(milliseconds(300));
    stopping = true;
  });
  const auto time = took([&] {
#ifdef __SANITIZE_ADDRESS__
    const __lsan::ScopedDisabler known;  // libpqxx 6.4 loses the result (2 kB) of a statement whose connection ends under it
#endif
    CHECK_FALSE(store->append(rows, &error));
  });
  shutdown.join();
  ::kill(backend, SIGCONT);
  CHECK(time < std::chrono::milliseconds(2500));
  CHECK(time > std::chrono::milliseconds(900));
}

TEST_CASE("the writer spools while the server is away, and comes back by itself") {
  if (!server_here()) return;
  Postgres own;
  const auto url = own.url();
  StoreWriter writer([&](std::string* error) { return open_fleet_store({url, "one:1", false, {}}, error); }, true);
  own.stop();
  writer.flush(100000);
  CHECK_FALSE(writer.state().error.empty());  // told before there was a row
  CHECK(writer.idle());
  own.start();
  const auto rows = synthetic_feedback({.rows = 500});
  writer.add(rows);
  writer.flush(100000, true);
  CHECK(writer.state().error == "");
  CHECK(writer.state().stored == 500);
  own.kill_hard();
  for (int i = 0; i < 3; ++i) {
    writer.add(rows);
    writer.flush(100000, true);
    CHECK_FALSE(writer.state().error.empty());
    if (i == 0) CHECK(writer.state().error.find("the server has closed the connection") != std::string::npos);
  }
  CHECK(writer.state().spooled == 1500);
  own.start();
  writer.flush(100000, true);
  CHECK(writer.state().error == "");
  CHECK(writer.state().spooled == 0);
  CHECK(writer.state().dropped == 0);
  CHECK(writer.state().stored == 2000);
  // A lower limit holds as soon as the store is opened anew.
  StoreWriter next([&](std::string* error) { return open_fleet_store({url, "one:1", false, {}}, error); }, true);
  next.flush(1000);
  CHECK(next.state().rows == 1000);
}

TEST_CASE("the URL: what is one, and what is shown of it") {
  std::string error;
  CHECK(parse_store_url("postgresql://u:p@h:5433/d?sslmode=require", &error));
  CHECK(parse_store_url("postgres://h", &error));
  for (const char* bad : {"", "host=h dbname=d", "mysql://h/d", "postgresql://u:sekrit@h:x:y/d?unknown=1", "postgresql://u:sekrit@[::1/d",
                          "postgresql://u@h/d?password=sekrit&nonsense=1"}) {
    CAPTURE(std::string(bad));
    CHECK_FALSE(parse_store_url(bad, &error));
    CHECK(error.find("sekrit") == std::string::npos);
  }
}

TEST_CASE("what both stores take: rows a second" * doctest::skip(std::getenv("PGSTEER_STORE_SPEED") == nullptr)) {
  if (!server_here()) return;
  const Database database("fleet_speed");
  const ScratchDir dir;
  std::string error;
  const auto embedded = FeedbackStore::open(dir.path(), false, &error);
  const auto fleet = open_fleet(database.name());
  const auto rows = synthetic_feedback({.rows = 20000, .templates = 500});
  for (FeedbackStore* store : {embedded.get(), fleet.get()})
    for (const std::size_t size : {std::size_t{200}, rows.size()}) {
      const auto start = std::chrono::steady_clock::now();
      for (std::size_t at = 0; at < rows.size(); at += size)
        REQUIRE_MESSAGE(
            store->append({rows.begin() + static_cast<std::ptrdiff_t>(at), rows.begin() + static_cast<std::ptrdiff_t>(at + size)}, &error), error);
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      std::string line =
          fmt::format("{}: append in batches of {}: {:.0f} rows/s", store == fleet.get() ? "fleet" : "embedded", size, double(rows.size()) / seconds);
      if (size == rows.size()) {
        REQUIRE(store->compact(20000, &error));
        const auto begin = std::chrono::steady_clock::now();
        CHECK(all(*store).size() == 20000);
        line += fmt::format("; read of 20000: {:.2f} s", std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
      }
      MESSAGE(line);
    }
}
