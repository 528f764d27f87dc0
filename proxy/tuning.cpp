#include "proxy/tuning.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "proxy/state_file.hpp"

namespace pgsteer::proxy {
namespace {

std::string file_of(const std::string& state_dir) { return state_dir + "/tuning.json"; }

}  // namespace

bool write_tuning(const std::string& state_dir, const std::string& rule, const std::vector<policies::Evaluation>& evaluations, std::string* error) {
  nlohmann::json rows = nlohmann::json::array();
  for (const auto& e : evaluations)
    rows.push_back({{"name", e.name}, {"ratio", e.ratio}, {"low", e.low}, {"high", e.high}, {"against", e.against}, {"against_low", e.against_low},
                    {"against_high", e.against_high}, {"explored_ms", e.explored_ms}, {"supported", e.supported}, {"steered", e.steered}, {"worse", e.worse},
                    {"better", e.better}});
  const nlohmann::json document{{"when", fmt::format("{:%Y-%m-%d %H:%M:%S+00}", fmt::gmtime(std::time(nullptr)))}, {"rule", rule}, {"variants", rows}};
  return write_state_file(file_of(state_dir), document, error);
}

Tuning read_tuning(const std::string& state_dir) {
  Tuning tuning;
  std::ifstream in(file_of(state_dir));
  const auto document = nlohmann::json::parse(in, nullptr, false);
  if (!document.is_object()) return tuning;
  try {
    for (const auto& row : document.at("variants"))
      tuning.evaluations.push_back({row.at("name"), row.at("ratio"), row.at("low"), row.at("high"), row.at("against"), row.at("against_low"), row.at("against_high"),
                                    row.at("explored_ms"), row.at("supported"), row.at("steered"), row.at("worse"), row.at("better")});
    tuning.when = document.at("when");
    tuning.rule = document.at("rule");
  } catch (const nlohmann::json::exception&) {
    return {};
  }
  return tuning;
}

}  // namespace pgsteer::proxy
