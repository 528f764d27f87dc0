#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "policies/policy.hpp"
#include "policies/toml_value.hpp"

namespace pgsteer::policies {

/// Collects what is wrong with one file; every check goes on after a fault, so that one run shows all of them.
class Faults {
 public:
  explicit Faults(std::string file) : file_(std::move(file)) {}
  void add(std::size_t line, const std::string& text);
  /// "[[rule]] mode: expected one of off, observe ..., got 'atuo'"
  void expected(const TomlValue& value, const std::string& where, const std::string& what);
  const std::string& file() const { return file_; }
  /// In the order of lines.
  void move_to(std::vector<FileError>* errors);
  bool empty() const { return faults_.empty(); }

 private:
  struct Fault {
    std::size_t line;
    std::string text;
  };
  std::string file_;
  std::vector<Fault> faults_;
};

/// A key a table may have and what reads its value.
struct Field {
  std::string name;
  std::function<void(const TomlValue& value, const std::string& where)> read;
};
/// Reads a table against its fields; unknown keys are faults. `where` ends in "]" for a section, else it is a key.
void read_table(const TomlValue& value, const std::string& where, const std::vector<Field>& fields, Faults& faults);

/// Reads the keys of [default] or of one [[rule]] that say what to do. Tables that set only some keys keep the values of
/// `base` for the others.
std::vector<Field> action_fields(Actions& actions, const Actions& base, Faults& faults);

/// Reads match = { ... }.
void read_match(const TomlValue& value, const std::string& where, Match& match, Faults& faults);

// Values with units; a fault is recorded and nullopt returned when they do not fit.
std::optional<std::chrono::microseconds> read_duration(const TomlValue& value, const std::string& where, Faults& faults);
std::optional<std::chrono::milliseconds> read_milliseconds(const TomlValue& value, const std::string& where,
                                                           Faults& faults);
std::optional<double> read_number(const TomlValue& value, const std::string& where, double least, double most,
                                  Faults& faults);
/// Statements a second.
std::optional<double> read_rate(const TomlValue& value, const std::string& where, Faults& faults);
std::optional<double> read_share(const TomlValue& value, const std::string& where, Faults& faults);
std::optional<std::string> read_name(const TomlValue& value, const std::string& where, Faults& faults);
std::optional<std::vector<std::string>> read_names(const TomlValue& value, const std::string& where, Faults& faults);
std::optional<std::string> read_choice(const TomlValue& value, const std::string& where,
                                       const std::vector<std::string>& choices, Faults& faults);

}  // namespace pgsteer::policies
