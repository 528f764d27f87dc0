// The newest lines of the log, and of the audit log: who changed what and why.
#include <fmt/format.h>

#include <fstream>

#include "proxy/http/points.hpp"
#include "proxy/reload.hpp"

namespace pgsteer::proxy::http {
namespace {

constexpr std::streamoff kAuditTail = 1 << 20;  ///< of audit.log, that much of its end is looked at

}  // namespace

Response log_lines(const Call& call) {
  Page page{.limit = 200, .offset = 0};
  if (auto wrong = read_page(call.request, &page)) return *wrong;
  const auto events = call.hub.events ? call.hub.events->newest(page.limit + 1, page.offset) : std::vector<LogEvent>();
  ordered_json rows = ordered_json::array();
  for (const auto& event : events)
    if (rows.size() < page.limit) rows.push_back(event_of(event));
  return json_response({{"rows", std::move(rows)}, {"limit", page.limit}, {"offset", page.offset}, {"more", events.size() > page.limit}});
}

/// Newest first: "2026-11-21T12:00:00Z event=approved fingerprint=... label=... why="..." ...".
Response audit_lines(const Call& call) {
  Page page{.limit = 200, .offset = 0};
  if (auto wrong = read_page(call.request, &page)) return *wrong;
  const auto fingerprint = parameter(call.request, "fingerprint");
  std::ifstream in(state_directory(*call.hub.snapshot()->config) + "/audit.log");
  in.seekg(0, std::ios::end);
  const std::streamoff size = in ? static_cast<std::streamoff>(in.tellg()) : 0;
  in.seekg(std::max<std::streamoff>(0, size - kAuditTail));
  std::vector<std::string> lines;
  std::string line;
  if (size > kAuditTail) std::getline(in, line);  // a part of one
  while (std::getline(in, line))
    if (!line.empty() && (fingerprint.empty() || line.find(" fingerprint=" + fingerprint) != std::string::npos)) lines.push_back(line);
  ordered_json rows = ordered_json::array();
  for (std::size_t i = page.offset; i < lines.size() && rows.size() < page.limit; ++i) {
    const auto& text = lines[lines.size() - 1 - i];
    ordered_json fields = ordered_json::object();
    for (auto& [key, value] : log_fields(std::string_view(text).substr(std::min(text.size(), text.find(' ') + 1)))) fields[key] = std::move(value);
    rows.push_back({{"time", text.substr(0, text.find(' '))}, {"event", fields.value("event", "")}, {"fingerprint", fields.value("fingerprint", "")},
                    {"label", fields.value("label", "")}, {"why", fields.value("why", "")}, {"fields", std::move(fields)}});
  }
  return json_response({{"rows", std::move(rows)}, {"limit", page.limit}, {"offset", page.offset}, {"more", lines.size() > page.offset + page.limit}});
}

}  // namespace pgsteer::proxy::http
