#include "proxy/learner/pins.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "policies/policy.hpp"
#include "proxy/state_file.hpp"
#include "rewriter/candidate.hpp"

namespace pgsteer::proxy::learning {

namespace {
constexpr int kVersion = 1;
}

std::string Pin::banned_text() const {
  std::string text;
  for (const auto& label : banned) text += (text.empty() ? "" : ",") + label;
  return text;
}

std::optional<std::map<std::string, Pin>> PinFile::read(std::string* error) const {
  std::map<std::string, Pin> pins;
  const bool good = read_state_file(file_, kVersion, [&](const nlohmann::json& document) {
    for (const auto& entry : document.at("pins")) {
      Pin& pin = pins[entry.at("fingerprint").get<std::string>()];
      pin.pinned = entry.at("pinned").get<std::string>();
      pin.banned = entry.at("banned").get<std::vector<std::string>>();
    }
  }, error);
  if (!good) return std::nullopt;
  return pins;
}

bool PinFile::write(const std::map<std::string, Pin>& pins, std::string* error) const {
  if (!read(error)) return false;
  nlohmann::json document{{"version", kVersion}, {"pins", nlohmann::json::array()}};
  for (const auto& [fingerprint, pin] : pins)
    document["pins"].push_back({{"fingerprint", fingerprint}, {"pinned", pin.pinned}, {"banned", pin.banned}});
  return write_state_file(file_, document, error);
}

std::optional<std::string> candidate_label(const std::string& text, std::string* error) {
  if (text == "as-is") return text;
  if (text.starts_with("rewrite:")) {
    const auto& rules = rewriter::all_rules();
    std::vector<std::string> names;
    for (const auto& rule : rules) names.push_back(rule.name);
    for (std::size_t at = 8; at <= text.size();) {
      const auto end = std::min(text.find('+', at), text.size());
      const std::string name = text.substr(at, end - at);
      if (std::find(names.begin(), names.end(), name) == names.end()) {
        const auto near = policies::nearest_name(name, names);
        *error = "unknown rewrite rule \"" + name + "\"" + (near.empty() ? "" : ", did you mean \"" + near + "\"?");
        return std::nullopt;
      }
      at = end + 1;
    }
    return text;
  }
  const std::string arm = text.starts_with("arm:") ? text.substr(4) : text;
  if (rewriter::arm_named(arm)) return "arm:" + arm;
  std::vector<std::string> names;
  for (const auto& known : rewriter::arms()) names.push_back(known.name);
  for (const auto& rule : rewriter::all_rules())
    if (rule.name == arm) return "rewrite:" + arm;
  const auto near = policies::nearest_name(arm, names);
  *error = "unknown arm or rewrite \"" + text + "\"" + (near.empty() ? "" : ", did you mean \"" + near + "\"?");
  return std::nullopt;
}

}  // namespace pgsteer::proxy::learning
