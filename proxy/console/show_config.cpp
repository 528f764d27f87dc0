// SHOW CONFIG, SHOW RULES (policy rules), SHOW REWRITES (rewrite rules).
#include <fmt/format.h>

#include <map>

#include "proxy/console/command.hpp"
#include "proxy/console/describe.hpp"
#include "proxy/console/result.hpp"
#include "proxy/learner/learner.hpp"

namespace pgsteer::proxy::console {

/// key, value, default, changeable as pgbouncer has them, and where the value comes from. The few keys that pgbouncer's
/// exporters read are repeated under pgbouncer's names.
ConsoleResult show_config(const Request& request) {
  const auto snapshot = request.hub.snapshot();
  Table table({{"key", Type::text}, {"value", Type::text}, {"default", Type::text}, {"changeable", Type::text}, {"source", Type::text}});
  if (!snapshot->config) return table;
  const auto rows = snapshot->config->rows();
  for (const auto& row : rows) table.row(row.key, row.value, row.default_value, row.changeable ? "yes" : "no", row.source);
  const std::map<std::string, std::string> pgbouncer_names = {{"limits.max_client_conn", "max_client_conn"},
                                                              {"listen.address", "listen_addr"},
                                                              {"listen.port", "listen_port"},
                                                              {"listen.backlog", "listen_backlog"}};
  for (const auto& row : rows)
    if (const auto found = pgbouncer_names.find(row.key); found != pgbouncer_names.end())
      table.row(found->second, row.value, row.default_value, row.changeable ? "yes" : "no", "same as " + row.key);
  return table;
}

ConsoleResult show_rules(const Request& request) {
  const auto snapshot = request.hub.snapshot();
  Table table({{"position", Type::int8}, {"rule", Type::text}, {"where", Type::text}, {"match", Type::text}, {"actions", Type::text},
               {"recent_decisions", Type::int8}});
  std::map<std::string, std::int64_t> recent;
  if (request.hub.learner)
    for (const auto& decision : request.hub.learner->decisions(10000)) ++recent[decision.rule];
  std::int64_t position = 0;
  if (snapshot->policies) {
    for (const auto& rule : snapshot->policies->rules())
      table.row(++position, rule.name, rule.where, describe(rule.match), describe(rule.actions), recent[rule.name]);
    table.row(++position, "default", "[default]", "everything else", describe(snapshot->policies->defaults()), recent["default"]);
  }
  return table;
}

ConsoleResult show_rewrites(const Request& request) {
  Table table({{"rule", Type::text}, {"what", Type::text}, {"acts_when", Type::text}, {"trusts_constraints", Type::boolean},
               {"banned", Type::text}});
  const auto banned = request.hub.learner ? request.hub.learner->banned_rules() : std::map<std::string, std::string>{};
  for (const auto& rule : rewriter::all_rules())
    table.row(rule.name, rule.summary,
              rule.always_gains ? "always" : fmt::format("EXPLAIN cost is below {:.0f} % of the original's", rule.cost_threshold * 100),
              rule.trusts_constraints, banned.contains(rule.name) ? banned.at(rule.name) : std::string());
  return table;
}

ConsoleResult show_arms(const Request&) {
  Table table({{"arm", Type::text}, {"settings", Type::text}, {"why", Type::text}});
  for (const auto& arm : rewriter::arms()) {
    std::string settings;
    for (const auto& [name, value] : arm.settings) settings += fmt::format("{}{}={}", settings.empty() ? "" : " ", name, value);
    table.row(arm.name, settings, arm.why);
  }
  return table;
}

}  // namespace pgsteer::proxy::console
