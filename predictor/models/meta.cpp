#include "predictor/models/meta.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cerrno>
#include <cstring>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "predictor/hash.hpp"

namespace pgsteer::predictor {
namespace {

using Json = nlohmann::json;
constexpr int format_version = 2;  // 2: base, intervals by class and of the young

bool parse_hex(const std::string& text, std::uint64_t& out) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), out, 16);
  return code == std::errc{} && end == text.data() + text.size();
}

}  // namespace

std::string hex64(std::uint64_t value) { return fmt::format("{:016x}", value); }

std::uint64_t model_hash(std::string_view bytes) { return StableHash().add(bytes).value(); }

std::string to_json(const ModelMeta& meta) {
  Json out;
  out["format"] = format_version;
  out["name"] = meta.name;
  out["version"] = meta.version;
  out["parent"] = meta.parent;
  out["feature_schema"] = hex64(meta.schema);
  out["features"] = meta.features;
  out["trees"] = meta.trees;
  out["seed"] = meta.seed;
  out["rows"] = meta.rows;
  out["data"] = {{"from_unix_us", meta.from_unix_us}, {"to_unix_us", meta.to_unix_us}};
  out["interval_log"] = meta.interval_log;
  out["interval_young_log"] = meta.interval_young_log;
  out["interval_unseen_log"] = meta.interval_unseen_log;
  for (std::size_t c = 0; c < statement_classes; ++c) {
    const std::string name(to_string(static_cast<StatementClass>(c)));
    out["intervals"][name] = {{"seen", meta.seen_by_class[c]}, {"unseen", meta.unseen_by_class[c]}};
  }
  Json terms = Json::object();
  for (const auto& [name, value] : meta.base.terms) terms[name] = value;
  out["base"] = {{"enabled", meta.base.enabled}, {"constant", meta.base.constant}, {"fallback", meta.base.fallback}, {"terms", terms}};
  Json ranges = Json::array();
  for (const auto& [low, high] : meta.ranges) ranges.push_back({low, high});
  out["ranges"] = ranges;
  out["objective"] = meta.objective;
  out["masked"] = meta.masked;
  out["model"] = {{"bytes", meta.model_bytes}, {"hash", hex64(meta.model_hash)}};
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

bool from_json(std::string_view text, ModelMeta* meta, std::string* error) {
  const Json json = Json::parse(text.begin(), text.end(), nullptr, false);
  if (!json.is_object()) {
    *error = "meta.json: not a JSON object";
    return false;
  }
  if (!json.contains("format") || json["format"] != format_version) {
    *error = fmt::format("meta.json: expected format {}, found {}", format_version, json.value("format", Json()).dump(-1, ' ', true, Json::error_handler_t::replace));
    return false;
  }
  try {
    meta->name = json.at("name").get<std::string>();
    meta->version = json.at("version").get<std::string>();
    meta->parent = json.at("parent").get<std::string>();
    meta->features = json.at("features").get<std::size_t>();
    meta->trees = json.at("trees").get<std::size_t>();
    meta->seed = json.at("seed").get<std::uint64_t>();
    meta->rows = json.at("rows").get<std::int64_t>();
    meta->from_unix_us = json.at("data").at("from_unix_us").get<std::int64_t>();
    meta->to_unix_us = json.at("data").at("to_unix_us").get<std::int64_t>();
    meta->interval_log = json.at("interval_log").get<double>();
    meta->interval_young_log = json.at("interval_young_log").get<double>();
    meta->interval_unseen_log = json.at("interval_unseen_log").get<double>();
    for (std::size_t c = 0; c < statement_classes; ++c) {
      const Json& half = json.at("intervals").at(std::string(to_string(static_cast<StatementClass>(c))));
      meta->seen_by_class[c] = half.at("seen").get<double>();
      meta->unseen_by_class[c] = half.at("unseen").get<double>();
    }
    const Json& base = json.at("base");
    meta->base.enabled = base.at("enabled").get<bool>();
    meta->base.constant = base.at("constant").get<double>();
    meta->base.fallback = base.at("fallback").get<double>();
    meta->base.terms.clear();
    for (const auto& [name, value] : base.at("terms").items()) meta->base.terms.emplace_back(name, value.get<double>());
    meta->ranges.clear();
    for (const Json& range : json.at("ranges")) meta->ranges.emplace_back(range.at(0).get<float>(), range.at(1).get<float>());
    meta->objective = json.at("objective").get<std::string>();
    meta->masked = json.at("masked").get<std::vector<std::string>>();
    meta->model_bytes = json.at("model").at("bytes").get<std::uint64_t>();
    if (!parse_hex(json.at("feature_schema").get<std::string>(), meta->schema) || !parse_hex(json.at("model").at("hash").get<std::string>(), meta->model_hash)) {
      *error = "meta.json: a hash is not hexadecimal";
      return false;
    }
  } catch (const Json::exception& fault) {
    *error = fmt::format("meta.json: {}", fault.what());
    return false;
  }
  const auto sane = [](double half) { return std::isfinite(half) && half >= 0 && half <= 20; };
  const auto all_sane = [&sane](const auto& list) { return std::all_of(list.begin(), list.end(), sane); };
  if (!sane(meta->interval_log) || !sane(meta->interval_young_log) || !sane(meta->interval_unseen_log) || !all_sane(meta->seen_by_class) || !all_sane(meta->unseen_by_class)) {
    *error = "meta.json: the interval is not between 0 and 20";
    return false;
  }
  return true;
}

bool read_file(const std::string& path, std::size_t max_bytes, std::string* out, std::string* error) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    *error = fmt::format("{}: {}", path, std::strerror(errno));
    return false;
  }
  if (!S_ISREG(info.st_mode) || static_cast<std::uint64_t>(info.st_size) > max_bytes) {
    *error = fmt::format("{}: not a plain file of at most {} bytes", path, max_bytes);
    return false;
  }
  out->resize(static_cast<std::size_t>(info.st_size));
  std::ifstream in(path, std::ios::binary);
  in.read(out->data(), static_cast<std::streamsize>(out->size()));
  if (!in || in.peek() != std::ifstream::traits_type::eof()) {
    *error = fmt::format("{}: cannot be read as the {} bytes it has", path, out->size());
    return false;
  }
  return true;
}

}  // namespace pgsteer::predictor
