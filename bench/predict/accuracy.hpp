#pragma once
#include <cstdint>
#include <string>
#include <vector>

/// Trains as `pgsteer train` does on the older executions of the recordings and prints how right its estimates are on the
/// rest, beside the baselines: templates never seen, and seen templates with new parameters. 0 on success.
int report_accuracy(const std::vector<std::string>& files, std::uint64_t seed);
