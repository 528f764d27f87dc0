// How single values of a policy file are read: each either fits or leaves a fault that says what would have.
#include <algorithm>

#include <fmt/format.h>

#include "policies/policy_loader.hpp"

namespace pgsteer::policies {
namespace {

std::optional<double> parse_share(std::string_view text) {
  const bool percent = !text.empty() && text.back() == '%';
  if (percent) text.remove_suffix(1);
  if (text.empty() || text.find_first_not_of("0123456789.") != std::string_view::npos) return std::nullopt;
  if (std::count(text.begin(), text.end(), '.') > 1 || text == "." || text.size() > 18) return std::nullopt;
  return std::stod(std::string(text)) / (percent ? 100 : 1);
}

}  // namespace

void Faults::add(std::size_t line, const std::string& text) { faults_.push_back({std::max<std::size_t>(line, 1), text}); }

void Faults::expected(const TomlValue& value, const std::string& where, const std::string& what) {
  add(value.line, fmt::format("{}: expected {}, got {}", where, what, value.describe()));
}

void Faults::move_to(std::vector<FileError>* errors) {
  std::stable_sort(faults_.begin(), faults_.end(), [](const Fault& a, const Fault& b) { return a.line < b.line; });
  for (const Fault& fault : faults_) {
    if (errors) errors->push_back({fmt::format("{}:{}: {}", file_, fault.line, fault.text)});
  }
}

void read_table(const TomlValue& value, const std::string& where, const std::vector<Field>& fields, Faults& faults) {
  const auto* table = value.table();
  if (!table) return faults.expected(value, where, "a table");
  // "[default] mode" but "[default] cache.mode".
  const std::string prefix = where.empty() ? "" : where + (where.back() == ']' ? " " : ".");
  for (const auto& entry : *table) {
    const auto field = std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.name == entry.key; });
    if (field != fields.end()) {
      field->read(entry.value, prefix + entry.key);
      continue;
    }
    std::vector<std::string> names;
    for (const Field& f : fields) names.push_back(f.name);
    faults.add(entry.line, unknown_name("key", entry.key, where, names));
  }
}

std::optional<std::chrono::microseconds> read_duration(const TomlValue& value, const std::string& where, Faults& faults) {
  if (const auto* text = value.text()) {
    if (const auto duration = parse_duration(*text)) return duration;
  }
  faults.expected(value, where, "a duration such as \"250ms\", \"2s\" or \"10min\"");
  return std::nullopt;
}

std::optional<std::chrono::milliseconds> read_milliseconds(const TomlValue& value, const std::string& where,
                                                           Faults& faults) {
  const auto duration = read_duration(value, where, faults);
  if (!duration) return std::nullopt;
  if (duration->count() % 1000 != 0) {
    faults.expected(value, where, "whole milliseconds");
    return std::nullopt;
  }
  return std::chrono::duration_cast<std::chrono::milliseconds>(*duration);
}

std::optional<double> read_number(const TomlValue& value, const std::string& where, double least, double most,
                                  Faults& faults) {
  const auto number = value.number();
  if (number && *number >= least && *number <= most) return number;
  faults.expected(value, where, fmt::format("a number from {} to {}", least, most));
  return std::nullopt;
}

std::optional<double> read_rate(const TomlValue& value, const std::string& where, Faults& faults) {
  if (const auto* text = value.text()) {
    if (const auto rate = parse_rate(*text)) return rate;
  }
  faults.expected(value, where, "a rate such as \"50/s\", \"600/min\" or \"10/h\"");
  return std::nullopt;
}

std::optional<double> read_share(const TomlValue& value, const std::string& where, Faults& faults) {
  auto share = value.number();
  if (const auto* text = value.text()) share = parse_share(*text);
  if (share && *share >= 0 && *share <= 1) return share;
  faults.expected(value, where, "a share from 0 to 1, as 0.05 or \"5%\"");
  return std::nullopt;
}

std::optional<std::string> read_name(const TomlValue& value, const std::string& where, Faults& faults) {
  if (const auto* text = value.text(); text && !text->empty()) return *text;
  faults.expected(value, where, "a name");
  return std::nullopt;
}

std::optional<std::vector<std::string>> read_names(const TomlValue& value, const std::string& where, Faults& faults) {
  std::vector<std::string> names;
  if (const auto* text = value.text(); text && !text->empty()) {
    names.push_back(*text);
    return names;
  }
  const auto* array = value.array();
  if (!array || array->empty()) {
    faults.expected(value, where, array ? "at least one name" : "a name or a list of names");
    return std::nullopt;
  }
  for (const TomlValue& item : *array) {
    const auto name = read_name(item, where, faults);
    if (!name) return std::nullopt;
    names.push_back(*name);
  }
  return names;
}

std::optional<std::string> read_choice(const TomlValue& value, const std::string& where,
                                       const std::vector<std::string>& choices, Faults& faults) {
  const auto* text = value.text();
  if (text && std::find(choices.begin(), choices.end(), *text) != choices.end()) return *text;
  faults.add(value.line, fmt::format("{}: expected {}, got {}{}", where, join_names(choices), value.describe(),
                                     text ? did_you_mean(*text, choices) : ""));
  return std::nullopt;
}

}  // namespace pgsteer::policies
