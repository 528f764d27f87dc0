#pragma once
#include <string>

#include "proxy/learner/book.hpp"
#include "proxy/learner/connection.hpp"

namespace pgsteer::proxy::learning {

/// The training record of one explored execution (source "explore").
predictor::Feedback explore_feedback(const ExploreTask& task, const Instance& instance, const sql::Catalog& catalog, const std::string& label,
                                     const Answer& answer, const predictor::PlanFacts& plan);

}  // namespace pgsteer::proxy::learning
