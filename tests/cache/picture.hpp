#pragma once
#include <string>

#include "cache/cache.hpp"

namespace pgsteer::test {

/// A catalog picture made by hand for the judgement and write-set tables.
sql::Catalog picture();
sql::SessionFacts session();

/// An analysis made by hand: kind, then words: "t" read table, "+t" written table, "f()" function, "f(2)" with that many
/// arguments, "@f()" in FROM. Tests of the analysis itself are elsewhere; here it is given.
sql::Analysis statement(sql::StatementKind kind, const std::string& words = {});

inline constexpr sql::Oid accounts = 16401, orders = 16402, lines = 16403, notes = 16404, logged = 16405, ruled = 16406,
                          events = 16410, events_1 = 16411, events_2 = 16412, base = 16420, child = 16421,
                          other_base = 16422, summary = 16430, totals = 16431, remote = 16432, secret = 16433,
                          scratch = 16434, counter = 16435, fast = 16436, staff = 16437, quiet = 16438,
                          other_accounts = 16439, parent_of_trigger = 16440, child_with_trigger = 16441;

}  // namespace pgsteer::test
