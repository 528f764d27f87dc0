#include "proxy/state_file.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace pgsteer::proxy {

bool read_state_file(const std::string& file, int version, const std::function<void(const nlohmann::json&)>& take, std::string* error) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return true;
  std::ifstream in(file);
  try {
    const auto document = nlohmann::json::parse(in);
    if (const auto& found = document.at("version"); found.get<int>() != version)
      throw std::runtime_error("version " + found.dump() + ", expected " + std::to_string(version));
    take(document);
    return true;
  } catch (const std::exception& fault) {
    *error = file + ": " + fault.what();
    return false;
  }
}

bool write_state_file(const std::string& file, const nlohmann::json& document, std::string* error) {
  const std::string temporary = file + ".new";
  {
    std::ofstream out(temporary, std::ios::trunc);
    ::chmod(temporary.c_str(), 0600);
    out << document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
    out.flush();
    if (!out) {
      *error = "cannot write " + temporary;
      return false;
    }
  }
  std::error_code failure;
  std::filesystem::rename(temporary, file, failure);
  if (failure) *error = file + ": " + failure.message();
  return !failure;
}

}  // namespace pgsteer::proxy
