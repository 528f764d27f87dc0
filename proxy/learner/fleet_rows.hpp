#pragma once
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "predictor/feedback.hpp"

namespace pqxx {
class row;
}

namespace pgsteer::proxy::learning {

inline constexpr std::size_t kFleetColumns = 30;
/// Names of the columns that append_cells() fills, in its order.
const std::array<std::string, kFleetColumns>& fleet_columns();

/// A row's values as text for COPY.
struct FleetCells {
  std::vector<std::string> texts;
  std::vector<bool> nulls;
  void clear();
};
void append_cells(const predictor::Feedback& feedback, const std::string& instance, FleetCells& cells);

/// Columns of a SELECT, without kind and text of the statement.
extern const char* const kFleetSelect;
predictor::Feedback fleet_row(const pqxx::row& row);

extern const char* const kFleetWindow;
predictor::Observation fleet_observation(const pqxx::row& row);  ///< views into the row's result

/// Without the features, which are the column behind; `features` holds them for the Outcome's view.
extern const char* const kFleetOutcome;
predictor::Outcome fleet_outcome(const pqxx::row& row, predictor::FeatureVector& features);

/// As PostgreSQL takes a text: UTF-8 without a zero byte; everything else becomes U+FFFD.
std::string server_text(std::string_view text);

}  // namespace pgsteer::proxy::learning
