#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "rewriter/sql/analysis.hpp"

namespace pgsteer::sql {

struct Comment {
  std::size_t begin = 0, end = 0;  ///< with its markers
  bool block = false;
};

/// What one linear pass over the tokens says, before libpg_query sees the text.
struct TextScan {
  WhyNot why = WhyNot::none;  ///< anything else: the text must not be parsed
  std::size_t tokens = 0;
  Shape shape;
  std::vector<Comment> comments;
  std::size_t code_end = 0;  ///< end of the last token that is neither comment nor semicolon
  /// Nothing but the shape decides what analyse() says: no comments, no string that could be a moving time ('now'), whatever
  /// its spelling. Literals that analyse() does read (LIMIT) are in `read_literals`.
  bool shape_decides = true;
  std::uint64_t read_literals = 0;
};

/// Checks `text` against `limits` and hashes its shape. Stops at the first limit that is passed.
TextScan scan_text(std::string_view text, const Limits& limits);

/// analyse() for a text already scanned under the same limits.
std::shared_ptr<const Analysis> analyse_scanned(std::string_view text, const TextScan& scan, const Limits& limits);

}  // namespace pgsteer::sql
