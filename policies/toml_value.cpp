#include "policies/toml_value.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <filesystem>
#include <sstream>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "policies/policy.hpp"

namespace pgsteer::policies {
namespace {

constexpr std::size_t max_file_bytes = 4u << 20;

TomlValue convert(const toml::node& node);

TomlValue::Table convert_table(const toml::table& table) {
  TomlValue::Table entries;
  for (const auto& [key, node] : table) {
    std::size_t line = key.source().begin.line;
    TomlValue value = convert(node);
    if (line == 0) line = value.line;
    if (value.line == 0) value.line = line;
    entries.push_back({std::string(key.str()), line, std::move(value)});
  }
  // The library keeps keys sorted; people read their file from the top.
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.line < b.line; });
  return entries;
}

TomlValue convert(const toml::node& node) {
  TomlValue result;
  result.line = node.source().begin.line;
  if (const auto* table = node.as_table()) {
    result.value = convert_table(*table);
  } else if (const auto* array = node.as_array()) {
    TomlValue::Array items;
    for (const auto& item : *array) items.push_back(convert(item));
    result.value = std::move(items);
  } else if (const auto* text = node.as_string()) {
    result.value = text->get();
  } else if (const auto* boolean = node.as_boolean()) {
    result.value = boolean->get();
  } else if (const auto* integer = node.as_integer()) {
    result.value = integer->get();
  } else if (const auto* number = node.as_floating_point()) {
    result.value = number->get();
  }
  return result;
}

}  // namespace

std::optional<double> TomlValue::number() const {
  if (const auto* i = integer()) return static_cast<double>(*i);
  if (const auto* d = std::get_if<double>(&value)) return *d;
  return std::nullopt;
}

std::string TomlValue::describe() const {
  if (const auto* s = text()) return "'" + *s + "'";
  if (const auto* b = boolean()) return *b ? "true" : "false";
  if (const auto* i = integer()) return fmt::format("the number {}", *i);
  if (const auto* d = std::get_if<double>(&value)) return fmt::format("the number {}", *d);
  if (array()) return "a list";
  if (table()) return "a table";
  return "a date or time";
}

std::optional<TomlValue> parse_toml(std::string_view text, const std::string& file_name, std::string* error) {
  try {
    const toml::table document = toml::parse(text, file_name);
    TomlValue result;
    result.line = 1;
    result.value = convert_table(document);
    return result;
  } catch (const toml::parse_error& fault) {
    std::string description(fault.description());
    std::replace(description.begin(), description.end(), '\n', ' ');
    if (error) *error = fmt::format("{}:{}: {}", file_name, fault.source().begin.line, description);
  } catch (const std::exception& fault) {
    if (error) *error = fmt::format("{}:1: {}", file_name, fault.what());
  }
  return std::nullopt;
}

std::string join_names(const std::vector<std::string>& names, std::string_view last) {
  std::string joined;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) joined += i + 1 == names.size() ? last : std::string_view(", ");
    joined += names[i];
  }
  return joined;
}

std::string did_you_mean(std::string_view wrong, const std::vector<std::string>& names) {
  const std::string near = nearest_name(wrong, names);
  return near.empty() ? "" : fmt::format(": did you mean '{}'?", near);
}

std::string unknown_name(const std::string& what, std::string_view wrong, const std::string& where,
                         const std::vector<std::string>& names) {
  const std::string hint = did_you_mean(wrong, names);
  return fmt::format("unknown {} '{}'{}{}", what, wrong, where.empty() ? "" : " in " + where,
                     hint.empty() && !names.empty() ? ": expected " + join_names(names) : hint);
}

std::optional<std::string> read_file(const std::string& path, std::string* error) {
  const auto refuse = [&](const std::string& why) {
    if (error) *error = fmt::format("{}:1: expected a readable file: {}", path, why);
    return std::nullopt;
  };
  std::error_code code;
  if (!std::filesystem::exists(path, code)) return refuse(code ? code.message() : "no such file");
  if (!std::filesystem::is_regular_file(path, code)) return refuse("not a regular file");
  if (std::filesystem::file_size(path, code) > max_file_bytes) return refuse("larger than 4 MiB");
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream content;
  if (!stream) return refuse(std::strerror(errno));
  content << stream.rdbuf();
  if (stream.bad()) return refuse(std::strerror(errno));
  return content.str();
}

}  // namespace pgsteer::policies
