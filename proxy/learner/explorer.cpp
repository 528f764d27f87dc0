#include "proxy/learner/explorer.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "predictor/join_sizes.hpp"
#include "proxy/learner/explore_feedback.hpp"
#include "proxy/learner/prober.hpp"
#include "proxy/quote.hpp"

namespace pgsteer::proxy::learning {

namespace {

constexpr std::size_t kMinRounds = 3;     // policies::learn asks for as many before it approves
constexpr double kMaxDefaultMs = 300000;
constexpr double kClear = 2;              // so many times the best arm's time: no chance makes such a gain, and how long the default takes beyond is not waited for

bool acts_on_execution(const std::vector<rewriter::Setting>& settings) {
  return std::any_of(settings.begin(), settings.end(),
                     [](const auto& setting) { return setting.name == "jit" || setting.name == "work_mem"; });
}

bool turns_off_jit(const std::vector<rewriter::Setting>& settings) {
  return std::any_of(settings.begin(), settings.end(), [](const auto& setting) { return setting.name == "jit"; });
}

std::string with_hints(const std::string& hints, const std::string& text) { return hints.empty() ? text : "/*+ " + hints + " */ " + text; }

double slack_ms(double base_ms) { return std::max(2.0, base_ms * 0.1); }

/// A limit for what is to run to its end, unless the server is stuck.
double ample_ms(double expected_ms) { return 5 * expected_ms + 1000; }

/// Who takes so long is clearly beaten.
double beaten_ms(double best_ms) { return kClear * best_ms + slack_ms(best_ms); }

}  // namespace

struct Explorer::Round {
  const ExploreTask& task;
  const Instance& instance;
  Connection& connection;
  const sql::Catalog& catalog;
  const Config& config;
  Parameters parameters{};
  predictor::PlanFacts default_plan{};
  Answer default_answer{};
  double default_ms = 0, best_ms = 0;
  bool overtaken = false;            ///< the default was cut off: it still takes at least kClear times what the best arm does
  double jit_from_cost = 0;          ///< cheaper plans are not compiled
  std::map<std::uint64_t, double> shapes{};  ///< plans already run in this round, and what they took
  std::map<std::string, double> raced{};     ///< by arm: what it took on this instance, for all values
  std::vector<Measurement> found{};
  bool verifiable = true;
};

/// Arms are bound to the plan that they were measured against; a rewrite changes what is planned.
std::uint64_t Explorer::region_of(const Contender& contender, const Round& round) {
  return contender.label.starts_with("arm:") ? round.default_plan.shape : 0;
}

bool Explorer::affordable(double share) const {
  const auto credit = std::chrono::duration<double, std::milli>(hub_.snapshot()->config->learning.explore_credit).count();
  return spent_ms_ < credit + granted_ms_ + book_.observed_ms() * share;
}

bool Explorer::pending() const {
  return book_.explorations_pending() && affordable(hub_.snapshot()->policies->defaults().steer.value_or(policies::SteerAction{}).explore_budget);
}

bool Explorer::step() {
  auto task = book_.next_exploration();
  if (!task) return false;
  const auto snapshot = hub_.snapshot();
  Connection* connection = nullptr;
  if (affordable(task->policy.steer.explore_budget)) connection = links_.get(*snapshot->config, task->key.database);
  std::vector<std::uint64_t> explored;
  Outcome outcome = Outcome::stop;
  if (connection) outcome = explore(*task, *connection, explored);
  book_.finish_exploration(task->key, explored, outcome != Outcome::stop);
  return outcome != Outcome::stop;
}

/// An arm that has lost under this plan is measured on its calls for all values still: those are of every plan.
std::vector<Explorer::Contender> Explorer::contenders(const ExploreTask& task, std::uint64_t plan) const {
  std::vector<Contender> list;
  const auto& wanted = task.policy.steer.arms;
  const auto out = [&](const std::string& label) { return task.out.contains({label, 0}); };
  for (const auto& label : task.rewrites)
    if (task.policy.rewrite_enabled && !out(label)) list.emplace_back(label, std::vector<rewriter::Setting>{});
  for (const auto& arm : rewriter::arms()) {
    const std::string label = "arm:" + arm.name;
    if (out(label)) continue;
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), arm.name) == wanted.end()) continue;
    list.emplace_back(label, arm.settings);
    list.back().lost = task.out.contains({label, plan});
  }
  return list;
}

void Explorer::Race::add(const std::string& label, double ms, double default_ms) {
  Standing& standing = standings[label];
  standing.ms += ms;
  standing.default_ms += default_ms;
  ++standing.instances;
  standing.out = standing.out || ms > policies::tolerated_ms(default_ms);
}

/// Who gains nothing is left behind, and who is far behind the best.
void Explorer::Race::drop() {
  constexpr int kEnough = 3;
  constexpr double kNothing = 0.97, kBehind = 0.15;
  double best = 1;
  for (const auto& [label, standing] : standings)
    if (!standing.out && standing.instances >= kEnough) best = std::min(best, standing.ratio());
  for (auto& [label, standing] : standings)
    if (standing.instances >= kEnough && (standing.ratio() > kNothing || standing.ratio() > best + kBehind)) standing.out = true;
}

bool Explorer::Race::runs(const std::string& label) const {
  if (!on || !label.starts_with("arm:")) return false;
  const auto found = standings.find(label);
  return found == standings.end() || !found->second.out;
}

Explorer::Race Explorer::race_of(const ExploreTask& task) {
  Race race{.on = task.varied, .standings = {}};
  for (const auto& [label, entry] : task.wide) {
    const bool out = entry.state == policies::Evidence::State::rejected || entry.state == policies::Evidence::State::disabled;
    race.standings[label] = {entry.explored_ms, entry.explored_default_ms, static_cast<int>(entry.explored), out};
  }
  race.drop();
  return race;
}

bool Explorer::Region::hope() const {
  constexpr int kEnough = 2;
  return std::any_of(contenders.begin(), contenders.end(),
                     [](const Contender& c) { return !c.out() && (c.measured > 0 || c.same < kEnough); });
}

Explorer::Outcome Explorer::explore(const ExploreTask& task, Connection& connection,
                                    std::vector<std::uint64_t>& explored) {
  const auto snapshot = hub_.snapshot();
  const auto catalog = snapshot->catalogs.find(task.key.database);
  if (catalog == snapshot->catalogs.end() || catalog->second->version != task.catalog_version) return Outcome::stop;
  std::map<std::uint64_t, Region> regions;
  Race race = race_of(task);
  // A statement that always comes with the same values is measured three times on them: there is nothing else to try.
  const std::size_t rounds = task.first ? std::max(kMinRounds, task.instances.size()) : task.instances.size();
  Outcome outcome = Outcome::done;
  for (std::size_t i = 0; i < rounds && outcome == Outcome::done; ++i) {
    const Instance& instance = task.instances[i % task.instances.size()];
    Round round{task, instance, connection, *catalog->second, *snapshot->config};
    round.verifiable = is_verifiable(*task.analysis);
    outcome = run_round(round, regions, race);
    connection.run("ROLLBACK");
    if (outcome != Outcome::stop) explored.push_back(instance.hash);
    if (outcome == Outcome::failed && !connection.broken()) outcome = Outcome::done;  // another instance may do
  }
  if (outcome != Outcome::stop)
    for (const auto& instance : task.instances) explored.push_back(instance.hash);
  return outcome;
}

/// Once whoever beat the others has lost on an instance itself, the others are worth another look. Otherwise what is clearly slower
/// than the best need not be run again, nor what gains nothing.
void Explorer::drop_beaten(Region& region, const Round& round) {
  const int enough = round.task.instances.size() == 1 ? 1 : 2;  // rounds without a gain: other values may show one
  auto& list = region.contenders;
  const bool leader = std::any_of(list.begin(), list.end(), [](const Contender& c) { return !c.out() && c.measured > 0; });
  for (auto& contender : list) {
    if (!leader) contender.beaten = false;
    const bool slower = contender.round_ms > round.best_ms * 1.2 + slack_ms(round.best_ms);
    const bool useless = contender.measured >= enough && contender.gained_ms < 0.05 * contender.measured * round.default_ms;
    if (slower || useless) contender.beaten = leader;
    contender.round_ms = 0;
  }
}

bool Explorer::enter(Round& round, const std::vector<rewriter::Setting>& settings) {
  std::string sql = "SAVEPOINT trial";
  for (const auto& [name, value] : settings)
    sql += "; SET LOCAL " + quote_identifier(name) + " = " + quote_literal(value);
  return round.connection.run(sql).ok();
}

Answer Explorer::run(Round& round, const std::string& text, const std::vector<rewriter::Setting>& settings,
                     double limit_ms) {
  Answer answer;
  if (!pause_(round.config.learning.explore_idle)) {
    answer.sqlstate = "57P01";
    return answer;
  }
  auto with_limit = settings;
  with_limit.push_back({"statement_timeout", fmt::format("{}ms", std::max(1L, std::lround(std::ceil(limit_ms))))});
  if (enter(round, with_limit)) answer = round.connection.stream(text, round.parameters);
  spent_ms_ = spent_ms_ + answer.ms;
  round.connection.run("ROLLBACK TO trial; RELEASE trial");
  return answer;
}

Explorer::Outcome Explorer::begin(Round& round) {
  const auto parameters = parse_bind(round.instance.types, round.instance.bind);
  if (!parameters) return Outcome::failed;
  round.parameters = *parameters;
  const auto failure = [&] { return round.connection.interrupted() ? Outcome::stop : Outcome::failed; };
  const std::string path = session_search_path(round.task.key.search_path, round.catalog, round.task.user);
  if (!round.connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '500ms'; "
                            "SET LOCAL search_path = " + path).ok())
    return failure();
  if (!round.instance.bind.empty()) {
    const Rows described = round.connection.describe(round.instance.text, round.parameters.types);
    if (!described.ok()) return failure();
    round.parameters.types = described.parameter_types();
  }
  double planning_ms = 0;
  round.default_plan = explain(round.connection, round.instance.text, round.parameters, &planning_ms);
  book_.planned(round.task.key, planning_ms);
  if (!round.default_plan.known) return failure();
  const Rows jit = round.connection.run("SELECT CASE WHEN current_setting('jit')::bool THEN current_setting('jit_above_cost')::float8 ELSE -1 END");
  round.jit_from_cost = jit.ok() && jit.rows() == 1 ? std::atof(std::string(jit.text(0, 0)).c_str()) : 0;
  if (round.jit_from_cost < 0) round.jit_from_cost = std::numeric_limits<double>::infinity();
  return Outcome::done;
}

/// An arm for one plan is worth finding where the plan is known beforehand, or asking for it takes little of what the statement takes.
bool Explorer::by_plan(const Round& round) {
  constexpr double kPlannings = 20;
  return !round.task.varied || round.task.default_ms >= kPlannings * round.task.planning_ms;
}

Explorer::Outcome Explorer::run_round(Round& round, std::map<std::uint64_t, Region>& regions, Race& race) {
  if (const Outcome begun = begin(round); begun != Outcome::done) return begun;
  const std::uint64_t shape = round.default_plan.shape;
  const auto [found, fresh] = regions.try_emplace(shape);
  Region& region = found->second;
  if (fresh) region.contenders = contenders(round.task, shape);
  const bool region_matters = by_plan(round);
  const bool races = std::any_of(region.contenders.begin(), region.contenders.end(), [&](const Contender& c) { return race.runs(c.label); });
  if (!(region_matters && region.hope()) && !races) return Outcome::done;  // nothing is left to try
  if (!affordable(round.task.policy.steer.explore_budget)) return Outcome::stop;
  if (const Outcome outcome = run_default(round, region); outcome != Outcome::done) return outcome;
  round.shapes[shape] = round.default_ms;
  if (fresh && region_matters) {
    if (const Outcome outcome = add_hinted(round, region); outcome != Outcome::done) return outcome;
  }
  Outcome outcome = Outcome::done;
  for (auto& contender : region.contenders) {
    const bool raced = race.runs(contender.label);
    if (!raced && (contender.out() || !region_matters)) continue;
    outcome = affordable(round.task.policy.steer.explore_budget) ? try_contender(round, contender, raced) : Outcome::stop;
    if (outcome != Outcome::done) break;
  }
  conclude(round, region, race);
  if (outcome != Outcome::done) return outcome;
  if (!round.overtaken) book_.default_measured(round.task.key, round.default_plan, round.default_ms);
  drop_beaten(region, round);
  return Outcome::done;
}

/// Of values that were measured before only as long as it takes to see that the best arm still beats it clearly: then it counts as what it took then.
Explorer::Outcome Explorer::run_default(Round& round, Region& region) {
  const auto before = region.default_ms.find(round.instance.hash);
  const bool shorter = before != region.default_ms.end() && beaten_ms(before->second.best_ms) < before->second.ms;
  round.default_answer = run(round, round.instance.text, {}, shorter ? beaten_ms(before->second.best_ms) : std::min(kMaxDefaultMs, ample_ms(round.task.default_ms)));
  if (round.connection.interrupted()) return Outcome::stop;
  round.overtaken = shorter && round.default_answer.timed_out();
  if (!round.default_answer.ok && !round.overtaken) return Outcome::failed;
  round.default_ms = round.best_ms = round.overtaken ? before->second.ms : round.default_answer.ms;
  report(round, "as-is", round.default_answer, round.default_plan);
  return Outcome::done;
}

/// The statement's EXPLAIN ANALYZE under some hints; "" when there is none.
std::string Explorer::analyse(Round& round, const std::string& hints) {
  if (!pause_(round.config.learning.explore_idle)) return {};
  constexpr double kCounting = 3;  // counting rows takes its time, too
  const double limit_ms = kCounting * round.default_ms + slack_ms(round.default_ms);
  if (!enter(round, {{"statement_timeout", fmt::format("{:.0f}ms", std::ceil(limit_ms))}})) return {};
  const auto begun = Clock::now();
  const Rows rows = round.connection.run("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + with_hints(hints, round.instance.text), round.parameters);
  spent_ms_ = spent_ms_ + std::chrono::duration<double, std::milli>(Clock::now() - begun).count();
  round.connection.run("ROLLBACK TO trial; RELEASE trial");
  return rows.ok() && rows.rows() == 1 ? std::string(rows.text(0, 0)) : std::string();
}

/// Where the server has pg_hint_plan: the sizes of joins as they are instead of what PostgreSQL expects, those of its own plan first, then those
/// of the plan that follows from them; and the join order that this ends with.
Explorer::Outcome Explorer::add_hinted(Round& round, Region& region) {
  constexpr int kLooks = 3;
  constexpr double kMisjudged = 3;
  const auto& task = round.task;
  const std::uint64_t plan = round.default_plan.shape;
  if (!round.catalog.hint_plan || task.analysis->flags.hint_comment || !task.policy.steer.enabled || !task.policy.steer.arms.empty()) return Outcome::done;
  const auto add = [&](const std::string& hints) {
    const std::string label = "arm:" + hints;
    if (task.out.contains({label, 0}) || task.out.contains({label, plan}) || !rewriter::arm_named(hints)) return;
    region.contenders.emplace_back(label, std::vector<rewriter::Setting>{});
    region.contenders.back().hints = hints;
  };
  bool found = false;
  for (const auto& [label, of] : task.hinted) {
    if (of != plan) continue;
    add(label.substr(4));
    found = true;
  }
  if (found || round.default_plan.joins < 2) return Outcome::done;
  std::map<std::vector<std::string>, predictor::JoinSize> sizes;
  std::string hints, order;
  for (int look = 0; look < kLooks; ++look) {
    if (!affordable(task.policy.steer.explore_budget)) return Outcome::stop;
    const auto seen = predictor::join_sizes(analyse(round, hints));
    if (round.connection.interrupted()) return Outcome::stop;
    if (round.connection.broken()) return Outcome::failed;
    if (!seen) break;
    order = seen->order;
    for (const auto& size : seen->sizes) sizes.try_emplace(size.tables, size);
    std::vector<predictor::JoinSize> known;
    for (const auto& [tables, size] : sizes) known.push_back(size);
    auto more = predictor::rows_hints(known, kMisjudged);
    if (more == hints) break;
    hints = std::move(more);
  }
  if (hints.empty() || order.empty()) return Outcome::done;
  spdlog::info("event=hints fingerprint={} plan={:016x} sizes=\"{}\" order=\"{}\"", task.fingerprint, plan, hints, order);
  add(hints);
  add("Leading(" + order + ")");
  return Outcome::done;
}

/// What seems to gain ran between two runs of the default: the faster of them counts, so that a server that was busy at the first makes no gain. Nor
/// does one that was idle at the second make a loss.
void Explorer::conclude(Round& round, Region& region, Race& race) {
  constexpr double kGain = 0.9, kShown = 1.5;
  double default_ms = round.default_ms, best_ms = default_ms;
  for (const Measurement& m : round.found) best_ms = std::min(best_ms, m.ms);
  const bool shown = round.overtaken && best_ms < round.default_answer.ms / kShown;
  if (best_ms < kGain * default_ms && !shown && !round.connection.interrupted() && !round.connection.broken()) {
    const Answer again = run(round, round.instance.text, {}, std::min(ample_ms(default_ms), beaten_ms(best_ms)));
    if (again.ok) default_ms = std::min(default_ms, again.ms);
  }
  region.default_ms[round.instance.hash] = {default_ms, best_ms};
  for (auto& m : round.found) {
    if (m.ms < m.default_ms) m.default_ms = std::max(m.ms, std::min(m.default_ms, default_ms));
    book_.measured(round.task.key, m);
  }
  for (const auto& [label, ms] : round.raced) {
    const double instead_ms = ms < round.default_ms ? std::max(ms, default_ms) : round.default_ms;
    race.add(label, ms, instead_ms);
    book_.measured(round.task.key, {label, ms, instead_ms, 0, 0, true});
  }
  race.drop();
}

Explorer::Outcome Explorer::try_contender(Round& round, Contender& contender, bool raced) {
  std::string text = with_hints(contender.hints, round.instance.text);
  if (contender.label.starts_with("rewrite:")) {
    sql::SessionFacts session;
    session.database = round.task.key.database;
    session.user = round.task.user;
    session.search_path = round.task.key.search_path;
    sql::Query query{text, round.instance.types, !round.instance.bind.empty(), sql::TransactionStatus::idle, &session};
    const auto made = rewriter::rewrite(query, *round.task.analysis, round.catalog,
                                        {.all = true, .only = {}, .excluded = hub_.snapshot()->banned_rules});
    const auto found = std::find_if(made.begin(), made.end(), [&](const auto& c) { return c.label() == contender.label; });
    if (found == made.end()) return Outcome::done;
    text = found->text;
    contender.rules = found->rules;
  }
  predictor::PlanFacts plan;
  if (enter(round, contender.settings)) plan = explain(round.connection, text, round.parameters);
  round.connection.run("ROLLBACK TO trial; RELEASE trial");
  if (round.connection.interrupted()) return Outcome::stop;
  if (round.connection.broken()) return Outcome::failed;
  if (!plan.known) return Outcome::done;
  // A rewrite or a setting of the executor may gain under the same plan tree; an arm of the planner cannot.
  const bool rewritten = contender.label.starts_with("rewrite:") || acts_on_execution(contender.settings);
  if ((!rewritten && plan.shape == round.default_plan.shape) ||
      (turns_off_jit(contender.settings) && round.default_plan.total_cost < round.jit_from_cost)) {
    ++contender.same;
    if (raced) round.raced[contender.label] = round.default_ms;
    return Outcome::done;
  }
  if (const auto known = round.shapes.find(plan.shape); known != round.shapes.end() && !rewritten) {
    contender.beaten = true;  // somebody earlier in the list makes the same plan
    if (raced) round.raced[contender.label] = known->second;
    return Outcome::done;
  }
  return measure(round, contender, text, plan, raced);
}

Explorer::Outcome Explorer::measure(Round& round, Contender& contender, const std::string& text,
                                    const predictor::PlanFacts& plan, bool raced) {
  const double base = std::min(round.best_ms, round.default_ms);
  const double limit_ms = base + slack_ms(base), tolerated_ms = policies::tolerated_ms(round.default_ms);
  Answer answer = run(round, text, contender.settings, raced ? std::max(limit_ms, tolerated_ms) : limit_ms);
  if (round.connection.interrupted() || answer.sqlstate == "57P01") return Outcome::stop;
  report(round, contender.label, answer, plan);
  if (raced && answer.timed_out()) {
    contender.lost = true;
    round.raced[contender.label] = round.shapes[plan.shape] = std::max(answer.ms, 2 * tolerated_ms);
    return Outcome::done;
  }
  if (answer.timed_out() && base < round.default_ms) {
    contender.beaten = true;  // by the best so far; it may still be better than the default
    return Outcome::done;
  }
  if (answer.timed_out() && contender.measured > 0) {  // it has gained elsewhere: chance may have been against it
    const Answer again = run(round, round.instance.text, {}, ample_ms(round.default_ms));
    if (again.ok) round.default_ms = std::max(round.default_ms, again.ms);
    answer = run(round, text, contender.settings, 1.5 * round.default_ms + slack_ms(round.default_ms));
    if (round.connection.interrupted()) return Outcome::stop;
  }
  if (!answer.ok) {
    contender.lost = true;
    // Cancelled, so how bad it is stays unknown: count it as beyond any tolerance.
    if (answer.timed_out())
      book_.measured(round.task.key, {contender.label, std::max(answer.ms, 2 * round.default_ms), round.default_ms, region_of(contender, round), round.default_plan.total_cost});
    return round.connection.broken() ? Outcome::failed : Outcome::done;
  }
  if (!round.overtaken && !same_answer(answer, round.default_answer, round.verifiable)) {
    contender.lost = true;
    book_.refuse_for_good(round.task.key, contender.label,
                          fmt::format("answered {} rows, the original {}, or other values", answer.rows,
                                      round.default_answer.rows));
    if (!contender.rules.empty())  // a rewrite claims equality for every statement: one counter-example speaks for all
      bans_.mismatch({unix_us(), round.task.key.database, round.task.fingerprint, contender.rules,
                      "another answer than the original's", "exploration", round.instance.text, text});
    spdlog::error("explore fingerprint={} label={} answer differs from the original's", round.task.fingerprint,
                  contender.label);
    return Outcome::done;
  }
  double ms = answer.ms, default_ms = round.default_ms;
  // A gain has to show on three instances anyway; a loss rules it out, so it must not be chance's.
  const bool promising = contender.gained_ms > 0 || (raced && ms > tolerated_ms);
  for (int i = 0; i < 2 && promising && ms > 1.05 * default_ms; ++i) {
    const Answer again = run(round, round.instance.text, {}, ample_ms(default_ms));
    if (again.ok) default_ms = i == 0 ? std::max(default_ms, again.ms) : default_ms;
    const Answer confirmed = run(round, text, contender.settings, std::max(ms, default_ms) * 1.5 + slack_ms(default_ms));
    if (round.connection.interrupted()) return Outcome::stop;
    if (confirmed.ok) ms = std::min(ms, confirmed.ms);
  }
  if (raced) round.raced[contender.label] = ms;
  round.shapes[plan.shape] = ms;
  ++contender.measured;
  contender.lost = contender.lost || ms > 1.1 * default_ms;
  contender.round_ms = ms;
  contender.gained_ms += default_ms - ms;
  round.best_ms = std::min(round.best_ms, ms);
  round.found.push_back({contender.label, ms, default_ms, region_of(contender, round), round.default_plan.total_cost});
  return Outcome::done;
}

void Explorer::report(const Round& round, const std::string& label, const Answer& answer,
                      const predictor::PlanFacts& plan) {
  if (!round.config.learning.enabled || (!answer.ok && !answer.timed_out())) return;
  store_.add({explore_feedback(round.task, round.instance, round.catalog, label, answer, plan)});
}

bool is_verifiable(const sql::Analysis& analysis) {
  const auto& f = analysis.features;
  if (f.has_limit || f.has_offset || f.window_functions || f.distinct) return false;
  static constexpr std::string_view kOrderSensitive[] = {"array_agg",  "string_agg", "json_agg", "jsonb_agg",
                                                         "json_object_agg", "jsonb_object_agg", "xmlagg"};
  return std::none_of(analysis.functions.begin(), analysis.functions.end(), [](const sql::FunctionUse& function) {
    return std::find(std::begin(kOrderSensitive), std::end(kOrderSensitive), function.name) != std::end(kOrderSensitive);
  });
}

bool same_answer(const Answer& a, const Answer& b, bool verifiable) {
  if (a.columns != b.columns || a.rows != b.rows) return false;
  if (!verifiable) return true;
  const double scale = std::max({a.float_abs, b.float_abs, 1e-300});
  return a.digest[0] == b.digest[0] && a.digest[1] == b.digest[1] && std::fabs(a.float_sum - b.float_sum) <= 1e-6 * scale;
}

}  // namespace pgsteer::proxy::learning
