#include "proxy/learner/rule_bans.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "policies/policy.hpp"
#include "proxy/state_file.hpp"
#include "rewriter/candidate.hpp"

namespace pgsteer::proxy::learning {

namespace {

using nlohmann::json;
constexpr int kVersion = 1;

json to_json(const MismatchRecord& m) {
  return {{"unix_us", m.unix_us},         {"database", m.database}, {"fingerprint", m.fingerprint},
          {"rules", m.rules},             {"why", m.why},           {"found_by", m.found_by},
          {"original", m.original},       {"rewritten", m.rewritten}};
}

MismatchRecord from_json(const json& j) {
  MismatchRecord m;
  m.unix_us = j.at("unix_us").get<std::int64_t>();
  m.database = j.at("database").get<std::string>();
  m.fingerprint = j.at("fingerprint").get<std::string>();
  m.rules = j.at("rules").get<std::vector<std::string>>();
  m.why = j.at("why").get<std::string>();
  m.found_by = j.at("found_by").get<std::string>();
  m.original = j.at("original").get<std::string>();
  m.rewritten = j.at("rewritten").get<std::string>();
  return m;
}

std::string unknown_rule(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& rule : rewriter::all_rules()) {
    if (rule.name == name) return {};
    names.push_back(rule.name);
  }
  const auto near = policies::nearest_name(name, names);
  return fmt::format("unknown rewrite rule \"{}\"{}", name, near.empty() ? "" : ", did you mean \"" + near + "\"?");
}

/// One line, quotes doubled as in SQL: a reader of the log gets the text back whole.
std::string on_one_line(const std::string& sql) { return json(sql).dump(-1, ' ', false, json::error_handler_t::replace); }

}  // namespace

void RuleBans::load() {
  const std::lock_guard lock(mutex_);
  const bool good = read_state_file(file_, kVersion, [&](const json& document) {
    auto banned = document.at("banned").get<std::map<std::string, std::string>>();
    std::deque<MismatchRecord> mismatches;
    for (const auto& entry : document.at("mismatches")) mismatches.push_back(from_json(entry));
    banned_ = std::move(banned);
    mismatches_ = std::move(mismatches);
  }, &error_);
  if (!good) {
    writable_ = false;
    // What was banned is not known: no rule is safe to assume unbanned.
    for (const auto& rule : rewriter::all_rules()) banned_[rule.name] = "the list of banned rules cannot be read";
    spdlog::error("event=rule_bans_refused error=\"{}\"", error_);
  }
  publish();
}

void RuleBans::mismatch(MismatchRecord record) {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& rule : record.rules) banned_[rule] = record.why;
    publish();
    mismatches_.push_front(record);
    if (mismatches_.size() > kMaxMismatches) mismatches_.pop_back();
    save();
  }
  hub_.words.flush();
  hub_.memory.clear();
  const std::string rules = fmt::format("{}", fmt::join(record.rules, "+"));
  audit_.write("mismatch", record.fingerprint, "rewrite:" + rules, record.why, {{"database", record.database},
               {"original", on_one_line(record.original)}, {"rewritten", on_one_line(record.rewritten)}});
  spdlog::error("event=rewrite_mismatch rules={} fingerprint={} database={} found_by={} why=\"{}\" action=\"rules disabled "
                "everywhere until UNBAN RULE\"", rules, record.fingerprint, record.database, record.found_by, record.why);
}

std::string RuleBans::ban(const std::string& rule, const std::string& why) {
  if (auto error = unknown_rule(rule); !error.empty()) return error;
  {
    const std::lock_guard lock(mutex_);
    banned_[rule] = why;
    publish();
    save();
  }
  audit_.write("rule_banned", "", rule, why);
  return {};
}

std::string RuleBans::unban(const std::string& rule) {
  {
    const std::lock_guard lock(mutex_);
    if (banned_.erase(rule) == 0) {
      const auto error = unknown_rule(rule);
      return error.empty() ? "rule \"" + rule + "\" is not banned" : error;
    }
    publish();
    save();
  }
  audit_.write("rule_unbanned", "", rule, "by hand");
  return {};
}

std::vector<MismatchRecord> RuleBans::mismatches() const {
  const std::lock_guard lock(mutex_);
  return {mismatches_.begin(), mismatches_.end()};
}

std::map<std::string, std::string> RuleBans::banned() const {
  const std::lock_guard lock(mutex_);
  return banned_;
}

std::string RuleBans::health() const {
  const std::lock_guard lock(mutex_);
  if (!error_.empty()) return error_;
  if (banned_.empty()) return "ok";
  std::vector<std::string> names;
  for (const auto& [rule, why] : banned_) names.push_back(rule);
  return fmt::format("degraded: {} disabled (SHOW MISMATCHES; UNBAN RULE <name> ends it)", fmt::join(names, ", "));
}

void RuleBans::publish() {
  std::vector<std::string> names;
  for (const auto& [rule, why] : banned_) names.push_back(rule);
  hub_.update([&](Snapshot& snapshot) { snapshot.banned_rules = names; });
}

void RuleBans::save() {
  if (!writable_) return;
  json document{{"version", kVersion}, {"banned", banned_}, {"mismatches", json::array()}};
  for (const auto& m : mismatches_) document["mismatches"].push_back(to_json(m));
  error_.clear();
  if (!write_state_file(file_, document, &error_)) spdlog::error("event=rule_bans_not_saved error=\"{}\"", error_);
}

}  // namespace pgsteer::proxy::learning
