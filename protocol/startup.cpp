#include "protocol/startup.hpp"

#include <algorithm>
#include <cctype>

#include "protocol/wire.hpp"

namespace pgsteer::protocol {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](unsigned char c) { return std::tolower(c); });
  return result;
}

/// "name=value" of -c or --; a dash in the name means an underscore.
bool add_setting(Startup& startup, std::string_view assignment) {
  const auto equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0) return false;
  std::string name = lower(assignment.substr(0, equals));
  std::replace(name.begin(), name.end(), '-', '_');
  startup.settings.emplace_back(std::move(name), std::string(assignment.substr(equals + 1)));
  return true;
}

void read_options(Startup& startup, std::string_view options) {
  const auto words = split_options(options);
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    bool understood = false;
    if (word == "-c" && i + 1 < words.size()) understood = add_setting(startup, words[++i]);
    else if (word.starts_with("-c")) understood = add_setting(startup, word.substr(2));
    else if (word.starts_with("--")) understood = add_setting(startup, word.substr(2));
    if (!understood) startup.options_understood = false;
  }
}

}  // namespace

bool Startup::replicates() const {
  const std::string value = lower(replication);
  if (value.empty() || value == "0") return false;
  for (const std::string_view no : {"false", "no", "off"})
    if (no.starts_with(value) && value != "o") return false;
  return true;
}

std::optional<std::uint32_t> first_packet_bytes(std::string_view first_four) {
  Reader r(first_four);
  const std::uint32_t length = r.int32();
  if (!r.ok() || length < 8 || length > kMaxStartupBytes) return std::nullopt;
  return length;
}

std::vector<std::string> split_options(std::string_view options) {
  std::vector<std::string> words;
  std::size_t i = 0;
  while (i < options.size()) {
    while (i < options.size() && std::isspace(static_cast<unsigned char>(options[i]))) ++i;
    if (i == options.size()) break;
    std::string word;
    for (; i < options.size() && !std::isspace(static_cast<unsigned char>(options[i])); ++i) {
      if (options[i] == '\\' && i + 1 < options.size()) ++i;
      word.push_back(options[i]);
    }
    words.push_back(std::move(word));
  }
  return words;
}

Startup read_startup(std::string_view packet) {
  Startup s;
  Reader r(packet);
  r.int32();
  s.version = r.int32();
  if (!r.ok()) {
    s.why = "startup packet: expected at least 8 bytes, got " + std::to_string(packet.size());
    return s;
  }
  if (s.version == kSslRequest || s.version == kGssEncRequest) {
    s.kind = s.version == kSslRequest ? FirstPacket::ssl_request : FirstPacket::gssenc_request;
    return s;
  }
  if (s.version == kCancelRequest) {
    s.kind = packet.size() >= 16 ? FirstPacket::cancel_request : FirstPacket::malformed;
    return s;
  }
  if ((s.version >> 16) != 3) {
    s.why = "unsupported frontend protocol " + std::to_string(s.version >> 16) + "." +
            std::to_string(s.version & 0xffff) + ": server supports 3.0 to 3.0";
    return s;
  }
  for (;;) {
    const auto name = r.cstring();
    if (!r.ok()) break;
    if (name.empty()) break;
    const auto value = r.cstring();
    if (!r.ok()) break;
    s.parameters.emplace_back(name, value);
    if (name == "user") s.user = value;
    else if (name == "database") s.database = value;
    else if (name == "replication") s.replication = value;
    else if (name == "options") read_options(s, value);
    else if (!name.starts_with("_pq_.")) s.settings.emplace_back(lower(name), value);
    if (name == "application_name") s.application = value;
  }
  if (!r.ok() || !r.at_end()) {
    s.why = "invalid startup packet layout: expected terminator as last byte";
    return s;
  }
  if (s.user.empty()) {
    s.why = "no PostgreSQL user name specified in startup packet";
    return s;
  }
  if (s.database.empty()) s.database = s.user;
  s.kind = FirstPacket::startup;
  return s;
}

}  // namespace pgsteer::protocol
