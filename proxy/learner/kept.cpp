#include "proxy/learner/kept.hpp"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <nlohmann/json.hpp>

#include "proxy/state_file.hpp"

namespace pgsteer::proxy::learning {

namespace {
constexpr int kVersion = 1;

void mix(std::uint64_t& digest, std::uint64_t value) { digest = (digest ^ value) * 0x9E3779B97F4A7C15ull; }
void mix(std::uint64_t& digest, double value) { mix(digest, std::bit_cast<std::uint64_t>(value)); }
}  // namespace

std::optional<std::vector<KeptArm>> KeptFile::read(std::string* error) const {
  std::vector<KeptArm> arms;
  const bool good = read_state_file(file_, kVersion, [&](const nlohmann::json& document) {
    for (const auto& entry : document.at("arms")) {
      KeptArm arm;
      arm.fingerprint = entry.at("fingerprint").get<std::string>();
      arm.label = entry.at("arm").get<std::string>();
      arm.database = entry.at("database").get<std::string>();
      arm.search_path = entry.at("search_path").get<std::string>();
      arm.plan = parse_plan_words(entry.at("plan").get<std::string>()).value_or(0);
      arm.explored = entry.at("explored").get<std::uint64_t>();
      arm.explored_ms = entry.at("explored_ms").get<double>();
      arm.explored_default_ms = entry.at("explored_default_ms").get<double>();
      arm.worst_ratio = entry.at("worst_ratio").get<double>();
      arm.worst_default_ms = entry.at("worst_default_ms").get<double>();
      arm.cost_low = entry.at("cost_low").get<double>();
      arm.cost_high = entry.at("cost_high").get<double>();
      arm.statistics = parse_plan_words(entry.at("statistics").get<std::string>()).value_or(0);
      arm.by_hand = entry.at("by_hand").get<bool>();
      arms.push_back(std::move(arm));
    }
  }, error);
  if (!good) return std::nullopt;
  return arms;
}

bool KeptFile::write(const std::vector<KeptArm>& arms, std::string* error) const {
  if (!read(error)) return false;
  nlohmann::json document{{"version", kVersion}, {"arms", nlohmann::json::array()}};
  for (const auto& arm : arms)
    document["arms"].push_back({{"fingerprint", arm.fingerprint}, {"arm", arm.label}, {"database", arm.database}, {"search_path", arm.search_path},
                                {"plan", plan_words(arm.plan)}, {"explored", arm.explored}, {"explored_ms", arm.explored_ms},
                                {"explored_default_ms", arm.explored_default_ms}, {"worst_ratio", arm.worst_ratio},
                                {"worst_default_ms", arm.worst_default_ms}, {"cost_low", arm.cost_low}, {"cost_high", arm.cost_high}, {"statistics", plan_words(arm.statistics)}, {"by_hand", arm.by_hand}});
  return write_state_file(file_, document, error);
}

std::uint64_t statistics_digest(const sql::Analysis& analysis, const sql::Catalog& catalog, const std::string& search_path, const std::string& user) {
  std::uint64_t digest = 1;
  mix(digest, static_cast<std::uint64_t>(catalog.server_version / 10000));
  for (const auto& use : analysis.tables) {
    const auto* relation = catalog.find(use.schema, use.name, search_path, user);
    if (!relation) continue;
    mix(digest, std::uint64_t{relation->oid});
    mix(digest, relation->rows);
    for (const auto& column : relation->columns) {
      mix(digest, column.n_distinct);
      mix(digest, column.null_fraction);
      mix(digest, column.correlation);
    }
    for (const auto& index : relation->indexes) mix(digest, std::uint64_t{index.oid});
  }
  return digest == 0 ? 1 : digest;
}

std::string plan_words(std::uint64_t plan) { return plan == 0 ? std::string() : fmt::format("{:016x}", plan); }

std::optional<std::uint64_t> parse_plan_words(const std::string& text) {
  if (text.empty()) return 0;
  std::uint64_t plan = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), plan, 16);
  if (fault != std::errc() || end != text.data() + text.size() || text.size() != 16) return std::nullopt;
  return plan;
}

}  // namespace pgsteer::proxy::learning
