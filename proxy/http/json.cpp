#include "proxy/http/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace pgsteer::proxy::http {

std::string dump(const ordered_json& document) {
  return document.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

Response json_response(const ordered_json& document, int status) { return {status, "application/json", dump(document), {}}; }

Response error(int status, std::string message, std::string hint, std::string sqlstate) {
  ordered_json inner{{"status", status}, {"message", std::move(message)}};
  if (!hint.empty()) inner["hint"] = std::move(hint);
  if (!sqlstate.empty()) inner["sqlstate"] = std::move(sqlstate);
  ordered_json document = ordered_json::object();
  document["error"] = std::move(inner);
  return json_response(document, status);
}

ordered_json number(double value) { return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr); }

ordered_json value_of(const std::string& cell, std::uint32_t type) {
  const auto* end = cell.data() + cell.size();
  switch (type) {
    case 16: return cell == "t";
    case 20: case 23: {
      if (std::uint64_t value = 0; std::from_chars(cell.data(), end, value).ptr == end && !cell.empty()) return value;
      if (std::int64_t value = 0; std::from_chars(cell.data(), end, value).ptr == end && !cell.empty()) return value;
      return nullptr;
    }
    case 701: case 1700: {
      double value = 0;
      if (cell.empty() || std::from_chars(cell.data(), end, value).ptr != end) return nullptr;
      return number(value);
    }
    default: return cell;
  }
}

const char* type_name(std::uint32_t type) {
  switch (type) {
    case 16: return "boolean";
    case 20: case 23: return "integer";
    case 701: case 1700: return "number";
    default: return "string";
  }
}

ordered_json columns_of(const ConsoleResult& result) {
  ordered_json columns = ordered_json::array();
  for (const auto& column : result.columns) columns.push_back({{"name", column.name}, {"type", type_name(column.type)}});
  return columns;
}

ordered_json rows_of(const ConsoleResult& result, std::size_t from, std::size_t to) {
  ordered_json rows = ordered_json::array();
  for (std::size_t r = from; r < std::min(to, result.rows.size()); ++r) {
    ordered_json row = ordered_json::object();
    for (std::size_t c = 0; c < result.columns.size(); ++c) row[result.columns[c].name] = value_of(result.rows[r][c], result.columns[c].type);
    rows.push_back(std::move(row));
  }
  return rows;
}

Response failed(const ConsoleResult& result) {
  const auto& sqlstate = result.sqlstate;
  const int status = sqlstate == "42501"   ? 403
                     : sqlstate == "42704" ? 404
                     : sqlstate == "55000" ? 409
                     : sqlstate.starts_with("XX") ? 500 : 400;
  return error(status, result.message, result.hint, sqlstate);
}

std::string parameter(const Request& request, const std::string& name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? std::string() : found->second;
}

bool read_number(const Request& request, const std::string& name, std::uint64_t most, std::uint64_t* value) {
  const auto found = request.query.find(name);
  if (found == request.query.end()) return true;
  const auto* end = found->second.data() + found->second.size();
  return !found->second.empty() && std::from_chars(found->second.data(), end, *value).ptr == end && *value <= most;
}

std::optional<Response> read_page(const Request& request, Page* page) {
  std::uint64_t limit = page->limit, offset = page->offset;
  if (!read_number(request, "limit", kMaxRows, &limit)) return error(400, fmt::format("limit: expected a whole number up to {}", kMaxRows));
  if (!read_number(request, "offset", kMaxRows, &offset)) return error(400, fmt::format("offset: expected a whole number up to {}", kMaxRows));
  *page = {limit, offset};
  return std::nullopt;
}

ordered_json table_document(std::string_view name, const ConsoleResult& result, const Page& page) {
  return {{"name", name},
          {"columns", columns_of(result)},
          {"rows", rows_of(result, page.offset, page.offset + page.limit)},
          {"limit", page.limit},
          {"offset", page.offset},
          {"more", result.rows.size() > page.offset + page.limit}};
}

}  // namespace pgsteer::proxy::http
