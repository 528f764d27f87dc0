#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "rewriter/comments.hpp"
#include "rewriter/determinism.hpp"
#include "rewriter/raising.hpp"
#include "rewriter/rule.hpp"
#include "rewriter/sql/tree.hpp"

namespace pgsteer::rewriter {
namespace {

constexpr int max_rules = 3;
constexpr int max_steps = 24;
constexpr std::size_t max_variants = 4;

bool path_is_usual(std::string_view path, std::string_view user) {
  const auto schemas = sql::split_search_path(path, user);
  const auto catalog = std::find(schemas.begin(), schemas.end(), "pg_catalog");
  return catalog == schemas.end() || catalog == schemas.begin();
}

std::string setting(const sql::Query& query, const std::string& name) {
  if (!query.session) return {};
  const auto found = query.session->settings.find(name);
  return found == query.session->settings.end() ? std::string() : found->second;
}

/// Reasons that need no tree; "" when none. The preconditions of every rule (REWRITES.md 2.4, "Global").
std::string gate(const sql::Query& query, const sql::Analysis& analysis, const sql::Catalog& catalog) {
  const auto& flags = analysis.flags;
  if (analysis.kind != sql::StatementKind::select) return "not a SELECT";
  if (analysis.why_not != sql::WhyNot::none || analysis.statements > 1) return "not analysed as one statement";
  if (!analysis.read_only_select()) return "locks, writes or SELECT INTO";
  if (flags.tablesample || flags.current_of || flags.creates_temporary) return "TABLESAMPLE, CURRENT OF or temporary";
  if (flags.function_in_from) return "function in FROM";
  if (flags.hint_comment) return "carries a hint";
  if (flags.explain_pgsteer) return "EXPLAIN (PGSTEER)";
  if (const auto* session = query.session) {
    if (session->settings_uncertain) return "session settings uncertain";
    if (session->has_temporary_objects) return "session has temporary objects";
    if (session->catalog_uncertain) return "catalogue uncertain in this transaction";
  }
  const std::string path = query.session ? query.session->search_path : std::string();
  if (!path_is_usual(path.empty() ? catalog.default_search_path : path, query.session ? query.session->user : ""))
    return "pg_catalog is not first in search_path";
  if (setting(query, "standard_conforming_strings") == "off") return "standard_conforming_strings is off";
  const auto encoding = setting(query, "client_encoding");
  if (!encoding.empty() && encoding != "UTF8" && encoding != "SQL_ASCII") return "client_encoding " + encoding;
  if (setting(query, "transform_null_equals") == "on") return "transform_null_equals is on";
  return {};
}

void parameters(const Json& node, std::set<std::int64_t>& found) {
  if (const auto* parameter = as(node, "ParamRef")) {
    const auto* number = parameter->if_contains("number");
    found.insert(number && number->is_int64() ? number->get_int64() : 0);
    return;
  }
  if (const auto* object = node.if_object())
    for (const auto& member : *object) parameters(member.value(), found);
  if (const auto* list = node.if_array())
    for (const auto& item : *list) parameters(item, found);
}

/// The table column behind an output, through subqueries and CTEs, as the server traces it; {nullptr, -1} for anything else.
std::pair<const sql::Relation*, int> origin(const OutputColumn& out) {
  const OutputColumn* column = &out;
  while (column->source && !column->source->relation) {
    const auto* query = column->source->query;
    const auto index = static_cast<std::size_t>(column->source_column);
    if (!query || query->set_operation || query->values || column->source_column < 0 || index >= query->outputs.size()) return {nullptr, -1};
    column = &query->outputs[index];
  }
  if (!column->source) return {nullptr, -1};
  return {column->source->relation, column->source_column};
}

/// Same names, types and originating columns: what RowDescription tells the client.
bool same_outputs(const Scope& before, const Scope& after) {
  if (before.outputs.size() != after.outputs.size()) return false;
  for (std::size_t i = 0; i < before.outputs.size(); ++i) {
    const auto& a = before.outputs[i];
    const auto& b = after.outputs[i];
    if (a.name != b.name || a.type.oid != b.type.oid || a.type.modifier != b.type.modifier || origin(a) != origin(b)) return false;
  }
  return true;
}

/// One statement on its way through the rules.
class Run {
 public:
  Run(const sql::Query& query, const sql::Catalog& catalog, sql::Tree original, std::set<std::int64_t> numbers)
      : query_(query), catalog_(catalog), original_(std::move(original)), numbers_(std::move(numbers)) {}

  struct Result {
    std::vector<const Rule*> fired;
    std::vector<std::string> facts;
    std::string text;
  };

  /// Applies the given rules until none fires; nothing when none did or the outcome is in doubt.
  std::optional<Result> apply(const std::vector<const Rule*>& rules, std::string* why_not) const {
    sql::Tree tree = original_;
    Result result;
    std::unique_ptr<Bound> bound;  // of the tree as it stands
    int steps = 0;
    for (bool changed = true; changed;) {
      changed = false;
      for (const auto* rule : rules) {
        const bool known = std::find(result.fired.begin(), result.fired.end(), rule) != result.fired.end();
        if (!known && static_cast<int>(result.fired.size()) >= max_rules) continue;
        for (bool again = true; again && steps < max_steps;) {
          if (!bound) bound = Bound::bind(tree, catalog_, query_, why_not);
          if (!bound) return std::nullopt;
          again = !bound->recursive() && step(*rule, tree, *bound, result);
          if (!again) continue;
          bound.reset();  // every change ends its validity; most rules change nothing, and binding costs more than looking
          ++steps;
          changed = true;
        }
      }
    }
    if (result.fired.empty() || !finish(tree, result, why_not)) return std::nullopt;
    return result;
  }

 private:
  static bool step(const Rule& rule, sql::Tree& tree, const Bound& bound, Result& result) {
    Attempt attempt{tree, bound, result.facts};
    if (!rule.apply(attempt)) return false;
    if (std::find(result.fired.begin(), result.fired.end(), &rule) == result.fired.end()) result.fired.push_back(&rule);
    return true;
  }

  bool finish(sql::Tree& tree, Result& result, std::string* why_not) const {
    const auto no = [&](const char* why) {
      if (why_not) *why_not = why;
      return false;
    };
    std::set<std::int64_t> numbers;
    parameters(tree.root(), numbers);
    if (numbers != numbers_) return no("a parameter would vanish");
    sql::Tree before = original_;
    const auto old_bound = Bound::bind(before, catalog_, query_, why_not);
    const auto new_bound = Bound::bind(tree, catalog_, query_, why_not);
    if (!old_bound || !new_bound) return false;
    if (!same_outputs(*old_bound->top(), *new_bound->top())) return no("the result's columns would change");
    const auto core = tree.print_verified();
    if (!core) return no("the rewritten tree could not be printed");
    const auto around = comments_around(query_.text);
    result.text = std::string(around.leading) + *core + std::string(around.trailing);
    // The core is verified; what was put around it must not have changed its meaning.
    const auto alone = sql::Tree::parse(*core), together = sql::Tree::parse(result.text);
    if (!alone || !together || !together->same_as(*alone)) return no("the comments could not be put back");
    return true;
  }

  const sql::Query& query_;
  const sql::Catalog& catalog_;
  sql::Tree original_;
  std::set<std::int64_t> numbers_;
};

}  // namespace

const std::vector<RuleInfo>& all_rules() {
  static const std::vector<RuleInfo> list = [] {
    std::vector<RuleInfo> infos;
    for (const auto& rule : rule_list()) infos.push_back(rule.info);
    return infos;
  }();
  return list;
}

std::vector<Candidate> rewrite(const sql::Query& query, const sql::Analysis& analysis, const sql::Catalog& catalog,
                               const RuleSwitches& switches, std::string* why_not) {
  std::string unused;
  std::string& why = why_not ? *why_not : unused;
  why = gate(query, analysis, catalog);
  if (!why.empty()) return {};
  auto tree = sql::Tree::parse(query.text);
  if (!tree) {
    why = "not parsed";
    return {};
  }
  const auto bound = Bound::bind(*tree, catalog, query, &why);
  if (bound && bound->recursive()) why = "WITH RECURSIVE";
  if (!bound || bound->recursive() || !answer_is_determined(*bound, &why)) return {};
  if (!conditions_cannot_raise(*bound)) {
    why = "a condition could raise an error, and another plan could show it other rows";
    return {};
  }

  const bool window = has_window(*bound);
  std::vector<const Rule*> allowed, always;
  for (const auto& rule : rule_list()) {
    if (!switches.allows(rule.info.name) || (window && !rule.knows_windows)) continue;
    allowed.push_back(&rule);
    if (rule.info.always_gains) always.push_back(&rule);
  }
  std::set<std::int64_t> numbers;
  parameters(tree->root(), numbers);
  const Run run(query, catalog, *tree, std::move(numbers));

  std::vector<Candidate> candidates;
  const auto offer = [&](const std::vector<const Rule*>& rules) {
    std::string reason;
    auto result = run.apply(rules, &reason);
    if (!result) {
      if (why.empty()) why = reason;
      return std::vector<const Rule*>{};
    }
    const bool repeated = std::any_of(candidates.begin(), candidates.end(),
                                      [&](const Candidate& c) { return c.text == result->text; });
    if (!repeated && candidates.size() < max_variants) {
      Candidate candidate;
      candidate.kind = CandidateKind::rewritten;
      candidate.text = std::move(result->text);
      for (const auto* rule : result->fired) candidate.rules.push_back(rule->info.name);
      candidate.facts = std::move(result->facts);
      candidate.catalog_version = catalog.version;
      candidates.push_back(std::move(candidate));
    }
    return result->fired;
  };
  // Everything together, then what always gains, then each rule by itself: the cost gate picks.
  const auto fired = offer(allowed);
  if (fired.size() > 1) {
    if (!always.empty()) offer(always);
    for (const auto* rule : fired) offer({rule});
  } else if (fired.empty()) {
    for (const auto* rule : allowed) {
      if (candidates.size() >= max_variants || why.empty()) break;
      offer({rule});  // together they came into doubt: perhaps one alone does not
    }
  }
  if (candidates.empty() && why.empty()) why = "no rule fires";
  if (!candidates.empty()) why.clear();
  return candidates;
}

bool determined(const sql::Query& query, const sql::Analysis& analysis, const sql::Catalog& catalog,
                std::string* why_not) {
  std::string unused;
  std::string& why = why_not ? *why_not : unused;
  why = gate(query, analysis, catalog);
  if (!why.empty()) return false;
  auto tree = sql::Tree::parse(query.text);
  if (!tree) {
    why = "not parsed";
    return false;
  }
  const auto bound = Bound::bind(*tree, catalog, query, &why);
  if (bound && bound->recursive()) why = "WITH RECURSIVE";
  return bound && !bound->recursive() && answer_is_determined(*bound, &why);
}

}  // namespace pgsteer::rewriter
