#pragma once
#include <cstdint>
#include <string>

#include "proxy/learner/fleet_link.hpp"

namespace pgsteer::proxy::learning {

/// Version of the tables in a fleet's store. The numbers are those of the embedded store: 2 has trace_id.
inline constexpr int kFleetVersion = 2;

/// First of the two numbers of our advisory locks ("pgst"); the second says what for.
inline constexpr int kFleetLocks = 0x70677374;
enum class FleetLock : std::uint8_t { schema = 1, texts = 2, compaction = 3 };
std::string lock_numbers(FleetLock lock);  ///< "(a, b)"

/// Makes the tables, or brings them to our version, when `create`; throws std::exception with the reason when what is there is of a version
/// we do not know or not ours. That is left as it is. Of several processes that come at once one does it, the others wait.
void prepare_fleet_schema(FleetLink& link, bool create);

/// Limits of one transaction, and what makes values mean the same whatever the database's own settings. First in every transaction.
inline constexpr const char* kFleetSettings =
    "SET LOCAL search_path = pg_catalog; SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '30s'; "
    "SET LOCAL idle_in_transaction_session_timeout = '60s'; SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = hex; "
    "SET LOCAL standard_conforming_strings = on; SET LOCAL client_min_messages = error";

}  // namespace pgsteer::proxy::learning
