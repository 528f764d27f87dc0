#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace pgsteer::predictor {

/// One execution as people look at it, without the features that training reads. The views live until the callback returns.
struct Observation {
  std::int64_t unix_us = 0;
  std::string_view database, user, application, fingerprint, candidate, source, policy_rule, reason, sqlstate;
  double ms = 0;        ///< arrival to the reply's end
  double proxy_us = 0;  ///< our own share
  double estimate_ms = 0, estimate_low_ms = 0, estimate_high_ms = 0;
  std::int64_t rows = 0;
};

/// One execution as a judge of the predictor sees it: what was said before it ran, and what the server then took.
struct Outcome {
  std::int64_t unix_us = 0;
  std::string_view fingerprint, source, sqlstate, estimate_source, model_version;
  bool censored = false;  ///< cancelled or timed out: server_ms is a lower bound
  double server_ms = 0, estimate_ms = 0, estimate_low_ms = 0, estimate_high_ms = 0;
  std::span<const float> features;  ///< empty when they are of another feature schema
};

/// Times of the oldest and the newest execution recorded; rows 0: none is.
struct StoreSpan {
  std::int64_t rows = 0, first_us = 0, last_us = 0;
};

struct StatementText {
  std::string kind, normalized;
};

}  // namespace pgsteer::predictor
