#pragma once
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace pgsteer::proxy {

/// A JSON file of the state directory. A missing one is nothing to take; false with *error for one that cannot be understood: it has
/// another version, or `take` threw.
bool read_state_file(const std::string& file, int version, const std::function<void(const nlohmann::json&)>& take, std::string* error);

/// Written beside it and renamed into place: a crash leaves the old file or the new one. For its owner alone, texts of statements may be in it.
bool write_state_file(const std::string& file, const nlohmann::json& document, std::string* error);

}  // namespace pgsteer::proxy
