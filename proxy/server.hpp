#pragma once
#include <string>
#include <vector>

namespace pgsteer::proxy {

/// What `pgsteer run` was asked for.
struct RunOptions {
  std::string config_file;             ///< "" = none: defaults, environment and overrides only
  std::vector<std::string> overrides;  ///< "section.key=value", in order; later ones win
  std::string executable;              ///< path of this program: the learner starts `<executable> train` as a child
  bool replace = false;                ///< take over from the process with the same state directory
};

/// Serves until told to stop; returns the exit code of the process (78 = wrong configuration).
int run_server(const RunOptions& options);

}  // namespace pgsteer::proxy
