// The list of reports: one file each, report_<name>.cpp.
#include "proxy/cli/cli.hpp"

namespace pgsteer::proxy::cli {
namespace {

constexpr Command reports[] = {
    {"workload", "what ran in a time window, what it gained and lost: one file to send on", add_report_workload},
    {"model", "how right the predictor's model is, and what it rests on: one page to read", add_report_model},
};

}  // namespace

std::span<const Command> all_reports() { return reports; }

}  // namespace pgsteer::proxy::cli
