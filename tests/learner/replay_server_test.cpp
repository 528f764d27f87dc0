// Features are the same wherever they are made: what was stored is replayed from the store, the texts and a catalog of its own.
#include <cmath>
#include <ctime>
#include <map>

#include <fmt/format.h>

#include "predictor/feedback.hpp"
#include "predictor/time_of_week.hpp"
#include "proxy/learner/catalog_loader.hpp"
#include "proxy/learner/explore_feedback.hpp"
#include "tests/learner/fixture.hpp"

using namespace pgsteer;
using namespace pgsteer::test;

namespace {

constexpr const char* kTables = R"(
CREATE TABLE customers (id int PRIMARY KEY, region int, name text);
INSERT INTO customers SELECT i, i % 7, 'n' || i FROM generate_series(1, 2000) i;
CREATE TABLE orders (id int PRIMARY KEY, customer int, total numeric);
INSERT INTO orders SELECT i, i % 2000, i FROM generate_series(1, 10000) i;
CREATE INDEX ON orders (customer);
ANALYZE;
)";

/// Each always with the same values: the plan that the background asked for is then the plan of every execution.
constexpr const char* kTexts[] = {
    "select * from customers where id = 17",
    "select region, count(*) from customers group by region order by 2 desc limit 3",
    "select c.name, sum(o.total) from customers c join orders o on o.customer = c.id where c.region = 3 group by c.name",
    "select * from orders where total > 5000 and not exists (select 1 from customers c where c.id = orders.customer)",
};

struct Zone {  ///< the process is far away from UTC
  Zone() { set("America/Los_Angeles"); }
  ~Zone() { set("UTC"); }
  static void set(const char* name) {
    ::setenv("TZ", name, 1);
    ::tzset();
  }
};

/// "" or the features that differ. Age is by the second.
std::string differences(const std::vector<float>& online, const std::vector<float>& offline, bool without_plan) {
  std::string out;
  REQUIRE(online.size() == offline.size());
  const auto& names = predictor::feature_names();
  for (std::size_t i = 0; i < names.size(); ++i) {
    const bool both_unknown = std::isnan(online[i]) && std::isnan(offline[i]);
    const bool about_the_plan = names[i].starts_with("plan_") || names[i].starts_with("history_near") || names[i] == "history_same_shape";
    const bool age = names[i] == "history_age";
    const double apart = age ? std::abs(std::expm1(online[i]) - std::expm1(offline[i])) : std::abs(online[i] - offline[i]);
    if (both_unknown || (without_plan && about_the_plan) || apart <= (age ? 1.2 : names[i] == "time_hour" ? 1.0 / 60 : 0)) continue;
    out += fmt::format("{}: {} stored, {} replayed; ", names[i], online[i], offline[i]);
  }
  return out;
}

}  // namespace

TEST_CASE("features replayed from the store are those that were stored") {
  if (!server_here()) return;
  const Zone zone;
  Database database("replay");
  database.run(kTables);
  std::map<std::string, const char*> texts;  // by normalized text
  Bench bench("[default]\nmode = \"observe\"\n", [](proxy::Config& config) { return config.learning.explore = false; });
  bench.learner().start();
  REQUIRE(bench.wait_for_catalog("replay"));
  for (int round = 0; round < 5; ++round) {
    for (const char* text : kTexts) {
      const auto before = bench.learner().feedback().stored;
      const auto plan = bench.play("replay", text, 1.5 + round);
      texts[plan->analysis->normalized()] = text;
      REQUIRE(eventually([&] { return bench.learner().feedback().stored > before && bench.learner().settled(); }));
    }
    if (round == 2) std::this_thread::sleep_for(std::chrono::seconds(2));  // so that age is something
  }
  bench.learner().stop();
  std::string error;
  const auto store = predictor::FeedbackStore::open(bench.state_dir(), true, &error);
  REQUIRE_MESSAGE(store != nullptr, error);
  proxy::learning::CatalogLoader loader(fmt::format("host=127.0.0.1 port={} user=postgres dbname=replay", postgres().port()));
  proxy::learning::CatalogSignature signature;
  const auto catalog = loader.load(&signature);
  REQUIRE(catalog);
  const auto connection = connect("replay");
  std::map<std::string, predictor::History> histories;
  int rows = 0, with_plan = 0, aged = 0;
  REQUIRE(store->read(predictor::feature_schema(), [&](const predictor::Feedback& row) {
    REQUIRE(texts.contains(row.normalized));
    const std::string text = texts[row.normalized];
    const auto analysis = sql::analyse(text);
    const auto explained = connection->run("EXPLAIN (FORMAT JSON) " + text);
    const auto plan = predictor::parse_plan(explained.text(0, 0));
    const bool probed = row.plan_cost >= 0;
    auto& history = histories[row.fingerprint];
    const double seconds = static_cast<double>(row.unix_microseconds) / 1e6;
    const auto time = predictor::time_of_week(row.unix_microseconds / 1000000);
    predictor::FeatureInput input;
    input.analysis = analysis.get();
    input.catalog = catalog.get();
    input.plan = probed ? &plan : nullptr;
    input.history = &history;
    input.unix_seconds = seconds;
    input.hour_of_day = time.hour;
    input.day_of_week = time.day;
    input.user = "postgres";
    CHECK(differences(row.features, predictor::extract(input), !probed) == "");
    ++rows;
    with_plan += probed;
    aged += history.age(seconds) > 1;
    history.add(row.server_ms, static_cast<double>(row.rows), static_cast<double>(row.bytes), probed ? &plan : nullptr);
    history.last_unix_seconds = seconds;
  }, &error));
  CHECK(rows == 20);
  CHECK(with_plan >= 8);
  CHECK(aged >= 4);
}

TEST_CASE("what the explorer stores has the features of a session's execution of the same") {
  const Zone zone;
  proxy::learning::ExploreTask task;
  task.analysis = sql::analyse(kTexts[1]);
  task.key.search_path = "public";
  task.user = "postgres";
  task.history.add(7, 1, 10);
  task.history.last_unix_seconds = static_cast<double>(std::time(nullptr)) - 60;
  proxy::learning::Instance instance{kTexts[1], {}, bind_section({}), 0};
  predictor::PlanFacts plan;
  plan.known = true;
  plan.total_cost = 42;
  const sql::Catalog catalog;
  const auto row = proxy::learning::explore_feedback(task, instance, catalog, "as-is", {}, plan);
  const auto time = predictor::time_of_week(row.unix_microseconds / 1000000);
  predictor::FeatureInput input;
  input.analysis = task.analysis.get();
  input.catalog = &catalog;
  input.plan = &plan;
  input.history = &task.history;
  input.unix_seconds = static_cast<double>(row.unix_microseconds / 1000000);
  input.hour_of_day = time.hour;
  input.day_of_week = time.day;
  input.extended = true;
  input.search_path = "public";
  input.user = "postgres";
  CHECK(differences(row.features, predictor::extract(input), false) == "");
}
