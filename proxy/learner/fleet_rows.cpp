// Rows of the fleet's store as text, both ways.
#include "proxy/learner/fleet_rows.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstring>
#include <pqxx/pqxx>

#include "predictor/rows.hpp"

namespace pgsteer::proxy::learning {

namespace {

/// Bytes of the character that begins here; 0: it is none that PostgreSQL would take (overlong, a surrogate, cut off).
std::size_t character(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
  if (first < 0x80) return first == 0 ? 0 : 1;
  const std::size_t size = first >= 0xC2 && first <= 0xDF ? 2 : (first & 0xF0) == 0xE0 ? 3 : first >= 0xF0 && first <= 0xF4 ? 4 : 0;
  if (size == 0 || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i)
    if ((at(i) & 0xC0) != 0x80) return 0;
  const bool overlong = (first == 0xE0 && at(1) < 0xA0) || (first == 0xF0 && at(1) < 0x90);
  if (overlong || (first == 0xED && at(1) > 0x9F) || (first == 0xF4 && at(1) > 0x8F)) return 0;
  return size;
}

std::string hex(const predictor::FeatureVector& features) {
  constexpr char digits[] = "0123456789abcdef";
  const auto* bytes = reinterpret_cast<const unsigned char*>(features.data());
  std::string text = "\\x";
  text.reserve(2 + 2 * sizeof(float) * features.size());
  for (std::size_t i = 0; i < features.size() * sizeof(float); ++i) {
    text += digits[bytes[i] >> 4];
    text += digits[bytes[i] & 15];
  }
  return text;
}

predictor::FeatureVector from_hex(std::string_view text) {
  if (!text.starts_with("\\x")) return {};
  text.remove_prefix(2);
  const auto digit = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10); };
  predictor::FeatureVector features(text.size() / (2 * sizeof(float)));
  auto* bytes = reinterpret_cast<unsigned char*>(features.data());
  for (std::size_t i = 0; i < features.size() * sizeof(float); ++i)
    bytes[i] = static_cast<unsigned char>(digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));
  return features;
}

/// Fills in order. libpqxx's own conversions would round doubles.
class Writer {
 public:
  explicit Writer(FleetCells& cells) : cells_(cells) {}
  Writer& text(std::string_view value) { return put(server_text(value)); }
  Writer& integer(std::int64_t value) { return put(fmt::format("{}", value)); }
  Writer& boolean(bool value) { return put(value ? "t" : "f"); }
  Writer& real(double value) { return std::isnan(value) ? put({}, true) : put(fmt::format("{}", value)); }
  Writer& features(const predictor::FeatureVector& value) { return put(hex(value)); }
  Writer& put(std::string value, bool null = false) {
    cells_.texts.push_back(std::move(value));
    cells_.nulls.push_back(null);
    return *this;
  }

 private:
  FleetCells& cells_;
};

/// Reads in order.
class Reader {
 public:
  explicit Reader(const pqxx::row& row) : row_(row) {}
  std::string_view view() {
    const auto field = row_[at_++];
    return {field.c_str(), field.size()};
  }
  template <class Number>
  Number number() {
    const auto value = view();  // "" where it is NULL
    Number out{};
    std::from_chars(value.data(), value.data() + value.size(), out);
    return out;
  }
  std::int64_t integer() { return number<std::int64_t>(); }
  double real() { return number<double>(); }
  bool boolean() { return view() == "t"; }
  predictor::FeatureVector features() { return from_hex(view()); }

 private:
  const pqxx::row& row_;
  pqxx::row::size_type at_ = 0;
};

}  // namespace

std::string server_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size = character(text);
    if (size == 0) out += "\xEF\xBF\xBD";
    else out += text.substr(0, size);
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return out;
}

void FleetCells::clear() {
  texts.clear();
  nulls.clear();
}

const std::array<std::string, kFleetColumns>& fleet_columns() {
  // "user" in quotes: it is a reserved word, and libpqxx 6.4 does not quote names of columns.
  static const std::array<std::string, kFleetColumns> names{
      "unix_us", "database", "\"user\"", "application", "fingerprint", "shape", "feature_schema", "features", "candidate", "candidates",
      "estimate_ms", "estimate_low_ms", "estimate_high_ms", "estimate_source", "model_version", "source", "mode", "policy_rule", "reason",
      "probability", "server_ms", "total_ms", "proxy_us", "rows", "bytes", "sqlstate", "censored", "plan_cost", "trace_id", "instance"};
  return names;
}

void append_cells(const predictor::Feedback& f, const std::string& instance, FleetCells& cells) {
  Writer writer(cells);
  predictor::write_feedback(writer, f, predictor::labels_text(f.candidates));
  writer.text(instance);
}

const char* const kFleetSelect =
    "unix_us, database, \"user\", application, fingerprint, shape, feature_schema, features, candidate, candidates, estimate_ms, estimate_low_ms, "
    "estimate_high_ms, estimate_source, model_version, source, mode, policy_rule, reason, probability, server_ms, total_ms, proxy_us, rows, bytes, "
    "sqlstate, censored, plan_cost";

predictor::Feedback fleet_row(const pqxx::row& row) {
  Reader columns(row);
  return predictor::read_feedback(columns);
}

const char* const kFleetWindow =
    "unix_us, database, \"user\", application, fingerprint, candidate, source, policy_rule, reason, sqlstate, total_ms, server_ms, proxy_us, "
    "estimate_ms, estimate_low_ms, estimate_high_ms, rows";

predictor::Observation fleet_observation(const pqxx::row& row) {
  Reader columns(row);
  return predictor::read_observation(columns);
}

const char* const kFleetOutcome =
    "unix_us, fingerprint, source, sqlstate, estimate_source, model_version, censored, server_ms, estimate_ms, estimate_low_ms, estimate_high_ms";

predictor::Outcome fleet_outcome(const pqxx::row& row, predictor::FeatureVector& features) {
  Reader columns(row);
  return predictor::read_outcome(columns, features);
}

}  // namespace pgsteer::proxy::learning
