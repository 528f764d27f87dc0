#pragma once
#include <string>
#include <vector>

#include "policies/replay.hpp"

namespace pgsteer::proxy {

/// The last result of `pgsteer tune`, state_dir/tuning.json: written by one process, shown by another.
struct Tuning {
  std::string when, rule;
  std::vector<policies::Evaluation> evaluations;
};
bool write_tuning(const std::string& state_dir, const std::string& rule, const std::vector<policies::Evaluation>& evaluations, std::string* error);
/// Empty without one, or when it cannot be read.
Tuning read_tuning(const std::string& state_dir);

}  // namespace pgsteer::proxy
