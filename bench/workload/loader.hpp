#pragma once
#include <string>

#include "bench/workload/generator.hpp"

namespace pgsteer::workload {

/// Creates the tables, loads them by COPY, adds keys and indexes, analyses. Progress goes to standard error: a bar on a
/// terminal, else one line a table. Drops tables of the same names first. Throws std::runtime_error.
Digest load(const std::string& url, const Scale& scale, std::uint64_t seed);

}  // namespace pgsteer::workload
