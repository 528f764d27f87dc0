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
