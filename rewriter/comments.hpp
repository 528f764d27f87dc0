#pragma once
#include <string_view>

namespace pgsteer::rewriter {

/// Whitespace and comments in front of the first and behind the last token of a statement (with its semicolon), word for
/// word: sqlcommenter tags and marginalia stand there, and logs must still show them after a rewrite.
struct Surroundings {
  std::string_view leading, trailing;
};
Surroundings comments_around(std::string_view text);

}  // namespace pgsteer::rewriter
