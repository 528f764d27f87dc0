// Any bytes as a statement: analysis, tree, printing, every rewrite rule. For clang's libFuzzer (tests/e2e/long/fuzz.sh);
// what it kept lies in tests/sql/crashes and is replayed by the unit tests.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

#include "rewriter/candidate.hpp"
#include "rewriter/sql/analysis.hpp"
#include "rewriter/sql/tree.hpp"
#include "tests/rewriter/schema.hpp"

using namespace pgsteer;

namespace {

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

[[noreturn]] void wrong(const char* what, const std::string& text) {
  std::fprintf(stderr, "%s:\n%s\n", what, text.c_str());
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const sql::Catalog catalog = test::shop_catalog();
  static const sql::SessionFacts session = [] {
    sql::SessionFacts facts;
    facts.user = "app";
    return facts;
  }();
  const std::string text(reinterpret_cast<const char*>(data), size);
  const double start = cpu_seconds();
  const auto analysis = sql::analyse(text);
  if (const auto tree = sql::Tree::parse(text)) {
    // What is printed means what was read, or is not printed at all.
    if (const auto printed = tree->print_verified()) {
      const auto again = sql::Tree::parse(*printed, sql::Limits{1 << 20, 100000, 2000, 8});
      if (!again || !again->same_as(*tree)) wrong("printed text is another statement", *printed);
    }
  }
  sql::Query query;
  query.text = text;
  query.session = &session;
  for (const auto& candidate : rewriter::rewrite(query, *analysis, catalog, {}))
    if (!sql::Tree::parse(candidate.text, sql::Limits{1 << 20, 100000, 2000, 8})) wrong("a rewrite that does not parse", candidate.text);
  // Under sanitizers everything is about ten times slower: 32 KB of anything stay far below this.
  if (cpu_seconds() - start > 3) wrong("more than 3 seconds", text);
  return 0;
}
