#include "rewriter/candidate.hpp"

#include <algorithm>

namespace pgsteer::rewriter {

std::string Candidate::label() const {
  if (kind == CandidateKind::as_is) return "as-is";
  std::string label;
  if (!rules.empty()) {
    label = "rewrite:";
    for (std::size_t i = 0; i < rules.size(); ++i) label += (i ? "+" : "") + rules[i];
  }
  if (!arm.empty()) label += (label.empty() ? "arm:" : "+arm:") + arm;
  return label;
}

bool RuleSwitches::allows(std::string_view rule) const {
  const auto listed = [&](const std::vector<std::string>& names) {
    return std::find(names.begin(), names.end(), rule) != names.end();
  };
  return !listed(excluded) && (all || listed(only));
}

}  // namespace pgsteer::rewriter
