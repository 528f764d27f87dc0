#pragma once
#include <string_view>

namespace pgsteer::cache {

/// A stable function of the server whose answer depends only on its arguments, tables' catalog (word(cat)) and settings
/// that are in the key. Everything stable that is not listed is refused.
bool cacheable_stable_function(std::string_view name, int arguments);
/// A set-returning function of the server that may stand in FROM of a cached statement.
bool cacheable_function_in_from(std::string_view name);
/// A volatile function of the server that writes no table: it makes an answer uncacheable but marks nothing.
bool harmless_volatile_function(std::string_view name);
/// A function of the server that runs SQL text given to it, or reads tables by name: never cached, may write anything.
bool runs_sql_text(std::string_view name);

}  // namespace pgsteer::cache
