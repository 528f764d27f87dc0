// What changes something: any console command, and a typed form of those a page has buttons for.
#include <fmt/format.h>

#include <algorithm>

#include "proxy/http/json.hpp"

namespace pgsteer::proxy::http {
namespace {

using Field = Action::Field;
constexpr Field mode_fields[] = {{"mode", true}}, panic_fields[] = {{"on", true}}, pin_fields[] = {{"fingerprint", true}, {"label", true}},
                unpin_fields[] = {{"fingerprint", true}}, rule_fields[] = {{"rule", true}}, flush_fields[] = {{"table", false}, {"database", false}},
                model_fields[] = {{"name", false}}, kill_fields[] = {{"id", true}};

constexpr Action list[] = {
    {"/api/v1/mode", "SET MODE: off, observe, suggest, canary, auto; default lifts the bound", mode_fields},
    {"/api/v1/panic", "PANIC: everything to byte relay at once; on = true or false", panic_fields},
    {"/api/v1/reload", "RELOAD: configuration and policies, all or nothing", {}},
    {"/api/v1/pause", "PAUSE: hold new statements", {}},
    {"/api/v1/resume", "RESUME", {}},
    {"/api/v1/pin", "PIN: always use this candidate for a statement", pin_fields},
    {"/api/v1/unpin", "UNPIN: let the decision be made again; ends bans too", unpin_fields},
    {"/api/v1/ban", "BAN: never use this candidate for a statement", pin_fields},
    {"/api/v1/rules/ban", "BAN RULE: never use this rewrite rule", rule_fields},
    {"/api/v1/rules/unban", "UNBAN RULE", rule_fields},
    {"/api/v1/cache/flush", "FLUSH CACHE: all of it, of one table or of one database", flush_fields},
    {"/api/v1/models/train", "TRAIN in the background", {}},
    {"/api/v1/models/rollback", "ROLLBACK MODEL", model_fields},
    {"/api/v1/clients/kill", "KILL: close a client connection", kill_fields},
};

Response run(const Call& call, const std::string& text) {
  const auto result = run_console_command(call.hub, {"http", true}, text);
  if (!result.sqlstate.empty()) return failed(result);
  ordered_json document{{"tag", result.tag.empty() && !result.columns.empty() ? "SHOW" : result.tag}};
  document["columns"] = columns_of(result);
  document["rows"] = rows_of(result, 0, kMaxRows);
  return json_response(document);
}

/// A word of a command. The console has no escape for a quote, and no name of ours holds one.
std::string quoted(const std::string& text) { return "'" + text + "'"; }

/// The console's words for an action with these fields; "" where a combination has none.
std::string words_for(std::string_view path, const std::map<std::string, std::string>& f) {
  const auto at = [&](const char* name) { return quoted(f.contains(name) ? f.at(name) : ""); };
  if (path == "/api/v1/mode") return "SET MODE " + f.at("mode");
  if (path == "/api/v1/panic") return f.at("on") == "true" ? "PANIC" : f.at("on") == "false" ? "PANIC OFF" : "";
  if (path == "/api/v1/pin") return "PIN " + at("fingerprint") + " TO " + at("label");
  if (path == "/api/v1/unpin") return "UNPIN " + at("fingerprint");
  if (path == "/api/v1/ban") return "BAN " + at("fingerprint") + " " + at("label");
  if (path == "/api/v1/rules/ban") return "BAN RULE " + at("rule");
  if (path == "/api/v1/rules/unban") return "UNBAN RULE " + at("rule");
  if (path == "/api/v1/cache/flush") {
    if (f.contains("table") && f.contains("database")) return "";
    return "FLUSH CACHE" + (f.contains("table") ? " TABLE " + at("table") : f.contains("database") ? " DATABASE " + at("database") : "");
  }
  if (path == "/api/v1/models/rollback") return "ROLLBACK MODEL" + (f.contains("name") ? " " + at("name") : "");
  if (path == "/api/v1/clients/kill") return "KILL " + at("id");
  return path == "/api/v1/reload" ? "RELOAD" : path == "/api/v1/pause" ? "PAUSE" : path == "/api/v1/resume" ? "RESUME" : "TRAIN";
}

/// A string, number or truth value as a word; nullopt for what has no place in a command.
std::optional<std::string> word_of(const ordered_json& value) {
  std::string text = value.is_string() ? value.get<std::string>() : value.is_number_integer() || value.is_boolean() ? value.dump() : "'";
  const bool odd = text.size() > 1000 || std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == '\'' || c == ';'; });
  return odd ? std::nullopt : std::optional(std::move(text));
}

}  // namespace

std::span<const Action> actions() { return list; }

Response command(const Call& call) {
  const auto body = ordered_json::parse(call.request.body, nullptr, false);
  if (!body.is_object() || body.size() != 1 || !body.contains("command") || !body["command"].is_string())
    return error(400, "expected {\"command\": \"...\"}");
  return run(call, body["command"].get<std::string>());
}

Response act(const Call& call) {
  const auto* action = std::find_if(std::begin(list), std::end(list), [&](const Action& a) { return a.path == call.request.path; });
  const auto body = call.request.body.empty() ? ordered_json::object() : ordered_json::parse(call.request.body, nullptr, false);
  std::string expected;
  for (const auto& field : action->fields) expected += fmt::format("{}\"{}\"{}", expected.empty() ? "" : ", ", field.name, field.required ? "" : " (optional)");
  const auto wrong = [&] { return error(400, "expected an object with " + (expected.empty() ? std::string("nothing in it") : expected)); };
  if (!body.is_object()) return wrong();
  std::map<std::string, std::string> fields;
  for (const auto& [name, value] : body.items()) {
    const auto word = word_of(value);
    const bool known = std::any_of(action->fields.begin(), action->fields.end(), [&wanted = name](const Field& f) { return f.name == wanted; });
    if (!known || !word) return wrong();
    fields[name] = *word;
  }
  for (const auto& field : action->fields)
    if (field.required && !fields.contains(std::string(field.name))) return wrong();
  const auto text = words_for(action->path, fields);
  return text.empty() ? wrong() : run(call, text);
}

}  // namespace pgsteer::proxy::http
