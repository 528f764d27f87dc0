#include "proxy/learner/audit.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <ctime>
#include <fstream>

namespace pgsteer::proxy::learning {

void Audit::write(const std::string& event, const std::string& fingerprint, const std::string& label,
                  const std::string& why, const std::vector<std::pair<std::string, std::string>>& more) {
  std::string line = fmt::format("{:%Y-%m-%dT%H:%M:%SZ} event={}", fmt::gmtime(std::time(nullptr)), event);
  if (!fingerprint.empty()) line += " fingerprint=" + fingerprint;
  if (!label.empty()) line += " label=" + label;
  if (!why.empty()) line += " why=\"" + why + "\"";
  spdlog::info("audit {}", line.substr(line.find(' ') + 1));
  for (const auto& [key, value] : more) line += " " + key + "=" + value;
  const std::lock_guard lock(mutex_);
  std::ofstream file(file_, std::ios::app);
  file << line << '\n';
  file.flush();
  if (!file) spdlog::warn("audit log: cannot write {}", file_);
}

}  // namespace pgsteer::proxy::learning
