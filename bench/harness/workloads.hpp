#pragma once
#include <string>
#include <vector>

#include "bench/workload/classes.hpp"
#include "bench/workload/drive.hpp"

namespace pgsteer::harness {

struct WorkloadOptions {
  double scale = 1;
  std::uint64_t seed = 1;
  std::string replay;      ///< a csvlog, a jsonlog or an export of pg_stat_statements
  bool writes = false;     ///< replay statements that write, too
};

/// Statements, and the data they run on.
struct Workload {
  std::string name, what;
  std::vector<workload::StatementClass> classes;
  bool on_users_data = false;  ///< nothing is loaded: the statements are of the user's own database
  bool day_rhythm = false;     ///< under load, rate and mix follow a day
  std::vector<workload::Recorded> recorded;  ///< of a replay: under load these are sent, when they were due
  std::vector<std::string> notes;  ///< what was left out, for the report
};

/// oltp, analytic, joins, orm, mixed or replay. Throws std::invalid_argument.
Workload make_workload(const std::string& name, const WorkloadOptions& options);
/// "name  what" of each, for --help.
std::string workload_list();
/// Creates and fills the tables that the workloads other than replay need. Throws std::runtime_error.
void load_data(const std::string& url, const std::vector<Workload>& workloads, const WorkloadOptions& options);

}  // namespace pgsteer::harness
