#pragma once
#include <cstdint>
#include <functional>
#include <map>
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

/// Executions recorded in [from_us, to_us) by time, read-only on a connection of its own, from any thread. `fingerprint` "" means
/// all; explorations, which no client waited for, are left out. The store holds a share of very frequent statements
/// (20 a second each), so what is counted here is recorded executions. False with *error when there is no store to read.
bool read_window(const std::string& state_dir, std::int64_t from_us, std::int64_t to_us, const std::string& fingerprint,
                 const std::function<void(const Observation&)>& row, std::string* error);

struct StatementText {
  std::string kind, normalized;
};
/// By fingerprint.
std::map<std::string, StatementText> read_statements(const std::string& state_dir, std::string* error);

}  // namespace pgsteer::predictor
