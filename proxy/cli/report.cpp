// The list of reports: one file each, report_<name>.cpp.
#include "proxy/cli/cli.hpp"

namespace pgsteer::proxy::cli {
namespace {

constexpr Command reports[] = {
    {"workload", "what ran in a time window, what it gained and lost: one file to send on", add_report_workload},
};

}  // namespace

std::span<const Command> all_reports() { return reports; }

}  // namespace pgsteer::proxy::cli
