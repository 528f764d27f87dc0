#include "proxy/console/result.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <ctime>

namespace pgsteer::proxy::console {

std::string cell(std::string_view text) { return std::string(text); }
std::string cell(bool value) { return value ? "t" : "f"; }
std::string cell(std::int64_t value) { return std::to_string(value); }
std::string cell(std::uint64_t value) { return std::to_string(value); }
std::string cell(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";  // as float8out writes them
  if (value == std::floor(value) && std::abs(value) < 1e15) return fmt::format("{:.0f}", value + 0.0);
  const double size = std::abs(value);
  return size >= 1000 && size < 1e15 ? fmt::format("{:.1f}", value) : size >= 1 && size < 1e15 ? fmt::format("{:.3f}", value) : fmt::format("{:.6g}", value);
}

Table::Table(std::initializer_list<std::pair<const char*, Type>> columns) {
  for (const auto& [name, type] : columns) result_.columns.push_back({name, static_cast<std::uint32_t>(type)});
}

ConsoleResult done(std::string tag) {
  ConsoleResult result;
  result.tag = std::move(tag);
  return result;
}

ConsoleResult failure(std::string sqlstate, std::string message, std::string hint) {
  ConsoleResult result;
  result.sqlstate = std::move(sqlstate);
  result.message = std::move(message);
  result.hint = std::move(hint);
  return result;
}

ConsoleResult usage(std::string_view right_form) {
  return failure("42601", fmt::format("syntax error: expected {}", right_form), "SHOW HELP lists all commands.");
}

namespace {
std::string format_time(std::int64_t unix_us) {
  const std::time_t seconds = unix_us / 1000000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                     parts.tm_min, parts.tm_sec);
}
}  // namespace

std::string utc_time(std::int64_t unix_us) { return unix_us <= 0 ? std::string() : format_time(unix_us) + " UTC"; }
std::string timestamp(std::int64_t unix_us) {
  if (unix_us < 0) unix_us = 0;
  return fmt::format("{}.{:06}+00", format_time(unix_us), unix_us % 1000000);
}

std::string human_ms(double ms) {
  if (!std::isfinite(ms)) return "unknown";
  const double size = std::abs(ms);
  if (size < 1) return fmt::format("{:.0f} us", ms * 1000);
  if (size < 10) return fmt::format("{:.2f} ms", ms);
  if (size < 1000) return fmt::format("{:.0f} ms", ms);
  if (size < 120000) return fmt::format("{:.1f} s", ms / 1000);
  return fmt::format("{:.1f} min", ms / 60000);
}

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 10 * 1024) return fmt::format("{} B", bytes);
  if (bytes < 10ull << 20) return fmt::format("{} kB", bytes >> 10);
  return fmt::format("{} MB", bytes >> 20);
}

}  // namespace pgsteer::proxy::console
