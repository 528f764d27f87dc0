#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "predictor/window.hpp"

/// What people read of feedback.db, on a connection of its own so that nobody waits for the writer.
namespace pgsteer::predictor::embedded {

bool read_window(const std::string& path, std::int64_t from_us, std::int64_t to_us, const std::string& fingerprint,
                 const std::function<void(const Observation&)>& row, std::string* error);
bool read_outcomes(const std::string& path, std::int64_t from_us, std::int64_t to_us, const std::function<void(const Outcome&)>& row, std::string* error);
StoreSpan read_span(const std::string& path, std::string* error);
std::map<std::string, StatementText> read_statements(const std::string& path, std::string* error);

}  // namespace pgsteer::predictor::embedded
