#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace pgsteer::proxy::cli {

/// Exit codes, as sysexits.h names them.
inline constexpr int exit_ok = 0, exit_failure = 1, exit_usage = 64, exit_config = 78;

/// One sub-command: adds its options to `app` and returns what to do once they are parsed (the result is the exit code).
struct Command {
  std::string_view name;
  std::string_view help;  ///< one line; "" hides it from --help
  std::function<int()> (*add)(CLI::App& app, const std::string& executable);
  std::span<const Command> (*members)() = nullptr;  ///< a group: the next word names one of these, `add` is not used
};

/// The explicit list, all.cpp.
std::span<const Command> all_commands();
/// `pgsteer report <which>`, report.cpp.
std::span<const Command> all_reports();

/// `pgsteer steering export | import`, steering.cpp.
std::span<const Command> all_steering();

std::function<int()> add_run(CLI::App&, const std::string& executable);          // run.cpp
std::function<int()> add_check(CLI::App&, const std::string& executable);        // check.cpp
std::function<int()> add_train(CLI::App&, const std::string& executable);        // train.cpp
std::function<int()> add_tune(CLI::App&, const std::string& executable);         // tune.cpp
std::function<int()> add_explain(CLI::App&, const std::string& executable);      // explain.cpp
std::function<int()> add_ctl(CLI::App&, const std::string& executable);          // ctl.cpp
std::function<int()> add_report_workload(CLI::App&, const std::string& executable);  // report_workload.cpp
std::function<int()> add_report_model(CLI::App&, const std::string& executable);  // report_model.cpp
std::function<int()> add_explore(CLI::App&, const std::string& executable);      // explore.cpp
std::function<int()> add_bench(CLI::App&, const std::string& executable);        // bench.cpp

/// `explain --verify`: runs the statement as it is and as each rewrite has it, read-only, and compares. verify.cpp
int explain_verify(const std::string& url, const std::string& statement);

/// The whole command line: finds the sub-command (`run` when none is named), parses, runs it, returns the exit code.
int run_command_line(int argc, char** argv);

}  // namespace pgsteer::proxy::cli
