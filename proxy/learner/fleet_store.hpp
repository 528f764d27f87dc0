#pragma once
#include <functional>
#include <memory>
#include <string>

#include "predictor/feedback.hpp"
#include "proxy/config.hpp"

namespace pgsteer::proxy::learning {

struct FleetOptions {
  std::string url;       ///< postgresql://, of the server itself
  std::string instance;  ///< who writes: column `instance`
  bool read_only = false;
  std::function<bool()> hurry;  ///< shutdown: nothing may take more than a second from then on
};

/// The feedback store of several pgsteer in one PostgreSQL: the tables of the embedded one in a schema of their own, through libpqxx. Blocking,
/// for background threads and the command line only; nothing waits longer than some seconds for a server that does not answer.
/// Texts are kept as UTF-8: what is no UTF-8, and a zero byte, becomes U+FFFD. A NaN is kept as NULL and read as 0, as in the embedded one.
/// A connection lost while a COMMIT is under way leaves open whether it happened: the caller's next try may store that batch twice.
std::unique_ptr<predictor::FeedbackStore> open_fleet_store(const FleetOptions& options, std::string* error);

/// The store that the configuration names: learning.store_url's, else the embedded one.
std::unique_ptr<predictor::FeedbackStore> open_feedback_store(const Config& config, bool read_only, std::string* error,
                                                              std::function<bool()> hurry = {});

}  // namespace pgsteer::proxy::learning
