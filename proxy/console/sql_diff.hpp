#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace pgsteer::proxy::console {

/// An SQL text as lines, broken before its clauses and indented by bracket depth; quoted texts and comments stay whole.
/// For people: the lines joined mean the same as the text.
std::vector<std::string> break_clauses(std::string_view sql);

/// A line diff: "  " kept, "- " only before, "+ " only after. Texts of more than 300 lines are shown whole instead.
std::vector<std::string> diff_lines(const std::vector<std::string>& before, const std::vector<std::string>& after);

/// The readable difference of two statements. Both go through the same printer first where it knows them, so that spacing,
/// case and brackets are no difference.
std::vector<std::string> diff_statements(std::string_view before, std::string_view after);

}  // namespace pgsteer::proxy::console
