// The actions of a policy file: what each key of [default] and [[rule]] may say.
#include <algorithm>

#include <fmt/format.h>

#include "policies/policy_loader.hpp"

namespace pgsteer::policies {
namespace {

using Where = const std::string&;

/// true/false, or "off" for false: the short forms every switch has.
std::optional<bool> short_switch(const TomlValue& value) {
  if (const auto* b = value.boolean()) return *b;
  if (const auto* text = value.text()) {
    if (*text == "off") return false;
    if (*text == "on") return true;
  }
  return std::nullopt;
}

std::vector<std::string> rule_names() {
  std::vector<std::string> names;
  for (const auto& rule : rewriter::all_rules()) names.push_back(rule.name);
  return names;
}

std::vector<std::string> arm_names() {
  std::vector<std::string> names;
  for (const auto& arm : rewriter::arms()) names.push_back(arm.name);
  return names;
}

/// Lists such as ["all", "-cte_not_materialized"]: `whole` stands for every known name, "-x" takes one away. Only
/// exclusions mean everything else.
struct NameList {
  bool whole = false;
  std::vector<std::string> only, excluded;
};

std::optional<NameList> read_name_list(const TomlValue& value, Where where, const std::string& whole,
                                       const std::vector<std::string>& known, const std::string& what, Faults& faults) {
  const auto names = read_names(value, where, faults);
  if (!names) return std::nullopt;
  NameList list;
  bool good = true;
  for (std::size_t i = 0; i < names->size(); ++i) {
    const std::string& name = (*names)[i];
    const std::size_t line = value.array() ? (*value.array())[i].line : value.line;
    if (name == whole) {
      list.whole = true;
      continue;
    }
    const bool minus = name.front() == '-';
    const std::string bare = minus ? name.substr(1) : name;
    if (std::find(known.begin(), known.end(), bare) == known.end()) {
      auto choices = known;
      choices.push_back(whole);
      faults.add(line, fmt::format("{}: {}", where, unknown_name(what, bare, "", choices)));
      good = false;
    }
    (minus ? list.excluded : list.only).push_back(bare);
  }
  if (list.only.empty()) list.whole = true;
  return good ? std::optional(list) : std::nullopt;
}

void read_rewrite(const TomlValue& value, Where where, Actions& actions, Faults& faults) {
  if (const auto on = short_switch(value)) {
    actions.rewrite_enabled = *on;
    return;
  }
  if (!value.text() && !value.array())
    return faults.expected(value, where, "true, false, \"all\" or a list of rule names");
  const auto list = read_name_list(value, where, "all", rule_names(), "rewrite rule", faults);
  if (!list) return;
  rewriter::RuleSwitches switches;
  switches.all = list->whole;
  if (!list->whole) switches.only = list->only;
  switches.excluded = list->excluded;
  actions.rewrite = switches;
  actions.rewrite_enabled = true;
}

std::optional<std::vector<std::string>> read_arms(const TomlValue& value, Where where, Faults& faults) {
  const auto known = arm_names();
  const auto list = read_name_list(value, where, "default", known, "arm", faults);
  if (!list) return std::nullopt;
  if (list->whole && list->excluded.empty()) return std::vector<std::string>{};
  std::vector<std::string> chosen = list->whole ? known : list->only;
  std::erase_if(chosen, [&](const std::string& name) {
    return std::find(list->excluded.begin(), list->excluded.end(), name) != list->excluded.end();
  });
  if (chosen.empty()) {
    faults.expected(value, where, "at least one arm left over");
    return std::nullopt;
  }
  return chosen;
}

/// The error of a value that is neither a table nor one of the short forms.
bool refuse_form(const TomlValue& value, Where where, const std::string& forms, Faults& faults) {
  if (value.table()) return false;
  faults.expected(value, where, forms);
  return true;
}

/// A field that stores what a reader returns.
template <class Target, class Read>
Field store(std::string name, Target& target, Faults& faults, Read read) {
  return {std::move(name), [&target, &faults, read](const TomlValue& v, Where w) {
            if (auto result = read(v, w, faults)) target = *result;
          }};
}

void read_steer(const TomlValue& value, Where where, Actions& actions, const Actions& base, Faults& faults) {
  SteerAction steer = base.steer.value_or(SteerAction{});
  steer.enabled = true;
  if (const auto on = short_switch(value)) {
    steer.enabled = *on;
    actions.steer = steer;
    return;
  }
  if (refuse_form(value, where, "true, false, \"off\" or a table", faults)) return;
  const auto regression = [](const TomlValue& v, Where w, Faults& f) { return read_number(v, w, 1, 100, f); };
  const auto explore = [](const TomlValue& v, Where w, Faults& f) -> std::optional<bool> {
    if (v.boolean()) return *v.boolean();
    const auto choice = read_choice(v, w, {"offline", "off"}, f);
    return choice ? std::optional(*choice == "offline") : std::nullopt;
  };
  read_table(value, where,
             {store("arms", steer.arms, faults, read_arms),
              store("max_regression", steer.max_regression, faults, regression),
              store("min_gain", steer.min_gain, faults, read_share),
              store("min_gain_time", steer.min_gain_time, faults, read_duration),
              store("floor", steer.floor, faults, read_duration),
              store("explore", steer.explore_offline, faults, explore),
              store("budget", steer.explore_budget, faults, read_share)},
             faults);
  actions.steer = steer;
}

/// "auto" is strict consistency, for statements whose record shows that caching pays.
void set_cache_mode(const std::string& name, CacheAction& cache) {
  cache.learn = name == "auto";
  cache.mode = cache.learn ? cache::Consistency::strict : cache::parse_consistency(name).value_or(cache::Consistency::off);
}

const std::vector<std::string>& cache_modes() {
  static const std::vector<std::string> names{"off", "auto", "strict", "strict+wal", "bounded", "ttl"};
  return names;
}

std::optional<std::size_t> read_size(const TomlValue& value, Where where, Faults& faults) {
  if (const auto* i = value.integer(); i && *i >= 0) return static_cast<std::size_t>(*i);
  if (const auto* text = value.text()) {
    if (const auto bytes = parse_bytes(*text)) return static_cast<std::size_t>(*bytes);
  }
  faults.expected(value, where, "a size such as \"64kB\" or \"8MB\"");
  return std::nullopt;
}

void read_cache(const TomlValue& value, Where where, Actions& actions, const Actions& base, Faults& faults) {
  CacheAction cache = base.cache.value_or(CacheAction{});
  const auto* off = value.boolean();
  if (off && !*off) {
    set_cache_mode("off", cache);
    actions.cache = cache;
    return;
  }
  if (value.text()) {
    if (const auto mode = read_choice(value, where, cache_modes(), faults)) {
      set_cache_mode(*mode, cache);
      actions.cache = cache;
    }
    return;
  }
  if (refuse_form(value, where, "false, " + join_names(cache_modes()) + ", or a table", faults)) return;
  read_table(value, where,
             {{"mode",
               [&](const TomlValue& v, Where w) {
                 if (v.boolean() && !*v.boolean()) return set_cache_mode("off", cache);
                 if (const auto mode = read_choice(v, w, cache_modes(), faults)) set_cache_mode(*mode, cache);
               }},
              store("staleness", cache.staleness, faults, read_milliseconds),
              store("max_result", cache.max_result, faults, read_size),
              store("min_cost", cache.min_cost, faults, read_duration)},
             faults);
  actions.cache = cache;
}

void read_canary(const TomlValue& value, Where where, Actions& actions, const Actions& base, Faults& faults) {
  CanaryAction canary = base.canary.value_or(CanaryAction{});
  read_table(value, where,
             {store("share", canary.share, faults, read_share), store("control", canary.control, faults, read_share),
              store("promote_at", canary.promote_at, faults, read_share)},
             faults);
  if (canary.share + canary.control > 1)
    faults.add(value.line, fmt::format("{}: expected share and control to be at most 1 together, got {} and {}", where,
                                       canary.share, canary.control));
  actions.canary = canary;
}

void read_regret(const TomlValue& value, Where where, Actions& actions, const Actions& base, Faults& faults) {
  RegretAction regret = base.regret.value_or(RegretAction{});
  read_table(value, where,
             {store("fingerprint", regret.fingerprint, faults, read_duration), store("policy", regret.policy, faults, read_duration)}, faults);
  actions.regret = regret;
}

void read_limits(const TomlValue& value, Where where, Actions& actions, const Actions& base, Faults& faults) {
  LimitAction limits = base.limits.value_or(LimitAction{});
  const auto on_exceed = [](const TomlValue& v, Where w, Faults& f) -> std::optional<LimitAction::OnExceed> {
    const auto choice = read_choice(v, w, {"warn", "reject", "queue"}, f);
    if (!choice) return std::nullopt;
    return *choice == "warn"     ? LimitAction::OnExceed::warn
           : *choice == "reject" ? LimitAction::OnExceed::reject
                                 : LimitAction::OnExceed::queue;
  };
  const auto per_tag = [](const TomlValue& v, Where w, Faults& f) -> std::optional<std::map<std::string, double>> {
    if (!v.table()) {
      f.expected(v, w, "a table such as { route = \"10/s\" }");
      return std::nullopt;
    }
    std::map<std::string, double> rates;
    for (const auto& entry : *v.table())
      if (const auto rate = read_rate(entry.value, w + "." + entry.key, f)) rates[entry.key] = *rate;
    return rates;
  };
  read_table(value, where,
             {store("max_predicted", limits.max_predicted, faults, read_milliseconds),
              store("rate_per_user", limits.rate_per_user, faults, read_rate),
              store("rate_per_tag", limits.rate_per_tag, faults, per_tag),
              store("on_exceed", limits.on_exceed, faults, on_exceed)},
             faults);
  actions.limits = limits;
}

}  // namespace

std::vector<Field> action_fields(Actions& actions, const Actions& base, Faults& faults) {
  const auto mode = [](const TomlValue& v, Where w, Faults& f) -> std::optional<Mode> {
    if (v.boolean() && !*v.boolean()) return Mode::off;
    const auto choice = read_choice(v, w, {"off", "observe", "suggest", "canary", "auto"}, f);
    return choice ? parse_mode(*choice) : std::nullopt;
  };
  const auto route = [](const TomlValue& v, Where w, Faults& f) {
    return read_choice(v, w, {"primary", "replica", "any"}, f);
  };
  const auto verify = [](const TomlValue& v, Where w, Faults& f) -> std::optional<double> {
    if (const auto on = short_switch(v); on && !*on) return 0;
    return read_share(v, w, f);
  };
  const auto on_or_off = [](const TomlValue& v, Where w, Faults& f) {
    const auto on = short_switch(v);
    if (!on) f.expected(v, w, "true, false, \"on\" or \"off\"");
    return on;
  };
  return {store("mode", actions.mode, faults, mode),
          {"rewrite", [&](const TomlValue& v, Where w) { read_rewrite(v, w, actions, faults); }},
          {"steer", [&](const TomlValue& v, Where w) { read_steer(v, w, actions, base, faults); }},
          {"cache", [&](const TomlValue& v, Where w) { read_cache(v, w, actions, base, faults); }},
          {"canary", [&](const TomlValue& v, Where w) { read_canary(v, w, actions, base, faults); }},
          {"regret", [&](const TomlValue& v, Where w) { read_regret(v, w, actions, base, faults); }},
          {"limits", [&](const TomlValue& v, Where w) { read_limits(v, w, actions, base, faults); }},
          store("verify", actions.verify, faults, verify),
          store("reuse", actions.reuse, faults, on_or_off),
          store("lane", actions.lane, faults, read_name),
          store("route", actions.route, faults, route)};
}

}  // namespace pgsteer::policies
