#include <algorithm>
#include <cctype>

#include "rewriter/candidate.hpp"

namespace pgsteer::rewriter {
namespace {

/// pg_hint_plan reads a Set() hint up to the closing bracket: only plain words may go in.
bool plain_word(std::string_view word) {
  return !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '.';
  });
}

/// Leading(…) and Rows(…), one after the other, of words, numbers and brackets: nothing that could end the comment or be another hint.
bool is_hints(std::string_view text) {
  constexpr std::size_t longest = 2000;
  if (text.empty() || text.size() > longest) return false;
  while (!text.empty()) {
    if (text.starts_with("Leading(")) text.remove_prefix(8);
    else if (text.starts_with("Rows(")) text.remove_prefix(5);
    else return false;
    int depth = 1;
    std::size_t at = 0;
    for (; at < text.size() && depth > 0; ++at) {
      const auto c = static_cast<unsigned char>(text[at]);
      if (c == '(') ++depth;
      else if (c == ')') --depth;
      else if (!std::isalnum(c) && c != '_' && c != ' ' && c != '#') return false;
    }
    if (depth != 0) return false;
    text.remove_prefix(at);
    if (!text.empty() && (text[0] != ' ' || text.size() == 1)) return false;
    if (!text.empty()) text.remove_prefix(1);
  }
  return true;
}

}  // namespace

const std::vector<Arm>& arms() {
  // The order of trial of STEERING.md 7.2. memoize/material/sort arms and merge-only are left out: they won nothing there.
  static const std::vector<Arm> list{
      {"hash_only", "hash joins over sequential and bitmap scans: for nested loops chosen on too low an estimate",
       {{"enable_nestloop", "off"}, {"enable_mergejoin", "off"}, {"enable_indexscan", "off"}}},
      {"no_nestloop", "no nested loops: an under-estimated outer side makes them quadratic",
       {{"enable_nestloop", "off"}}},
      {"no_merge_no_seqscan", "no merge joins, no sequential scans",
       {{"enable_mergejoin", "off"}, {"enable_seqscan", "off"}}},
      {"no_seqscan", "indexes wherever there are some", {{"enable_seqscan", "off"}}},
      {"no_hash", "no hash joins: for hashes that spill to disk", {{"enable_hashjoin", "off"}}},
      {"nestloop_only", "nested loops only: for few rows and good indexes",
       {{"enable_hashjoin", "off"}, {"enable_mergejoin", "off"}}},
      {"random_page_cost_1_1", "random reads cost as on SSD or in memory", {{"random_page_cost", "1.1"}}},
      {"geqo_1", "another join order, found by chance: for many tables whose sizes are misjudged",
       {{"geqo_threshold", "2"}, {"geqo_seed", "0.25"}}},
      {"geqo_2", "and another", {{"geqo_threshold", "2"}, {"geqo_seed", "0.75"}}},
      {"no_jit", "no just-in-time compilation: its cost is charged before the first row", {{"jit", "off"}}},
      {"work_mem_64mb", "sorts and hashes of this statement may use 64 MB each", {{"work_mem", "65536"}}},
  };
  return list;
}

const Arm* find_arm(std::string_view name) {
  const auto& list = arms();
  const auto found = std::find_if(list.begin(), list.end(), [&](const Arm& arm) { return arm.name == name; });
  return found == list.end() ? nullptr : &*found;
}

std::optional<Arm> arm_named(std::string_view name) {
  if (const Arm* listed = find_arm(name)) return *listed;
  if (!is_hints(name)) return std::nullopt;
  return Arm{std::string(name), "join order or sizes as seen when the statement was explored", {}, std::string(name)};
}

bool can_steer(std::string_view text, const Arm& arm, bool hint_plan) {
  return arm.hints.empty() || (hint_plan && text.find("/*+") == std::string_view::npos);
}

Candidate steer(std::string_view text, const Arm& arm, bool hint_plan) {
  Candidate candidate;
  candidate.arm = arm.name;
  // Set() hints act on planning only: a work_mem hint would plan for memory the executor does not get.
  const bool only_planning = std::none_of(arm.settings.begin(), arm.settings.end(), [](const Setting& s) {
    return s.name == "work_mem" || s.name == "jit" || !plain_word(s.name) || !plain_word(s.value);
  });
  // A statement with a hint of its own is somebody's decision; ours in front would silence it.
  if (hint_plan && only_planning && text.find("/*+") == std::string_view::npos) {
    candidate.kind = CandidateKind::hinted;
    candidate.text = "/*+";
    if (!arm.hints.empty()) candidate.text += " " + arm.hints;
    for (const auto& setting : arm.settings) candidate.text += " Set(" + setting.name + " " + setting.value + ")";
    candidate.text += " */ ";
    candidate.text += text;
    return candidate;
  }
  candidate.kind = CandidateKind::settings;
  candidate.settings = arm.settings;
  return candidate;
}

}  // namespace pgsteer::rewriter
