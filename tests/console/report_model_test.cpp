// pgsteer report model: what its page says of stores made by hand, and that nothing in a store can act in it.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include <sqlite3.h>

#include "proxy/cli/report_charts.hpp"
#include "tests/predictor/synthetic.hpp"
#include "tests/predictor/training.hpp"
#include "tests/support/servers.hpp"

using namespace pgsteer;
using pgsteer::test::run_command;

namespace {

test::CommandResult report(const std::string& state, const std::string& arguments = {}) {
  return run_command(std::string(PGSTEER_BINARY_DIR "/pgsteer report model --state-dir ") + state + " " + arguments + " 2>&1", 60);
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++n;
  return n;
}
bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string cells(std::initializer_list<const char*> values) {
  std::string out;
  for (const char* value : values) out += std::string("<td class=\"right\">") + value + "</td>";
  return out;
}

bool program_is_built() {
  if (std::filesystem::exists(PGSTEER_BINARY_DIR "/pgsteer")) return true;
  MESSAGE("SKIPPED: the program is not built");
  CHECK_MESSAGE(std::getenv("CI") == nullptr, "in CI it must be");
  return false;
}

/// Ten executions of now: predicted at 20 ms between 15 and 40, taking 10.
std::vector<predictor::Feedback> ten() {
  auto rows = test::synthetic_feedback({.rows = 10, .templates = 1, .start_us = (std::int64_t(std::time(nullptr)) - 60) * 1000000});
  for (auto& f : rows) {
    f.estimate_ms = 20, f.estimate_low_ms = 15, f.estimate_high_ms = 40;
    f.server_ms = 10;
    f.estimate_source = "cold_start";
  }
  return rows;
}

}  // namespace

TEST_CASE("the page: figures of a store made by hand, without a model") {
  if (!program_is_built()) return;
  test::ScratchDir dir;
  predictor::store_rows(dir.path(), ten());
  const auto page = report(dir.path());
  CAPTURE(page.output);
  REQUIRE(page.exit_code == 0);
  CHECK(contains(page.output, "<!doctype html>"));
  CHECK(contains(page.output, "No model is in use"));
  CHECK(contains(page.output, "<td>no model: cold start</td>" + cells({"10", "2.00", "2.00", "too few", "0.0 %", "none", "10 ms", "10 ms", "2.00"})));
  CHECK(contains(page.output, "<td>all</td>" + cells({"10", "0.0 %", "100.0 %", "0.0 %", "2.67 times"})));  // all faster than said
  CHECK(contains(page.output, cells({"2.00", "2.00", "10", "10 ms", "0.0 %"})));                            // the worst statement
  CHECK(!contains(page.output, "What its estimates rest on"));
  CHECK(count(page.output, "<svg") == 4);
  for (const char* part : {"http://", "https://", "src=", "href=", "url(", "@import"}) CHECK_MESSAGE(!contains(page.output, part), part);
  CHECK(contains(report(dir.path(), "--format markdown").output, "| no model: cold start | 10 | 2.00 |"));
}

TEST_CASE("the page: nothing in a store can act in it") {
  if (!program_is_built()) return;
  test::ScratchDir dir;
  auto rows = ten();
  for (auto& f : rows) {
    f.user = f.database = f.normalized = "<script>alert(1)</script>";
    f.fingerprint = "\"><script>2";
    f.estimate_source = "model";
    f.model_version = "<script>3</script>";
    f.kind = "<b>";
  }
  predictor::store_rows(dir.path(), rows);
  std::ofstream(dir.path() + "/audit.log") << "2026-11-21T08:14:43Z event=model label=<script>4 why=\"<script>5</script>\"\n";
  std::ofstream(dir.path() + "/train.log") << "not registered: <script>6\n";
  const auto page = report(dir.path());
  REQUIRE(page.exit_code == 0);
  CAPTURE(page.output);
  CHECK(!contains(page.output, "<script"));
  CHECK(contains(page.output, "<code>&lt;script&gt;alert(1)&lt;/script&gt;</code>"));
  CHECK(count(page.output, "&lt;script&gt;3") >= 4);  // table and pictures
  CHECK(contains(page.output, "&lt;script&gt;5"));
  CHECK(contains(page.output, "&lt;script&gt;6"));
}

TEST_CASE("the page: a model in use, one that was refused, what features weigh") {
  if (!program_is_built()) return;
  test::ScratchDir dir;
  const auto now = std::int64_t(std::time(nullptr)) * 1000000;
  predictor::store_rows(dir.path(), test::synthetic_feedback({.rows = 1500, .start_us = now - 3600 * std::int64_t{1000000}}));
  const auto made = predictor::train(predictor::quick(dir.path()));
  REQUIRE_MESSAGE(made.registered, made.message);
  auto rows = test::synthetic_feedback({.rows = 40, .start_us = now - 1800 * std::int64_t{1000000}});
  for (auto& f : rows) {
    f.estimate_ms = f.server_ms * 1.5, f.estimate_low_ms = f.server_ms / 2, f.estimate_high_ms = f.server_ms * 2;
    f.estimate_source = "model", f.model_version = "v0001";
  }
  predictor::store_rows(dir.path(), rows);
  auto page = report(dir.path());
  REQUIRE(page.exit_code == 0);
  CAPTURE(page.output);
  CHECK(contains(page.output, "<td>v0001</td><td>in use</td><td>none</td><td class=\"right\">1500</td>"));
  CHECK(contains(page.output, "<td>model v0001, in use</td>" + cells({"40", "1.50", "1.50", "too few", "100.0 %"})));
  CHECK(contains(page.output, "left out: without an estimate</td><td class=\"right\">1500</td>"));
  CHECK(contains(page.output, "What its estimates rest on"));
  CHECK(contains(page.output, "over 40 judged executions"));
  CHECK(contains(page.output, "<code>history_near"));
  // Cut short: the page still says all it can.
  std::filesystem::resize_file(made.directory + "/model.ubj", 100);
  page = report(dir.path());
  CHECK(page.exit_code == 0);
  CHECK(contains(page.output, "cannot be loaded"));
  std::ofstream(made.directory + "/metrics.json") << "{\"seen\": 5, \"compared_with\": [], \"importance\": {\"a\": 1}";
  std::ofstream(made.directory + "/meta.json") << "[]";
  page = report(dir.path());
  CHECK(page.exit_code == 0);
  CHECK(contains(page.output, "in use, damaged: meta.json: not a JSON object"));
}

TEST_CASE("the page: empty windows and stores, and what cannot be read or written") {
  if (!program_is_built()) return;
  test::ScratchDir dir;
  std::string error;
  SUBCASE("nothing recorded yet") {
    REQUIRE(predictor::FeedbackStore::open(dir.path(), false, &error));
    const auto page = report(dir.path());
    CHECK(page.exit_code == 0);
    CHECK(contains(page.output, "Nothing was recorded yet."));
  }
  SUBCASE("nothing in the window") {
    predictor::store_rows(dir.path(), test::synthetic_feedback({.rows = 3}));  // of 2023
    const auto page = report(dir.path());
    CHECK(page.exit_code == 0);
    CHECK(contains(page.output, "The store has 3 executions from 2023-11-14"));
    CHECK(contains(report(dir.path(), "--since all").output, "left out: without an estimate</td><td class=\"right\">3</td>"));
  }
  SUBCASE("all cancelled") {
    auto rows = ten();
    for (auto& f : rows) f.censored = true, f.sqlstate = "57014", f.source = "error";
    predictor::store_rows(dir.path(), rows);
    const auto page = report(dir.path());
    CHECK(page.exit_code == 0);
    CHECK(contains(page.output, "(the time is only a lower bound)</td><td class=\"right\">10</td>"));
    CHECK(contains(page.output, "there is nothing to judge by"));
  }
  SUBCASE("no store") {
    const auto page = report(dir.path() + "/none");
    CHECK(page.exit_code == 1);
    CHECK(contains(page.output, "no feedback store: "));
  }
  SUBCASE("a store of another version") {
    predictor::store_rows(dir.path(), ten());
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open((dir.path() + "/feedback.db").c_str(), &db) == SQLITE_OK);
    REQUIRE(sqlite3_exec(db, "PRAGMA user_version = 99", nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(db);
    const auto page = report(dir.path());
    CHECK(page.exit_code == 1);
    CHECK(contains(page.output, "feedback.db: schema version 99, this build knows 2"));
  }
  SUBCASE("a file that is no store") {
    std::ofstream(dir.path() + "/feedback.db") << std::string(5000, 'x');
    const auto page = report(dir.path());
    CHECK(page.exit_code == 1);
    CHECK(contains(page.output, "feedback.db: "));
  }
  SUBCASE("wrong times, and a file that cannot be written") {
    predictor::store_rows(dir.path(), ten());
    CHECK(report(dir.path(), "--since yesterday").exit_code == 64);
    CHECK(report(dir.path(), "--since now --until 7d").exit_code == 64);
    const auto page = report(dir.path(), "--output " + dir.path() + "/no/such/page.html");
    CHECK(page.exit_code == 1);
    CHECK(contains(page.output, "cannot write"));
    CHECK(contains(page.output, "No such file or directory"));
    CHECK(contains(report(dir.path(), "--output " + dir.path() + "/page.html").output, "page.html: 10 executions, 10 of them judged"));
  }
}

TEST_CASE("pictures: their size is that of the cells, labels are escaped") {
  using namespace proxy::cli;
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal;
  std::vector<std::pair<double, double>> pairs;
  for (int i = 0; i < 200'000; ++i) {
    const double actual = std::exp(3 * normal(random));
    pairs.emplace_back(actual, actual * std::exp(normal(random)));
  }
  CHECK(scatter_chart(pairs, "x").size() < 150'000);
  CHECK(contains(scatter_chart({}, "<a>&\""), "aria-label=\"&lt;a&gt;&amp;&quot;\""));
  // One cell, of the darkest shade, on the diagonal.
  const std::pair<double, double> one[] = {{10, 10}};
  CHECK(count(scatter_chart(one, "x"), "class=\"mark\"") == 1);
  CHECK(contains(scatter_chart(one, "x"), "fill-opacity=\"1.00\""));
  TimeChart chart;
  chart.to_us = 100, chart.step_us = 10;
  chart.series = {{"<s>", {{5, 1.5}, {15, 2}, {45, 3}}}};
  chart.marks = {{20, "<m>"}};
  const auto svg = time_chart(chart);
  CHECK(contains(svg, "&lt;s&gt;"));
  CHECK(contains(svg, "&lt;m&gt;"));
  CHECK(!contains(svg, "<s>"));
  const auto path = svg.substr(svg.find("mark-line"), 80);
  CHECK(count(path.substr(0, path.find("/>")), "M") == 2);  // a gap between 15 and 45 is not bridged
  chart.series.clear();
  CHECK(contains(time_chart(chart), "</svg>"));
}
