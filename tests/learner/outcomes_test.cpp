// What an event loop tells the background of its executions: everything, in its order, and the texts of a few.
#include "proxy/outcomes.hpp"

#include <doctest.h>

#include <string>

using namespace pgsteer;
using namespace pgsteer::proxy;

namespace {

std::shared_ptr<Plan> plan_of(const std::string& user) {
  auto plan = std::make_shared<Plan>();
  plan->user = user;
  return plan;
}

Execution execution(int ended_at_us, std::int64_t rows) {
  Execution e;
  e.arrival = Clock::time_point(std::chrono::microseconds(ended_at_us - 5));
  e.last_byte_ns = 5000;
  e.rows = rows;
  return e;
}

/// "user:rows:sqlstate:text " of each.
std::string told(std::vector<OutcomeQueue::Batch> batches) {
  std::string out;
  in_order(std::move(batches), [&](const Outcome& outcome) {
    const auto& e = outcome.execution;
    out += outcome.plan->user + ':' + std::to_string(e.rows) + ':' + e.sqlstate + ':' + e.text + ' ';
  });
  return out;
}

std::vector<OutcomeQueue::Batch> taken(OutcomeQueue& queue) {
  std::vector<OutcomeQueue::Batch> batches;
  batches.push_back(queue.take());
  return batches;
}

}  // namespace

TEST_CASE("what is told comes in its order, with its own words and no others'") {
  OutcomeQueue queue;
  const auto one = plan_of("one"), two = plan_of("two");
  queue.add(one, execution(10, 1));
  auto failed = execution(20, 2);
  failed.sqlstate = "22012";
  failed.text = "select 1/0";
  queue.add(one, std::move(failed));
  queue.add(one, execution(30, 3));
  queue.add(two, execution(40, 4));
  queue.add(one, execution(50, 5));
  CHECK(told(taken(queue)) == "one:1:: one:2:22012:select 1/0 one:3:: two:4:: one:5:: ");
  CHECK(told(taken(queue)).empty());
  queue.add(two, execution(60, 6));
  CHECK(told(taken(queue)) == "two:6:: ");
}

TEST_CASE("a plan is kept as long as something told of it, and no longer") {
  OutcomeQueue queue;
  auto plan = plan_of("one");
  const std::weak_ptr<const Plan> watched = plan;
  for (int i = 0; i < 1000; ++i) queue.add(plan, execution(i, i));
  CHECK(plan.use_count() == 2);
  plan.reset();
  CHECK_FALSE(watched.expired());
  taken(queue).clear();
  CHECK(watched.expired());
}

TEST_CASE("more plans than there are guesses where they stand") {
  OutcomeQueue queue;
  std::vector<std::shared_ptr<Plan>> plans;
  std::string expected;
  for (int i = 0; i < 500; ++i) plans.push_back(plan_of(std::to_string(i)));
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 500; ++i) {
      queue.add(plans[static_cast<std::size_t>(i)], execution(round * 500 + i, round));
      expected += std::to_string(i) + ':' + std::to_string(round) + ":: ";
    }
  }
  CHECK(told(taken(queue)) == expected);
}

TEST_CASE("several loops are heard in the order in which things ended") {
  OutcomeQueue first, second;
  const auto one = plan_of("one"), two = plan_of("two");
  first.add(one, execution(10, 1));
  second.add(two, execution(20, 2));
  first.add(one, execution(30, 3));
  second.add(two, execution(40, 4));
  std::vector<OutcomeQueue::Batch> batches;
  batches.push_back(second.take());
  batches.push_back(first.take());
  CHECK(told(std::move(batches)) == "one:1:: two:2:: one:3:: two:4:: ");
}

TEST_CASE("when nobody listens the newest are dropped and counted") {
  OutcomeQueue queue;
  const auto plan = plan_of("one");
  for (std::size_t i = 0; i < OutcomeQueue::kMost + 7; ++i) queue.add(plan, execution(1, 1));
  CHECK(queue.dropped() == 7);
  std::size_t heard = 0;
  in_order(taken(queue), [&](const Outcome&) { ++heard; });
  CHECK(heard == OutcomeQueue::kMost);
}

TEST_CASE("of a well-known statement one in sixteen executions is an example") {
  Plan fresh;
  int examples = 0;
  for (int i = 0; i < 512; ++i) examples += wanted_as_example(fresh);
  CHECK(examples == 512);
  for (int i = 0; i < 1600; ++i) examples += wanted_as_example(fresh);
  CHECK(examples == 612);
  Plan known;
  auto knowledge = std::make_shared<policies::Knowledge>();
  knowledge->history.count = 513;
  known.knowledge = knowledge;
  examples = 0;
  for (int i = 0; i < 160; ++i) examples += wanted_as_example(known);
  CHECK(examples == 10);
}
