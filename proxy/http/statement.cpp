// The page of one statement: text, history, decisions, candidates with reasons, what the cache and EXPLAIN (PGSTEER) say.
#include <algorithm>
#include <set>

#include "proxy/http/json.hpp"
#include "proxy/pipeline.hpp"

namespace pgsteer::proxy::http {
namespace {

std::shared_ptr<const policies::Knowledge> knowledge_of(const Snapshot& snapshot, const std::string& fingerprint, const std::string& database) {
  std::shared_ptr<const policies::Knowledge> best;
  for (const auto& [key, knowledge] : *snapshot.knowledge) {
    if (!knowledge || knowledge->fingerprint != fingerprint || key.database != database) continue;
    if (!best || knowledge->history.count > best->history.count) best = knowledge;
  }
  return best;
}

ordered_json candidates_of(const policies::Knowledge& knowledge) {
  std::vector<std::string> labels;
  for (const auto& evidence : knowledge.evidence) labels.push_back(evidence.label);
  for (const auto& rewrite : knowledge.rewrites)
    if (!knowledge.find(rewrite.label)) labels.push_back(rewrite.label);
  ordered_json list = ordered_json::array();
  for (const auto& label : labels) {
    const auto* evidence = knowledge.find(label);
    const auto* rewrite = knowledge.rewrite(label);
    const bool banned = ("," + knowledge.banned + ",").find("," + label + ",") != std::string::npos;
    const std::string state = banned                     ? "banned"
                              : knowledge.pinned == label ? "pinned"
                              : evidence                  ? std::string(to_string(evidence->state))
                              : rewrite->approved         ? "approved"
                                                          : "rejected";
    const std::string why = evidence && !evidence->why.empty() ? evidence->why : rewrite ? rewrite->why : "";
    const policies::Evidence none;
    const auto& e = evidence ? *evidence : none;
    list.push_back({{"label", label},
                    {"state", state},
                    {"why", why},
                    {"runs", e.runs},
                    {"explored", e.explored},
                    {"median_ms", number(e.median_ms)},
                    {"p95_ms", number(e.p95_ms)},
                    {"gain_low", evidence ? number(e.gain_low()) : ordered_json(nullptr)},
                    {"worst_ratio", number(e.worst_ratio)},
                    {"cost_original", rewrite ? number(rewrite->cost_original) : ordered_json(nullptr)},
                    {"cost_rewritten", rewrite ? number(rewrite->cost_rewritten) : ordered_json(nullptr)},
                    {"columns_equal", rewrite ? ordered_json(rewrite->columns_equal) : ordered_json(nullptr)}});
  }
  return list;
}

ordered_json history_of(const StatementRecord& record) {
  ordered_json list = ordered_json::array();
  for (const auto& m : record.minutes)
    list.push_back({{"unix", m.unix_seconds},
                    {"calls", m.calls},
                    {"errors", m.errors},
                    {"cache_hits", m.cache_hits},
                    {"changed", m.changed},
                    {"mean_ms", number(m.calls ? m.total_ms / static_cast<double>(m.calls) : 0)},
                    {"max_ms", number(m.max_ms)},
                    {"predicted_ms", number(m.predicted_ms)},
                    {"low_ms", number(m.low_ms)},
                    {"high_ms", number(m.high_ms)}});
  return list;
}

std::vector<std::string> explained(const Call& call, const std::string& text, const std::vector<std::uint32_t>& types, const std::string& database,
                                   const std::string& user, const std::string& application) {
  const auto snapshot = call.hub.snapshot();
  sql::SessionFacts session;
  session.database = database;
  session.user = user;
  session.application = application;
  sql::Query query;
  query.text = text;
  query.parameter_types = types;
  query.extended = !types.empty();
  query.session = &session;
  const auto plan = call.pipeline.plan(query, *snapshot, Circumstances{});
  return explain_plan(*plan, *snapshot, text);
}

const char* state_name(cache::Judgement::State state) {
  return state == cache::Judgement::State::pending ? "pending" : state == cache::Judgement::State::cacheable ? "cacheable" : "refused";
}

}  // namespace

Response statement(const Call& call) {
  const auto record = call.hub.learner ? call.hub.learner->statement(std::string(call.argument), parameter(call.request, "database")) : std::nullopt;
  if (!record) return error(404, "no statement with fingerprint '" + std::string(call.argument.substr(0, 64)) + "' was seen", "GET /api/v1/statements lists them.");
  const auto& totals = record->totals;
  const auto snapshot = call.hub.snapshot();
  const auto knowledge = knowledge_of(*snapshot, totals.fingerprint, totals.database);
  const policies::Knowledge nothing;
  const auto& known = knowledge ? *knowledge : nothing;
  const auto row = console::queries_table({totals});
  const auto recent = console::decisions_table(call.hub.learner->decisions(50, {totals.fingerprint, totals.database, "", "", 0}));
  const auto slowest = console::decisions_table(record->slowest);
  const std::string& text = record->example.empty() ? totals.normalized : record->example;
  ordered_json banned = ordered_json::array();
  for (std::string_view rest = known.banned; !rest.empty();) {
    banned.push_back(rest.substr(0, rest.find(',')));
    rest = rest.find(',') == std::string_view::npos ? std::string_view() : rest.substr(rest.find(',') + 1);
  }
  ordered_json document{{"fingerprint", totals.fingerprint},
                        {"database", totals.database},
                        {"kind", totals.kind},
                        {"text", totals.normalized},
                        {"example", record->example},
                        {"user", record->user},
                        {"application", record->application},
                        {"totals", rows_of(row, 0, 1)[0]},
                        {"pinned", known.pinned},
                        {"banned", std::move(banned)},
                        {"history", history_of(*record)},
                        {"slowest", rows_of(slowest, 0, kMaxRows)},
                        {"decisions", rows_of(recent, 0, 50)},
                        {"candidates", candidates_of(known)},
                        {"plan", {{"known", known.plan.known}, {"total_cost", number(known.plan.total_cost)}, {"rows", number(known.plan.rows)},
                                  {"nodes", known.plan.nodes}, {"text", known.plan.text}}},
                        {"cache", {{"state", state_name(known.cache.state)}, {"reason", cache::to_string(known.cache.reason)}, {"detail", known.cache.detail}}},
                        {"explain", explained(call, text, record->example_types, totals.database, record->user, record->application)}};
  return json_response(document);
}

Response explain(const Call& call) {
  const auto body = ordered_json::parse(call.request.body, nullptr, false);
  const auto text_of = [&](const char* name) { return body.contains(name) && body[name].is_string() ? body[name].get<std::string>() : std::string(); };
  const std::set<std::string> known{"sql", "database", "user", "application"};
  bool good = body.is_object() && body.contains("sql") && body.contains("database");
  if (good)
    for (const auto& [name, value] : body.items()) good = good && known.contains(name) && value.is_string();
  if (!good) return error(400, R"(expected {"sql": "...", "database": "...", "user": "...", "application": "..."}, the last two optional)");
  return json_response({{"lines", explained(call, text_of("sql"), {}, text_of("database"), text_of("user"), text_of("application"))}});
}

}  // namespace pgsteer::proxy::http
