// SET MODE, PANIC, RELOAD, KILL, PAUSE, RESUME, SHUTDOWN.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "proxy/console/command.hpp"
#include "proxy/console/result.hpp"
#include "proxy/pool/pools.hpp"

namespace pgsteer::proxy::console {
namespace {

/// "SET MODE auto", "SET MODE = auto", "SET MODE TO 'auto'".
std::vector<Word> without_assignment(std::vector<Word> words) {
  if (!words.empty() && (words[0].text == "=" || words[0].is("TO"))) words.erase(words.begin());
  return words;
}

}  // namespace

ConsoleResult set_mode(const Request& request) {
  const std::vector<std::string> names = {"off", "observe", "suggest", "canary", "auto", "default"};
  const auto words = without_assignment(request.arguments);
  if (words.size() != 1) return usage("SET MODE off | observe | suggest | canary | auto | default");
  const std::string name = lower(words[0].text);
  const auto mode = policies::parse_mode(name);
  if (!mode && name != "default") {
    const auto near = policies::nearest_name(name, names);
    return failure("22023", fmt::format("unknown mode '{}'", words[0].text),
                   near.empty() ? "Modes are off, observe, suggest, canary, auto; default lifts the bound." : fmt::format("Did you mean '{}'?", near));
  }
  request.hub.update([&](Snapshot& snapshot) { snapshot.console_mode = mode; });
  return done("SET MODE");
}

ConsoleResult panic(const Request& request) {
  const auto& words = request.arguments;
  const bool on = words.empty() || (words.size() == 1 && words[0].is("ON"));
  const bool off = words.size() == 1 && words[0].is("OFF");
  if (!on && !off) return usage("PANIC [ON | OFF]");
  request.hub.update([&](Snapshot& snapshot) { snapshot.panic = on; });
  return done(on ? "PANIC" : "PANIC OFF");
}

ConsoleResult reload(const Request& request) {
  if (const auto error = request.hub.reload())
    return failure("F0000", fmt::format("nothing was changed: {}", *error), "Correct the file and RELOAD again.");  // config_file_error
  return done("RELOAD");
}

/// The id of SHOW CLIENTS, or pgbouncer's way: the value of column ptr.
ConsoleResult kill_client(const Request& request) {
  if (request.arguments.size() != 1) return usage("KILL <id>");
  const std::string& text = request.arguments[0].text;
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size()) return usage("KILL <id>, the number in column id of SHOW CLIENTS");
  const auto clients = request.hub.clients();
  const auto found = std::find_if(clients.begin(), clients.end(), [&](const ClientInfo& client) { return client.id == id; });
  if (found == clients.end()) return failure("42704", fmt::format("there is no client {}", id), "SHOW CLIENTS lists them.");
  if (!request.hub.on_kill) return failure("55000", "clients cannot be closed: the listener is not running");
  request.hub.on_kill(id);
  return done("KILL");
}

/// The answer comes when nothing is under way any more and no pooled server connection is left but those of pinned sessions.
ConsoleResult pause(const Request& request) {
  Hub& hub = request.hub;
  if (hub.paused.load()) return failure("55000", "already paused", "RESUME ends it.");
  hub.pause();
  auto result = done("PAUSE");
  if (!hub.look_for_rest) return result;
  result.until = [&hub, rest = hub.look_for_rest()]() mutable {
    if (!hub.paused.load()) return true;
    if (!rest->known()) return false;
    const bool over = rest->busy == 0 && (!hub.pools || hub.pools->open() <= rest->held);
    if (!over) rest = hub.look_for_rest();
    return over;
  };
  return result;
}

ConsoleResult resume(const Request& request) {
  if (!request.hub.paused.load()) return failure("55000", "not paused");
  request.hub.resume();
  return done("RESUME");
}

ConsoleResult reconnect(const Request& request) {
  if (!request.hub.pools) return failure("55000", "there are no pools: the listener is not running");
  request.hub.pools->reconnect();
  return done("RECONNECT");
}

ConsoleResult shutdown(const Request& request) {
  if (!request.hub.on_shutdown) return failure("55000", "this process cannot be stopped from here");
  request.hub.on_shutdown(0);
  auto result = done("SHUTDOWN");
  result.close = true;
  return result;
}

}  // namespace pgsteer::proxy::console
