#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "policies/choose.hpp"

namespace pgsteer::policies {
namespace {

constexpr double auto_holdout = 0.02;             // stays default in auto, so that the comparison never ends
constexpr std::uint64_t sights_to_cache = 2;      // cache = "auto": executions seen before a look-up can pay

/// 53 bits of the random number as [0, 1).
double unit(std::uint64_t random) { return static_cast<double>(random >> 11) * 0x1.0p-53; }

/// What is safer than the policy may be asked for in a comment; what the policy does not give is refused, and so is a
/// word we do not know.
bool directive_allows_cache(const sql::Directive& directive, const CacheAction& cache) {
  if (!directive.cache) return true;
  const std::string& wish = *directive.cache;
  if (wish == "on" || wish == "auto" || wish == to_string(cache.mode)) return true;
  if (wish == "strict") return cache.mode == cache::Consistency::strict_wal;
  if (wish == "bounded" || wish == "ttl") return cache::exact(cache.mode);
  const auto staleness = parse_duration(wish);
  return staleness && (cache::exact(cache.mode) || cache.staleness <= *staleness);
}

cache::Reason judge_knowledge(const DecideInput& in) {
  if (!in.knowledge || !in.catalog) return cache::Reason::not_judged_yet;
  const cache::Judgement& judgement = in.knowledge->cache;
  using State = cache::Judgement::State;
  if (judgement.state == State::pending || judgement.catalog_version != in.catalog->version)
    return cache::Reason::not_judged_yet;
  if (judgement.state == State::refused)
    return judgement.reason == cache::Reason::none ? cache::Reason::not_judged_yet : judgement.reason;
  return cache::Reason::none;
}

/// Which parts of [0, 1) act: the candidate where u < candidate, the cache where u < cache, the control group where
/// u >= control. One number decides all, so that a treated execution is treated in everything.
struct Shares {
  double candidate = 0, cache = 0, control = 1;
};

Shares shares_of(const DecideInput& in, Mode mode, const Choice& choice, bool cache) {
  Shares shares;
  if (mode == Mode::auto_) {
    shares.control = 1 - auto_holdout;
    shares.candidate = shares.control;
    shares.cache = 1;
  } else {
    const double share = std::clamp(in.policy->canary.share, 0.0, 1.0);
    shares.control = std::max(1 - std::clamp(in.policy->canary.control, 0.0, 1.0), share);
    shares.candidate = share;
    shares.cache = share;
    const Evidence* evidence =
        choice.index == 0 ? nullptr : in.knowledge->find(in.candidates[choice.index].label(), plan_of(in));
    if (evidence && evidence->trial.step == Trial::Step::promoted) shares.candidate = shares.control;
  }
  if (choice.index == 0) shares.candidate = 0;
  else if (choice.ordered) shares.candidate = 1;
  if (!cache) shares.cache = 0;
  return shares;
}

/// An arm that takes twice what the original ever took under this plan, and is expected to take now, is wrong here.
double patience(const DecideInput& in, const rewriter::Candidate& chosen) {
  constexpr double times = 2, least_ms = 20, most_bytes = 64 * 1024;  // its rows are held back for so long
  if (chosen.arm.empty() || in.knowledge->history.ewma_bytes > most_bytes) return 0;
  const PlanSight* seen = in.knowledge->sight(plan_of(in));
  const Evidence* original = in.knowledge->find("as-is");
  double worst_ms = seen ? seen->worst_ms : 0;
  if (const Evidence* evidence = in.knowledge->find(chosen.label(), plan_of(in)); evidence && evidence->wide) {
    for (const PlanSight& any : in.knowledge->plans) worst_ms = std::max(worst_ms, any.worst_ms);
  }
  if (original && original->recent_ms.size() >= 3) worst_ms = std::max(worst_ms, original->p95_ms);
  if (!(worst_ms > 0)) return 0;
  return times * std::max(worst_ms, in.estimates.empty() ? 0 : in.estimates.front().ms) + least_ms;
}

/// Probability of the pair (candidate acts, cache acts) that came out.
double probability_of(const Shares& s, bool candidate, bool cache) {
  if (candidate && cache) return std::min(s.candidate, s.cache);
  if (!candidate && !cache) return 1 - std::max(s.candidate, s.cache);
  return std::abs(s.candidate - s.cache);
}

void act(const DecideInput& in, Choice choice, bool cache, Decision& d) {
  const double u = unit(in.random);
  const Shares shares = shares_of(in, d.mode, choice, cache);
  const bool use_candidate = u < shares.candidate, use_cache = u < shares.cache;
  d.probability = probability_of(shares, use_candidate, use_cache);
  const bool stands_back = (choice.index != 0 && !choice.ordered && !use_candidate) || (cache && !use_cache);
  d.control = stands_back && u >= shares.control;
  // An execution that chance keeps from the cache has no reason against caching: `detail` says what happened.
  if (use_cache) d.cache = CacheDirective::look_up;
  d.suggested = choice.index;
  const double acting = d.mode == Mode::auto_ ? shares.control : in.policy->canary.share;
  d.wants_plan = choice.wants_plan && (u < acting || u >= shares.control);  // of what is neither changed nor compared it does not matter
  if (use_candidate) {
    if (!choice.ordered) d.patience_ms = patience(in, in.candidates[choice.index]);
    d.candidate = choice.index;
    d.reason = choice.reason;
    if (d.mode == Mode::canary && !choice.ordered && shares.candidate < shares.control) {
      d.reason = ReasonCode::canary_treated;
      d.detail = fmt::format("{}: ", to_string(choice.reason));
    }
    d.detail += choice.detail;
  } else if (stands_back) {
    d.reason = d.mode == Mode::auto_ ? ReasonCode::holdout : ReasonCode::canary_control;
    d.detail = d.mode == Mode::auto_ ? "held back to keep the comparison alive"
               : d.control           ? "member of the canary's control group"
                                     : "outside the canary's share";
  } else {
    d.reason = choice.reason;
    d.detail = std::move(choice.detail);
  }
}

/// Everything that ends the matter before any candidate is looked at.
bool stand_aside(const DecideInput& in, Mode undirected, Decision& d) {
  const auto aside = [&d](ReasonCode reason, std::string detail) {
    d.reason = reason;
    d.detail = std::move(detail);
    d.cache_reason = cache::Reason::rule_off;
    return true;
  };
  if (in.panic) {
    d.mode = Mode::off;
    return aside(ReasonCode::panic, "PANIC is on: everything is relayed");
  }
  if (!in.policy->held.empty() && d.mode > Mode::observe) {
    d.mode = Mode::observe;
    return aside(ReasonCode::regret, in.policy->held);
  }
  if (d.mode <= Mode::observe) {
    if (d.mode < undirected) {
      aside(ReasonCode::directive, fmt::format("a comment in the statement asks for {}", to_string(d.mode)));
      d.cache_reason = cache::Reason::directive_off;
      return true;
    }
    const bool by_session = in.session_mode && *in.session_mode == d.mode && d.mode < in.policy->mode;
    return aside(d.mode == Mode::off ? ReasonCode::mode_off : ReasonCode::mode_observe,
                 by_session ? "the session set pgsteer.mode" : "");
  }
  if (!in.analysis || !in.query || !in.query->session || in.analysis->kind == sql::StatementKind::unparsed ||
      in.analysis->why_not != sql::WhyNot::none) {
    aside(ReasonCode::not_analysed, in.analysis ? std::string(sql::to_string(in.analysis->why_not)) : "");
    d.cache_reason = cache::Reason::syntax_unknown;
    return true;
  }
  if (in.query->session->settings_uncertain) {
    aside(ReasonCode::settings_uncertain, "a setting may have changed unseen");
    // What no setting could change is the better reason.
    d.cache_reason = in.cache_reason != cache::Reason::none ? in.cache_reason : cache::Reason::settings_unknown;
    return true;
  }
  return false;
}

}  // namespace

std::optional<Mode> directive_mode(const sql::Directive& directive) {
  if (!directive.mode) return std::nullopt;
  return parse_mode(*directive.mode).value_or(Mode::off);
}

Mode effective_mode(Mode policy, std::optional<Mode> console, std::optional<Mode> session,
                    std::optional<Mode> directive) {
  Mode mode = policy;
  if (console && policy != Mode::off) mode = *console;
  if (session) mode = std::min(mode, *session);
  if (directive) mode = std::min(mode, *directive);
  return mode;
}

cache::Reason judge_cache(const DecideInput& in) {
  const CacheAction& cache = in.policy->cache;
  if (cache.mode == cache::Consistency::off) return cache::Reason::rule_off;
  if (!directive_allows_cache(in.analysis->directive, cache)) return cache::Reason::directive_off;
  if (in.cache_reason != cache::Reason::none) return in.cache_reason;
  if (!in.analysis->read_only_select()) return cache::Reason::not_select;
  if (in.query->transaction == sql::TransactionStatus::failed) return cache::Reason::failed_transaction;
  if (in.query->session->has_temporary_objects) return cache::Reason::session_temp_objects;
  if (in.query->session->catalog_uncertain) return cache::Reason::in_transaction_after_write;
  if (const auto reason = judge_knowledge(in); reason != cache::Reason::none) return reason;
  const double ms = in.estimates.empty() ? 0 : in.estimates.front().ms;
  if (!(ms * 1000 >= static_cast<double>(cache.min_cost.count()))) return cache::Reason::cheap;
  if (cache.learn && in.knowledge->history.count < sights_to_cache) return cache::Reason::first_sight;
  return cache::Reason::none;
}

Decision decide(const DecideInput& given) {
  static const Effective built_in;
  DecideInput in = given;
  if (!in.policy) in.policy = &built_in;
  Decision d;
  d.rule = in.policy->rule.empty() ? "default" : in.policy->rule;
  const Mode undirected = effective_mode(in.policy->mode, in.console_mode, in.session_mode, std::nullopt);
  const auto directive = in.analysis ? directive_mode(in.analysis->directive) : std::nullopt;
  d.mode = directive ? std::min(undirected, *directive) : undirected;
  if (stand_aside(in, undirected, d)) return d;

  d.cache_reason = judge_cache(in);
  const bool cache = d.cache_reason == cache::Reason::none;
  Choice choice = choose(in);
  if (d.mode == Mode::suggest) {
    d.suggested = choice.index;
    d.reason = choice.index != 0 ? ReasonCode::mode_suggest : choice.reason;
    d.detail = choice.index != 0 ? fmt::format("would act, {}: {}", to_string(choice.reason), choice.detail)
                                 : std::move(choice.detail);
    if (cache) {
      d.cache_reason = cache::Reason::rule_off;
      d.detail += d.detail.empty() ? "would look into the cache" : "; would look into the cache";
    }
    return d;
  }
  d.lane = in.policy->lane;
  d.route = in.policy->route;
  act(in, std::move(choice), cache, d);
  return d;
}

}  // namespace pgsteer::policies
