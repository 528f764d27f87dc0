#pragma once
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "proxy/console/command.hpp"
#include "proxy/http/api.hpp"

namespace pgsteer::proxy::http {

using nlohmann::ordered_json;

std::string dump(const ordered_json& document);  ///< one line; bytes that are no UTF-8 are replaced
std::string lower(std::string text);
Response json_response(const ordered_json& document, int status = 200);

/// A cell in the JSON type of its column; null where a number is none.
ordered_json value_of(const std::string& cell, std::uint32_t type);
const char* type_name(std::uint32_t type);
ordered_json columns_of(const ConsoleResult& result);
ordered_json rows_of(const ConsoleResult& result, std::size_t from, std::size_t to);
ordered_json number(double value);  ///< null unless it is finite

/// The answer to a console command that failed.
Response failed(const ConsoleResult& result);

/// limit and offset of a request, or what is wrong with them.
struct Page {
  std::size_t limit = 1000, offset = 0;
};
constexpr std::size_t kMaxRows = 100000;
std::optional<Response> read_page(const Request& request, Page* page);
/// A query parameter that is a whole number up to `most`; false when it is something else. Missing: `value` stays.
bool read_number(const Request& request, const std::string& name, std::uint64_t most, std::uint64_t* value);
std::string parameter(const Request& request, const std::string& name);  ///< "" when missing

/// {"name", "columns", "rows", "limit", "offset", "more"} of rows that are those from 0 on.
ordered_json table_document(std::string_view name, const ConsoleResult& result, const Page& page);

ordered_json schema_of_answer(Hub& hub, const Endpoint& endpoint);  ///< schemas.cpp

}  // namespace pgsteer::proxy::http
