#include "policies/overlay.hpp"

#include <algorithm>
#include <array>

#include "rewriter/sql/catalog.hpp"

namespace pgsteer::policies {
namespace {

bool any_glob(const Globs& globs, std::string_view text) {
  return globs.empty() ||
         std::any_of(globs.begin(), globs.end(), [&](const auto& glob) { return glob_match(glob, text); });
}

/// A pattern without a dot is compared with the table's name; "schema.table" also with its schema. A table written
/// without a schema may be in any schema of the search path: that is enough for a match, because only the server could
/// say which one, and a rule that protects a table must not miss it.
bool table_matches(std::string_view glob, const sql::TableUse& table, const std::vector<std::string>& search_path) {
  const auto dot = glob.find('.');
  if (dot == std::string_view::npos) return glob_match(glob, table.name);
  if (!glob_match(glob.substr(dot + 1), table.name)) return false;
  const std::string_view schema = glob.substr(0, dot);
  if (!table.schema.empty()) return glob_match(schema, table.schema);
  return std::any_of(search_path.begin(), search_path.end(),
                     [&](const std::string& s) { return glob_match(schema, s); });
}

bool any_table(const Globs& globs, const sql::Analysis& analysis, const sql::SessionFacts& session) {
  if (globs.empty()) return true;
  const auto path = sql::split_search_path(
      session.search_path.empty() ? std::string_view("\"$user\", public") : std::string_view(session.search_path),
      session.user);
  for (const auto& table : analysis.tables) {
    for (const auto& glob : globs) {
      if (table_matches(glob, table, path)) return true;
    }
  }
  return false;
}

bool tags_match(const std::map<std::string, Globs>& wanted, const std::map<std::string, std::string>& tags) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& want) {
    const auto found = tags.find(want.first);
    return found != tags.end() && any_glob(want.second, found->second);
  });
}

bool matches(const Match& match, const sql::Analysis& analysis, const sql::SessionFacts& session) {
  return any_glob(match.database, session.database) && any_glob(match.user, session.user) &&
         any_glob(match.application, session.application) && any_glob(match.client_address, session.client_address) &&
         any_glob(match.statement, sql::to_string(analysis.kind)) &&
         any_glob(match.fingerprint, analysis.fingerprint_hex) && tags_match(match.tag, analysis.tags) &&
         any_table(match.table, analysis, session);
}

template <class T>
void take(const std::optional<T>& from, T& to) {
  if (from) to = *from;
}

bool caches(const Actions& actions) {
  return actions.cache && actions.cache->mode != cache::Consistency::off;
}

constexpr std::array<std::string_view, 5> mode_names{"off", "observe", "suggest", "canary", "auto"};

}  // namespace

Effective over(const Actions& actions, Effective base) {
  if (actions.mode) base.mode_given = true;
  take(actions.mode, base.mode);
  take(actions.rewrite_enabled, base.rewrite_enabled);
  take(actions.rewrite, base.rewrite);
  take(actions.steer, base.steer);
  take(actions.cache, base.cache);
  take(actions.canary, base.canary);
  take(actions.regret, base.regret);
  take(actions.limits, base.limits);
  take(actions.verify, base.verify);
  take(actions.reuse, base.reuse);
  take(actions.lane, base.lane);
  take(actions.route, base.route);
  return base;
}

std::string_view to_string(Mode mode) { return mode_names[static_cast<std::size_t>(mode) % mode_names.size()]; }

std::optional<Mode> parse_mode(std::string_view text) {
  for (std::size_t i = 0; i < mode_names.size(); ++i) {
    if (mode_names[i] == text) return static_cast<Mode>(i);
  }
  return std::nullopt;
}

Effective PolicySet::resolve(const sql::Analysis& analysis, const sql::SessionFacts& session) const {
  Effective effective;
  effective.rule = "default";
  effective.where = defaults_where_;
  effective = over(defaults_, std::move(effective));
  for (const Rule& rule : rules_) {
    if (!matches(rule.match, analysis, session)) continue;
    effective.rule = rule.name;
    effective.where = rule.where;
    effective = over(rule.actions, std::move(effective));
    break;
  }
  return effective;
}

bool PolicySet::any_cache() const {
  return caches(defaults_) || std::any_of(rules_.begin(), rules_.end(), [](const Rule& r) { return caches(r.actions); });
}

const Lane* PolicySet::lane_for(std::string_view named, double predicted_ms) const {
  const Lane* best = nullptr;
  for (const Lane& lane : lanes_) {
    if (!named.empty()) {
      if (lane.name == named) return &lane;
    } else if (lane.max_predicted && predicted_ms <= static_cast<double>(lane.max_predicted->count()) &&
               (!best || *lane.max_predicted < *best->max_predicted)) {
      best = &lane;
    }
  }
  return best;
}

}  // namespace pgsteer::policies
