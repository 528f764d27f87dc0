// Server-sent events: each second what happened in it. A listener that is slow gets what is new then; nothing is kept for it.
#include "proxy/http/points.hpp"

namespace pgsteer::proxy::http {
namespace {

constexpr std::size_t kMaxDecisions = 50, kMaxLines = 100;

std::string event(const char* name, const ordered_json& data, std::uint64_t id = 0) {
  std::string text = std::string("event: ") + name + "\n";
  if (id != 0) text += "id: " + std::to_string(id) + "\n";
  return text + "data: " + dump(data) + "\n";  // dump() ends its line: a blank one ends the event
}

}  // namespace

Listening start_listening(Hub& hub, std::uint64_t last_log_seen) {
  Listening state;
  if (hub.events) state.last_log = last_log_seen != 0 ? last_log_seen : hub.events->last_id();
  if (hub.learner)
    if (const auto newest = hub.learner->decisions(1); !newest.empty()) state.last_decision = newest.front().id;
  return state;
}

std::string live_events(Hub& hub, const Trend& trend, Listening& state) {
  std::string text = event("stats", point_of(trend.last(1)));
  if (hub.learner) {
    const auto records = hub.learner->decisions(kMaxDecisions, {"", "", "", "", state.last_decision});
    if (!records.empty()) {
      const auto skipped = records.front().id - state.last_decision - records.size();
      const auto rows = rows_of(console::decisions_table(records), 0, kMaxDecisions);
      state.last_decision = records.front().id;
      text += event("decisions", {{"skipped", skipped}, {"rows", rows}});
    }
  }
  if (hub.events) {
    ordered_json rows = ordered_json::array();
    for (const auto& line : hub.events->after(state.last_log, kMaxLines)) {
      state.last_log = line.id;
      rows.push_back(event_of(line));
    }
    if (!rows.empty()) text += event("log", {{"rows", rows}}, state.last_log);
  }
  return text;
}

}  // namespace pgsteer::proxy::http
