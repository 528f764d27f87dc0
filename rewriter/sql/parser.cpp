#include "rewriter/sql/parser.hpp"

#include <pg_query.h>

#include <boost/json/parse.hpp>
#include <boost/json/parse_options.hpp>
#include <memory>
#include <new>

#include "rewriter/sql/integers.hpp"

namespace pgsteer::sql::parser {
namespace {

/// Frees a libpg_query result, whichever way the scope is left.
template <typename Result, void (*Free)(Result)>
class Owned {
 public:
  explicit Owned(Result result) : result_(result) {}
  ~Owned() { Free(result_); }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  const Result* operator->() const { return &result_; }

 private:
  Result result_;
};
using Parsed = Owned<PgQueryParseResult, pg_query_free_parse_result>;
using Fingerprinted = Owned<PgQueryFingerprintResult, pg_query_free_fingerprint_result>;
using Normalized = Owned<PgQueryNormalizeResult, pg_query_free_normalize_result>;

/// A bracket of SQL becomes at most this many JSON levels (SubLink > SelectStmt > list > ResTarget ...), so a text
/// within max_depth brackets nearly always fits; what does not is refused as too deep.
constexpr std::size_t json_levels_per_bracket = 8;

/// libpg_query ends the process when it finds no memory outside of its own error handling, while it writes its tree out as JSON above all.
/// So as much as that may take is asked for beforehand, and given back at once: thrown here, it costs one statement its analysis.
void demand_memory_for(const std::string& text) {
  constexpr std::size_t at_least = 512 * 1024, per_byte = 128;
  ::operator delete(::operator new(at_least + per_byte * text.size()));
}

}  // namespace

std::optional<boost::json::value> parse(const std::string& text, const Limits& limits, boost::json::storage_ptr storage,
                                        WhyNot& why) {
  demand_memory_for(text);
  const Parsed parsed(pg_query_parse(text.c_str()));
  if (parsed->error != nullptr || parsed->parse_tree == nullptr) {
    why = WhyNot::syntax;
    return std::nullopt;
  }
  boost::json::parse_options options;
  options.max_depth = static_cast<std::size_t>(limits.max_depth) * json_levels_per_bracket;
  boost::json::error_code error;
  boost::json::value tree = boost::json::parse(parsed->parse_tree, error, std::move(storage), options);
  if (error) {  // bytes that are not UTF-8 end here as well
    why = error == boost::json::error::too_deep ? WhyNot::too_deep : WhyNot::syntax;
    return std::nullopt;
  }
  if (has_lost_integers(parsed->parse_tree) && !restore_negative_integers(tree, text)) {
    why = WhyNot::lost_literal;
    return std::nullopt;
  }
  why = WhyNot::none;
  return tree;
}

std::uint64_t fingerprint(const std::string& text) {
  demand_memory_for(text);
  const Fingerprinted result(pg_query_fingerprint(text.c_str()));
  return result->error == nullptr ? result->fingerprint : 0;
}

std::string normalize(const std::string& text) {
  demand_memory_for(text);
  const Normalized result(pg_query_normalize(text.c_str()));
  if (result->error != nullptr || result->normalized_query == nullptr) return {};
  return result->normalized_query;
}

}  // namespace pgsteer::sql::parser
