#pragma once
#include <string>

#include "proxy/hub.hpp"

namespace pgsteer::proxy::http {

/// Everything known of one statement, as JSON text: totals, history over a time window in buckets, newest decisions, candidates with
/// their judgements and evidence, the planner's outline, and EXPLAIN (PGSTEER) of its normalized text with the difference of each
/// rewrite. "" when nothing is known under this fingerprint.
std::string statement_json(Hub& hub, const std::string& fingerprint, std::int64_t from_us, std::int64_t to_us);

}  // namespace pgsteer::proxy::http
