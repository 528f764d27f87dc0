#include "proxy/console/describe.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace pgsteer::proxy::console {
namespace {

void add(std::string& line, const std::string& part) {
  if (!line.empty()) line += ", ";
  line += part;
}

void add_globs(std::string& line, std::string_view name, const policies::Globs& globs) {
  if (!globs.empty()) add(line, fmt::format("{} = {}", name, fmt::join(globs, "|")));
}

std::string describe(const rewriter::RuleSwitches& switches) {
  std::string text = switches.all ? "all" : fmt::format("{}", fmt::join(switches.only, ","));
  for (const auto& name : switches.excluded) text += ",-" + name;
  return text;
}

std::string describe(const policies::CacheAction& cache) {
  if (cache.mode == cache::Consistency::off && !cache.learn) return "off";
  std::string text(cache::to_string(cache.mode));
  if (cache.mode == cache::Consistency::ttl || cache.mode == cache::Consistency::bounded)
    text += fmt::format(" {} ms", cache.staleness.count());
  return text + (cache.learn ? " (learned)" : "") + fmt::format(" up to {} kB", cache.max_result >> 10);
}

std::string describe(const policies::LimitAction& limits) {
  if (!limits.max_predicted) return "none";
  constexpr const char* words[] = {"warn", "reject", "queue"};
  return fmt::format("{} above {} ms", words[static_cast<int>(limits.on_exceed)], limits.max_predicted->count());
}

bool any_fits(const policies::Globs& globs, std::string_view value) {
  return std::any_of(globs.begin(), globs.end(), [&](const auto& glob) { return policies::glob_match(glob, value); });
}

std::string miss(std::string_view name, const policies::Globs& globs, std::string_view value) {
  if (globs.empty() || any_fits(globs, value)) return {};
  return fmt::format("{} is '{}', wanted {}", name, value, fmt::join(globs, "|"));
}

std::string table_miss(const policies::Globs& globs, const sql::Analysis& analysis) {
  if (globs.empty()) return {};
  std::vector<std::string> seen;
  for (const auto& table : analysis.tables) {
    if (any_fits(globs, table.name) || (!table.schema.empty() && any_fits(globs, table.schema + "." + table.name))) return {};
    seen.push_back(table.name);
  }
  return fmt::format("tables are {}, wanted {}", seen.empty() ? "none" : fmt::format("{}", fmt::join(seen, ",")), fmt::join(globs, "|"));
}

}  // namespace

std::string describe(const policies::Match& match) {
  std::string line;
  add_globs(line, "database", match.database);
  add_globs(line, "user", match.user);
  add_globs(line, "application", match.application);
  add_globs(line, "client_address", match.client_address);
  add_globs(line, "fingerprint", match.fingerprint);
  add_globs(line, "table", match.table);
  add_globs(line, "statement", match.statement);
  for (const auto& [tag, globs] : match.tag) add_globs(line, "tag." + tag, globs);
  return line.empty() ? "everything" : line;
}

std::string describe(const policies::Actions& actions) {
  std::string line;
  if (actions.mode) add(line, fmt::format("mode {}", policies::to_string(*actions.mode)));
  if (actions.rewrite_enabled && !*actions.rewrite_enabled) add(line, "rewrite off");
  else if (actions.rewrite) add(line, "rewrite " + describe(*actions.rewrite));
  if (actions.steer)
    add(line, actions.steer->enabled ? fmt::format("steer max_regression {}", actions.steer->max_regression) : std::string("steer off"));
  if (actions.cache) add(line, "cache " + describe(*actions.cache));
  if (actions.canary) add(line, fmt::format("canary {:.0f} %, control {:.0f} %", actions.canary->share * 100, actions.canary->control * 100));
  if (actions.regret)
    add(line, fmt::format("regret {:g} s a statement, {:g} s in all", static_cast<double>(actions.regret->fingerprint.count()) / 1e6,
                          static_cast<double>(actions.regret->policy.count()) / 1e6));
  if (actions.limits) add(line, "limits " + describe(*actions.limits));
  if (actions.verify) add(line, fmt::format("verify {:g} %", *actions.verify * 100));
  if (actions.lane) add(line, "lane " + *actions.lane);
  if (actions.route) add(line, "route " + *actions.route);
  return line.empty() ? "as [default]" : line;
}

std::string why_no_match(const policies::Match& match, const sql::Analysis& analysis, const sql::SessionFacts& session) {
  for (const auto& reason : {miss("database", match.database, session.database), miss("user", match.user, session.user),
                             miss("application", match.application, session.application),
                             miss("client address", match.client_address, session.client_address),
                             miss("fingerprint", match.fingerprint, analysis.fingerprint_hex),
                             miss("statement", match.statement, sql::to_string(analysis.kind)), table_miss(match.table, analysis)})
    if (!reason.empty()) return reason;
  for (const auto& [tag, globs] : match.tag) {
    const auto found = analysis.tags.find(tag);
    if (found == analysis.tags.end()) return fmt::format("the statement has no tag '{}'", tag);
    if (const auto reason = miss("tag " + tag, globs, found->second); !reason.empty()) return reason;
  }
  return {};
}

}  // namespace pgsteer::proxy::console
