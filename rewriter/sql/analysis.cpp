#include "rewriter/sql/analysis.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <boost/json/monotonic_resource.hpp>
#include <vector>

#include "rewriter/sql/comments.hpp"
#include "rewriter/sql/json.hpp"
#include "rewriter/sql/key_conditions.hpp"
#include "rewriter/sql/parser.hpp"
#include "rewriter/sql/statements.hpp"
#include "rewriter/sql/text_scan.hpp"
#include "rewriter/sql/walker.hpp"

namespace pgsteer::sql {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

std::string hex16(std::uint64_t number) {
  std::string out(16, '0');
  for (std::size_t i = 16; i-- > 0; number >>= 4) out[i] = hex_digits[number & 15];
  return out;
}

/// A text that is not parsed still needs a name for statistics: the hash of its bytes.
void refuse(Analysis& analysis, WhyNot why, std::string_view text) {
  analysis.kind = StatementKind::unparsed;
  analysis.why_not = why;
  analysis.fingerprint = XXH3_64bits(text.data(), text.size());
  analysis.fingerprint_hex = hex16(analysis.fingerprint);
}

bool is_ddl(StatementKind kind) { return kind == StatementKind::ddl || kind == StatementKind::truncate || kind == StatementKind::refresh_view; }

void read_statements(const json::array& statements, std::string_view text, Analysis& analysis) {
  Walker walker(analysis);
  analysis.statements = static_cast<int>(statements.size());
  for (const json::value& raw : statements) {
    const json::object* wrapper = raw.if_object();
    const json::value* statement = wrapper != nullptr ? json::get(*wrapper, "stmt") : nullptr;
    const json::Node node = statement != nullptr ? json::node_of(*statement) : json::Node{};
    if (!node) continue;
    analysis.kind = kind_of(node);
    read_utility(node, text, analysis);
    walker.statement(*statement, is_ddl(analysis.kind));
    if (statements.size() == 1) read_key_conditions(node, text, analysis);
  }
  if (statements.empty()) analysis.kind = StatementKind::empty;
  if (statements.size() > 1) {
    analysis.kind = StatementKind::multiple;
    analysis.name.clear();
    analysis.explained.clear();
    analysis.flags.explain_pgsteer = analysis.flags.explain_analyze = false;
  }
}

/// The parse tree lives in an arena of the thread: freeing it node by node would cost as much as reading it.
WhyNot read_tree(const std::string& text, const Limits& limits, Analysis& analysis) {
  static thread_local std::vector<unsigned char> arena(64 * 1024);
  boost::json::monotonic_resource memory(arena.data(), arena.size());
  WhyNot why = WhyNot::none;
  const auto tree = parser::parse(text, limits, &memory, why);
  if (tree) read_statements(json::list(tree->get_object(), "stmts"), text, analysis);
  return why;
}

}  // namespace

std::string Shape::hex() const { return hex16(high) + hex16(low); }

std::shared_ptr<const Analysis> analyse(std::string_view text, const Limits& limits) {
  return analyse_scanned(text, scan_text(text, limits), limits);
}

std::shared_ptr<const Analysis> analyse_scanned(std::string_view text, const TextScan& scan, const Limits& limits) {
  auto analysis = std::make_shared<Analysis>();
  analysis->features.bytes = static_cast<int>(text.size());
  read_comments(text, scan, *analysis);
  if (scan.why != WhyNot::none) {
    refuse(*analysis, scan.why, text);
    return analysis;
  }
  analysis->shape = scan.shape;
  static thread_local std::string copy;  // libpg_query wants a C string
  copy.assign(text);
  if (const WhyNot why = read_tree(copy, limits, *analysis); why != WhyNot::none) {
    refuse(*analysis, why, text);
    return analysis;
  }
  analysis->fingerprint = parser::fingerprint(copy);
  analysis->fingerprint_hex = hex16(analysis->fingerprint);
  analysis->normalized_ = std::make_shared<Analysis::Normalized>();
  analysis->normalized_->text = text;
  return analysis;
}

const std::string& Analysis::normalized() const {
  static const std::string unparsed;
  if (!normalized_) return unparsed;
  std::call_once(normalized_->once, [&text = normalized_->text] { text = without_comments_and_strings(parser::normalize(text)); });
  return normalized_->text;
}

}  // namespace pgsteer::sql
