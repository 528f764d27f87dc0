// The console's tables as JSON: one implementation, two ways to read it. Statements and decisions can be filtered and sorted here.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "proxy/http/json.hpp"

namespace pgsteer::proxy::http {
namespace {

const console::Command* table_command(std::string_view name) {
  for (const auto& command : console::all_commands())
    if (command.listed && command.name.starts_with("SHOW ") && lower(std::string(command.name.substr(5))) == name) return &command;
  return nullptr;
}

Response show(std::string_view name, const Call& call) {
  const auto* found = table_command(name);
  if (!found) {
    const auto near = policies::nearest_name(std::string(name.substr(0, 64)), table_names());
    return error(404, "there is no table '" + std::string(name.substr(0, 64)) + "'",
                 near.empty() ? "GET /api/v1/show/help lists commands." : "Did you mean '" + near + "'?");
  }
  Page page;
  if (auto wrong = read_page(call.request, &page)) return *wrong;
  std::string text(found->name);
  if (found->arguments == "[limit]") text += fmt::format(" {}", page.offset + page.limit + 1);
  const auto result = run_console_command(call.hub, {"http", false}, text);
  if (!result.sqlstate.empty()) return failed(result);
  return json_response(table_document(name, result, page));
}

using Query = QueryStatistics;
using Less = bool (*)(const Query&, const Query&);
struct Order {
  std::string_view name;
  Less less;
};
#define PGSTEER_BY(column) {#column, [](const Query& a, const Query& b) { return a.column < b.column; }}
constexpr Order orders[] = {PGSTEER_BY(total_ms), PGSTEER_BY(calls), PGSTEER_BY(errors), PGSTEER_BY(rows), PGSTEER_BY(mean_ms), PGSTEER_BY(p50_ms),
                            PGSTEER_BY(p95_ms), PGSTEER_BY(p99_ms), PGSTEER_BY(predicted_ms), PGSTEER_BY(q_error_p50), PGSTEER_BY(saved_ms),
                            PGSTEER_BY(cache_hits), PGSTEER_BY(rewritten), PGSTEER_BY(steered), PGSTEER_BY(fingerprint), PGSTEER_BY(database),
                            PGSTEER_BY(kind), PGSTEER_BY(cacheable), PGSTEER_BY(action)};
#undef PGSTEER_BY

bool contains(const std::string& text, const std::string& part) {  // `part` in lower case
  return std::search(text.begin(), text.end(), part.begin(), part.end(), [](unsigned char a, unsigned char b) { return std::tolower(a) == b; }) != text.end();
}

}  // namespace

std::vector<std::string> table_names() {
  std::vector<std::string> names;
  for (const auto& command : console::all_commands())
    if (command.listed && command.name.starts_with("SHOW ")) names.push_back(lower(std::string(command.name.substr(5))));
  return names;
}

Response table(const Call& call) { return show(call.request.path.substr(call.request.path.rfind('/') + 1), call); }
Response any_table(const Call& call) { return show(call.argument, call); }

Response statements(const Call& call) {
  const auto& request = call.request;
  Page page{.limit = 100, .offset = 0};
  if (auto wrong = read_page(request, &page)) return *wrong;
  const auto sort = request.query.contains("sort") ? parameter(request, "sort") : "total_ms";
  const auto* order = std::find_if(std::begin(orders), std::end(orders), [&](const Order& o) { return o.name == sort; });
  if (order == std::end(orders)) return error(400, "sort: expected a column such as total_ms, calls, mean_ms or saved_ms");
  const auto direction = request.query.contains("order") ? parameter(request, "order") : "desc";
  if (direction != "asc" && direction != "desc") return error(400, "order: expected asc or desc");
  const auto search = lower(parameter(request, "search").substr(0, 1000));
  const auto database = parameter(request, "database"), kind = parameter(request, "kind"), action = parameter(request, "action");
  auto queries = call.hub.learner ? call.hub.learner->queries() : std::vector<Query>();
  std::erase_if(queries, [&](const Query& q) {
    const bool acted = action.empty() || (action == "cached" ? q.cache_hits > 0 : action == "rewritten" ? q.rewritten > 0 : action == "steered" ? q.steered > 0 : action == "failed" ? q.errors > 0 : contains(q.action, lower(action)));
    return !acted || (!database.empty() && q.database != database) || (!kind.empty() && q.kind != kind) ||
           (!search.empty() && !contains(q.normalized, search) && !contains(q.fingerprint, search));
  });
  const bool descending = direction == "desc";
  std::stable_sort(queries.begin(), queries.end(), [&](const Query& a, const Query& b) { return descending ? order->less(b, a) : order->less(a, b); });
  const auto total = queries.size();
  const auto end = std::min(queries.size(), page.offset + page.limit + 1);
  const std::vector<Query> shown(queries.begin() + static_cast<std::ptrdiff_t>(std::min(page.offset, end)), queries.begin() + static_cast<std::ptrdiff_t>(end));
  auto document = table_document("statements", console::queries_table(shown), {page.limit, 0});
  document["offset"] = page.offset;
  document["total"] = total;
  return json_response(document);
}

Response decisions(const Call& call) {
  const auto& request = call.request;
  Page page{.limit = 100, .offset = 0};
  if (auto wrong = read_page(request, &page)) return *wrong;
  DecisionFilter filter{parameter(request, "fingerprint"), parameter(request, "database"), parameter(request, "reason"), parameter(request, "trace_id"), 0};
  if (!read_number(request, "after", std::numeric_limits<std::uint64_t>::max(), &filter.after)) return error(400, "after: expected the id of a decision");
  const auto records = call.hub.learner ? call.hub.learner->decisions(page.offset + page.limit + 1, filter) : std::vector<DecisionRecord>();
  return json_response(table_document("decisions", console::decisions_table(records), page));
}

}  // namespace pgsteer::proxy::http
