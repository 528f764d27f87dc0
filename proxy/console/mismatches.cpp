// SHOW MISMATCHES, BAN RULE, UNBAN RULE: rewrite rules whose answers were not the original's.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "proxy/console/command.hpp"
#include "proxy/console/result.hpp"
#include "proxy/learner/learner.hpp"

namespace pgsteer::proxy::console {
namespace {

ConsoleResult change(const Request& request, std::string (Learner::*what)(const std::string&), const std::string& tag) {
  if (request.arguments.size() != 1) return usage(tag + " <name>");
  if (!request.hub.learner) return failure("55000", "learning is off", "A rule is left out by policy: rewrite = [\"all\", \"-<name>\"].");
  const auto error = (request.hub.learner->*what)(request.arguments[0].text);
  return error.empty() ? done(tag) : failure("22023", error, "SHOW REWRITES lists the rules.");
}

}  // namespace

ConsoleResult show_mismatches(const Request& request) {
  Table table({{"time", Type::timestamptz}, {"database", Type::text}, {"fingerprint", Type::text}, {"rules", Type::text},
               {"why", Type::text}, {"found_by", Type::text}, {"original", Type::text}, {"rewritten", Type::text}});
  if (!request.hub.learner) return table;
  for (const auto& m : request.hub.learner->mismatches())
    table.row(timestamp(m.unix_us), m.database, m.fingerprint, fmt::format("{}", fmt::join(m.rules, "+")), m.why, m.found_by,
              m.original, m.rewritten);
  return table;
}

ConsoleResult ban_rule(const Request& request) { return change(request, &Learner::ban_rule, "BAN RULE"); }
ConsoleResult unban_rule(const Request& request) { return change(request, &Learner::unban_rule, "UNBAN RULE"); }

}  // namespace pgsteer::proxy::console
