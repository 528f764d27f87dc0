#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/console/console.hpp"

namespace pgsteer::proxy::console {

/// Type OIDs of console columns. pgbouncer's own types are kept where it has the column (its exporters read them).
enum class Type : std::uint32_t { boolean = 16, int8 = 20, int4 = 23, text = 25, oid = 26, float8 = 701, timestamptz = 1184, numeric = 1700 };

std::string cell(std::string_view text);
std::string cell(bool value);  ///< t or f
std::string cell(double value);
std::string cell(std::int64_t value);
std::string cell(std::uint64_t value);
inline std::string cell(int value) { return cell(static_cast<std::int64_t>(value)); }
inline std::string cell(const char* text) { return cell(std::string_view(text)); }
inline std::string cell(const std::string& text) { return text; }

/// Collects rows; every row has as many cells as there are columns.
class Table {
 public:
  Table(std::initializer_list<std::pair<const char*, Type>> columns);
  template <class... Cells>
  void row(const Cells&... cells) {
    result_.rows.push_back({cell(cells)...});
  }
  operator ConsoleResult() && { return std::move(result_); }

 private:
  ConsoleResult result_;
};

/// A bare CommandComplete.
ConsoleResult done(std::string tag);
ConsoleResult failure(std::string sqlstate, std::string message, std::string hint = {});
/// 42601 with the command's right form.
ConsoleResult usage(std::string_view right_form);

/// "2026-11-21 08:14:43 UTC", as pgbouncer prints times; "" for 0.
std::string utc_time(std::int64_t unix_us);
/// "2026-11-21 08:14:43.123456+00", a timestamptz.
std::string timestamp(std::int64_t unix_us);
/// "840 ms", "1.9 s", "12 us", "3.5 min".
std::string human_ms(double milliseconds);
std::string human_bytes(std::uint64_t bytes);

}  // namespace pgsteer::proxy::console
