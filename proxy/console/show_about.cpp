// SHOW HELP, SHOW VERSION, SHOW STATE.
#include <fmt/format.h>

#include "proxy/console/command.hpp"
#include "proxy/console/result.hpp"

namespace pgsteer::proxy::console {

ConsoleResult show_help(const Request&) {
  Table table({{"command", Type::text}, {"what", Type::text}, {"needs", Type::text}});
  for (const Command& command : all_commands()) {
    if (!command.listed) continue;
    const auto form = command.arguments.empty() ? std::string(command.name) : fmt::format("{} {}", command.name, command.arguments);
    table.row(form, command.help, command.needs == Needs::admin ? "admin" : "");
  }
  return table;
}

ConsoleResult show_version(const Request&) {
  Table table({{"version", Type::text}});
  table.row("pgsteer " PGSTEER_VERSION);
  return table;
}

ConsoleResult show_state(const Request& request) {
  const auto snapshot = request.hub.snapshot();
  const auto yes_no = [](bool value) { return value ? "yes" : "no"; };
  const bool paused = request.hub.paused.load();
  Table table({{"key", Type::text}, {"value", Type::text}});
  table.row("active", yes_no(!paused));
  table.row("paused", yes_no(paused));
  table.row("suspended", "no");
  table.row("panic", yes_no(snapshot->panic));
  table.row("mode_limit", snapshot->console_mode ? policies::to_string(*snapshot->console_mode) : "none");
  table.row("mode_default", snapshot->config ? policies::to_string(snapshot->config->mode.initial) : "observe");
  table.row("snapshot_version", std::to_string(snapshot->version));
  table.row("started", utc_time(request.hub.started_unix_us));
  return table;
}

}  // namespace pgsteer::proxy::console
