#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace pgsteer::policies {

/// A TOML document as plain values that remember their line. The one place where the TOML library is seen is
/// toml_value.cpp; policy files and the configuration are both read through this.
struct TomlValue {
  struct Entry;
  using Array = std::vector<TomlValue>;
  using Table = std::vector<Entry>;  ///< in the order of the file
  /// monostate stands for what no setting of ours takes: dates and times.
  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Table> value;
  std::size_t line = 0;  ///< 1-based

  const Table* table() const { return std::get_if<Table>(&value); }
  const Array* array() const { return std::get_if<Array>(&value); }
  const std::string* text() const { return std::get_if<std::string>(&value); }
  const bool* boolean() const { return std::get_if<bool>(&value); }
  const std::int64_t* integer() const { return std::get_if<std::int64_t>(&value); }
  std::optional<double> number() const;  ///< of an integer or a float
  /// What came, for messages: "'abc'", "the number 3", "true", "a table", "a list".
  std::string describe() const;
};

struct TomlValue::Entry {
  std::string key;
  std::size_t line = 0;  ///< of the key
  TomlValue value;
};

/// The whole document as one table; on a syntax error nullopt and "file:line: ..." in *error.
std::optional<TomlValue> parse_toml(std::string_view text, const std::string& file_name, std::string* error);

/// "unknown key 'mdoe' in [[rule]]: did you mean 'mode'?"; with nothing near, the valid names are listed.
std::string unknown_name(const std::string& what, std::string_view wrong, const std::string& where,
                         const std::vector<std::string>& names);
/// ": did you mean 'x'?" or "".
std::string did_you_mean(std::string_view wrong, const std::vector<std::string>& names);
/// "a, b or c"
std::string join_names(const std::vector<std::string>& names, std::string_view last = " or ");

/// A whole file; nullopt and the reason in *error when it cannot be read or exceeds 4 MiB.
std::optional<std::string> read_file(const std::string& path, std::string* error);

}  // namespace pgsteer::policies
