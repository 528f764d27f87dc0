#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "synthetic.hpp"

using namespace pgsteer;
using namespace pgsteer::predictor;

namespace {

std::string content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

void run_sql(const std::string& path, const char* text) {
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
  REQUIRE(sqlite3_exec(db, text, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(db);
}

/// Runs in a child process (limits and users are changed); its exit code.
template <class Function>
int in_child(Function&& function) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(function());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

TEST_CASE("a batch comes back as it was") {
  test::ScratchDir dir;
  std::string error;
  auto store = FeedbackStore::open(dir.path() + "/new/state", false, &error);
  REQUIRE_MESSAGE(store, error);
  Feedback f = test::synthetic_feedback({.rows = 1})[0];
  f.application = std::string("zero\0byte", 9);
  f.candidates = {"as-is", "arm:\"x\"\n"};
  f.estimate_ms = 1.5;
  f.estimate_low_ms = 0.5;
  f.estimate_high_ms = 4.5;
  f.estimate_source = "history";
  f.model_version = "v0001";
  f.policy_rule = "r";
  f.reason = "why";
  f.probability = 0.25;
  f.proxy_us = 12;
  f.sqlstate = "57014";
  f.censored = true;
  f.feature_schema = 0xFFFFFFFFFFFFFFF0ull;  // above what a signed column shows
  REQUIRE(store->append({f}, &error));
  std::vector<Feedback> rows;
  REQUIRE(store->read(f.feature_schema, [&](const Feedback& row) { rows.push_back(row); }, &error));
  REQUIRE(rows.size() == 1);
  const Feedback& r = rows[0];
  CHECK(r.unix_microseconds == f.unix_microseconds);
  CHECK(r.application == f.application);
  CHECK(r.candidates == f.candidates);
  CHECK(r.feature_schema == f.feature_schema);
  CHECK(r.features.size() == f.features.size());
  CHECK(std::equal(r.features.begin(), r.features.end(), f.features.begin(), [](float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); }));
  CHECK(r.server_ms == f.server_ms);
  CHECK(r.probability == f.probability);
  CHECK(r.estimate_high_ms == f.estimate_high_ms);
  CHECK(r.sqlstate == f.sqlstate);
  CHECK(r.censored);
  CHECK(r.plan_cost == f.plan_cost);
  CHECK(r.kind == "select");
  CHECK(r.normalized == f.normalized);
  CHECK(r.reason == "why");
  int foreign = 0;
  REQUIRE(store->read(1, [&](const Feedback&) { ++foreign; }, &error));
  CHECK(foreign == 0);
}

TEST_CASE("time order, count, compaction, reopening, a reader beside the writer") {
  test::ScratchDir dir;
  std::string error;
  auto rows = test::synthetic_feedback({.rows = 500, .templates = 20});
  rows[0].unix_microseconds += 10'000'000'000;  // spooled: written first, happened last
  {
    auto store = FeedbackStore::open(dir.path(), false, &error);
    REQUIRE(store);
    REQUIRE(store->append(rows, &error));
    REQUIRE(store->append({}, &error));
    CHECK(store->count() == 500);
    auto reader = FeedbackStore::open(dir.path(), true, &error);
    REQUIRE_MESSAGE(reader, error);
    CHECK(reader->count() == 500);
    CHECK(!reader->append(rows, &error));
    CHECK(error.find("read-only") != std::string::npos);
    REQUIRE(store->compact(100, &error));
    CHECK(store->count() == 100);
    REQUIRE(store->compact(100, &error));
  }
  auto store = FeedbackStore::open(dir.path(), false, &error);
  REQUIRE(store);
  std::int64_t last = 0;
  int n = 0;
  bool found_spooled = false;
  REQUIRE(store->read(feature_schema(), [&](const Feedback& f) {
    CHECK(f.unix_microseconds >= last);
    last = f.unix_microseconds;
    found_spooled = found_spooled || f.unix_microseconds == rows[0].unix_microseconds;
    CHECK(!f.normalized.empty());
    ++n;
  }, &error));
  CHECK(n == 100);
  CHECK(found_spooled);  // the oldest went, not the first written
}

TEST_CASE("what is not ours is refused and left as it is") {
  std::string error;
  SUBCASE("garbage") {
    test::ScratchDir dir;
    const std::string path = dir.path() + "/feedback.db";
    std::ofstream(path) << std::string(5000, 'x');
    const std::string before = content(path);
    CHECK(!FeedbackStore::open(dir.path(), false, &error));
    CHECK(error.find("not a database") != std::string::npos);
    CHECK(content(path) == before);
  }
  SUBCASE("a newer version") {
    test::ScratchDir dir;
    const std::string path = dir.path() + "/feedback.db";
    run_sql(path, "CREATE TABLE feedback(x); INSERT INTO feedback VALUES(1); PRAGMA user_version = 99");
    const std::string before = content(path);
    CHECK(!FeedbackStore::open(dir.path(), false, &error));
    CHECK(error.find("version 99, this build knows 2") != std::string::npos);
    CHECK(content(path) == before);
  }
  SUBCASE("somebody else's database without a version") {
    test::ScratchDir dir;
    const std::string path = dir.path() + "/feedback.db";
    run_sql(path, "CREATE TABLE recipes(x)");
    const std::string before = content(path);
    CHECK(!FeedbackStore::open(dir.path(), false, &error));
    CHECK(content(path) == before);
  }
  SUBCASE("a cut file") {
    test::ScratchDir dir;
    REQUIRE(FeedbackStore::open(dir.path(), false, &error)->append(test::synthetic_feedback({.rows = 300}), &error));
    const std::string path = dir.path() + "/feedback.db";
    std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
    const auto store = FeedbackStore::open(dir.path(), false, &error);
    if (store) CHECK(!store->read(feature_schema(), [](const Feedback&) {}, &error));
    CHECK(!error.empty());
  }
  SUBCASE("nothing there to read") {
    test::ScratchDir dir;
    CHECK(!FeedbackStore::open(dir.path(), true, &error));
    CHECK(!error.empty());
    CHECK(std::filesystem::is_empty(dir.path()));
  }
}

TEST_CASE("a directory that cannot be written") {
  test::ScratchDir dir;
  ::chmod(dir.path().c_str(), 0555);
  const int code = in_child([&] {
    if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) return 3;
    std::string error;
    if (FeedbackStore::open(dir.path(), false, &error)) return 1;
    return error.find("unable to open") != std::string::npos ? 0 : 2;
  });
  ::chmod(dir.path().c_str(), 0755);
  CHECK(code == 0);
}

TEST_CASE("a full disk fails the batch as a whole, with the reason, and the store goes on") {
  test::ScratchDir dir;
  std::string error;
  auto rows = test::synthetic_feedback({.rows = 200});
  REQUIRE(FeedbackStore::open(dir.path(), false, &error)->append(rows, &error));
  const int code = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    std::string reason;
    auto store = FeedbackStore::open(dir.path(), false, &reason);
    if (!store) return 1;
    // The file-size limit stands for the full disk: the log cannot grow past it.
    const rlimit small{64 * 1024, RLIM_INFINITY};
    if (::setrlimit(RLIMIT_FSIZE, &small) != 0) return 2;
    if (store->append(test::synthetic_feedback({.rows = 3000}), &reason)) return 3;
    if (reason.find("full") == std::string::npos && reason.find("I/O") == std::string::npos) return 4;
    const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &none);
    if (store->count() != 200) return 5;
    return store->append(rows, &reason) && store->count() == 400 ? 0 : 6;
  });
  CHECK(code == 0);
}

TEST_CASE("kill -9 while writing loses no committed batch") {
  test::ScratchDir dir;
  std::string error;
  int pipe_ends[2];
  REQUIRE(::pipe(pipe_ends) == 0);
  const auto rows = test::synthetic_feedback({.rows = 50});
  const pid_t child = ::fork();
  if (child == 0) {
    std::string reason;
    auto store = FeedbackStore::open(dir.path(), false, &reason);
    for (;;) {
      if (!store || !store->append(rows, &reason)) ::_exit(1);
      const char done = 1;
      if (::write(pipe_ends[1], &done, 1) != 1) ::_exit(1);
    }
  }
  ::close(pipe_ends[1]);
  char byte = 0;
  std::int64_t batches = 0;
  while (batches < 20 && ::read(pipe_ends[0], &byte, 1) == 1) ++batches;
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  while (::read(pipe_ends[0], &byte, 1) == 1) ++batches;
  ::close(pipe_ends[0]);
  auto store = FeedbackStore::open(dir.path(), false, &error);
  REQUIRE_MESSAGE(store, error);
  CHECK(store->count() >= batches * 50);
  CHECK(store->count() % 50 == 0);
}
