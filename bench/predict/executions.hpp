#pragma once
#include <memory>
#include <string>
#include <vector>

#include "predictor/estimate.hpp"

namespace pgsteer::bench {

/// One execution that collect.py recorded.
struct Execution {
  std::string database, shape;  ///< shape: point, join, group ... of the generator
  std::shared_ptr<const sql::Analysis> analysis;
  const sql::Catalog* catalog = nullptr;
  predictor::PlanFacts plan;
  double ms = 0;                ///< the server's CPU time, the least of all runs
  double wall_ms = 0;           ///< the same of wall time
  std::vector<double> runs;     ///< CPU time of each run of the first pass
  std::vector<double> passes;   ///< the least of each later pass
  double rows = 0, bytes = 0;
  bool cut_off = false;         ///< at the time limit: ms is a lower bound

  std::string statement() const { return database + "/" + analysis->fingerprint_hex; }
};

struct Recording {
  std::vector<std::unique_ptr<sql::Catalog>> catalogs;
  std::vector<Execution> executions;  ///< of all files, interleaved as if both databases were asked at the same time
};

/// Reads files of collect.py; false with a message on standard error.
bool read_recording(const std::vector<std::string>& files, Recording* out);

}  // namespace pgsteer::bench
