#pragma once
#include <string>
#include <vector>

#include "cache/cache.hpp"
#include "proxy/learner/connection.hpp"

namespace pgsteer::proxy::learning {

/// What PostgreSQL itself says a statement reads and calls (CACHE.md 2.2, gate B).
struct GateB {
  cache::Judgement judgement;
  bool explorable = false;  ///< running it read-only as the probe's user tells the same story: see judge()
};

/// Asks by a temporary view that is rolled back: names, operators, casts and overloads are resolved by the server, in
/// `search_path` (already a list of quoted schemas; "" = the connection's own). Parameters become NULL of their type.
/// The verdict is `pending` when the connection fails, `refused` when the server will not make the view.
GateB judge(Connection& connection, const std::string& text, const std::vector<std::uint32_t>& parameter_types,
            const std::string& search_path);

/// `$n` outside strings, comments and quoted names replaced by (NULL::type); nullopt when a number has no type.
std::optional<std::string> replace_parameters(std::string_view text, const std::vector<std::string>& types);

}  // namespace pgsteer::proxy::learning
