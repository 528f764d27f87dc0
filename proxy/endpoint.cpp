// Where a server is, from the two forms libpq takes: a URL, or words.
#include <algorithm>
#include <charconv>
#include <map>

#include <fmt/format.h>

#include "policies/toml_value.hpp"
#include "proxy/config.hpp"
#include "proxy/config_settings.hpp"

namespace pgsteer::proxy {
namespace {

/// Parameters of libpq that may be given; the proxy itself needs the first five and those of TLS.
const std::vector<std::string>& known_parameters() {
  static const std::vector<std::string> names{
      "host", "port", "user", "password", "dbname", "hostaddr", "application_name", "fallback_application_name",
      "connect_timeout", "client_encoding", "options", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl",
      "gssencmode", "channel_binding", "target_session_attrs", "passfile", "service", "keepalives",
      "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"};
  return names;
}

constexpr std::uint16_t kDefaultPort = 5432;

constexpr std::pair<std::string_view, SessionAttributes> session_attributes[] = {
    {"any", SessionAttributes::any},         {"read-write", SessionAttributes::read_write}, {"read-only", SessionAttributes::read_only},
    {"primary", SessionAttributes::primary}, {"standby", SessionAttributes::standby},       {"prefer-standby", SessionAttributes::prefer_standby}};

/// Of a list by commas; an empty list has one empty item.
template <class Take>
bool for_each_item(std::string_view list, Take take) {
  for (;;) {
    const auto comma = list.find(',');
    if (!take(list.substr(0, comma))) return false;
    if (comma == std::string_view::npos) return true;
    list.remove_prefix(comma + 1);
  }
}

struct Reader {
  Endpoint endpoint;  ///< what all hosts have in common
  std::vector<std::string> hosts;
  std::vector<std::uint16_t> ports;  ///< one for all, or one for each
  SessionAttributes attributes = SessionAttributes::any;
  std::string error;

  bool refuse(std::string text) {
    if (error.empty()) error = std::move(text);
    return false;
  }
  bool decode(std::string_view text, std::string& out);
  bool add_port(std::string_view text);
  bool set_ports(std::string_view list);
  bool set_hosts(std::string_view list);
  bool set_sslmode(const std::string& value);
  bool set_attributes(const std::string& value);
  bool complete();
  bool set(const std::string& name, const std::string& value);
  bool read_url(std::string_view url);
  bool read_authority(std::string_view authority);
  bool read_host_and_port(std::string_view one);
  bool read_words(std::string_view words);
};

bool Reader::decode(std::string_view text, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    int byte = 0;
    const char* digits = text.data() + i + 1;
    if (i + 2 >= text.size() || std::from_chars(digits, digits + 2, byte, 16).ptr != digits + 2 || byte == 0)
      return refuse("expected two hexadecimal digits after %, and no %00");
    out += static_cast<char>(byte);
    i += 2;
  }
  return true;
}

bool Reader::add_port(std::string_view text) {
  int port = text.empty() ? kDefaultPort : 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (!text.empty() && (fault != std::errc() || end != text.data() + text.size() || port < 1 || port > 65535))
    return refuse(fmt::format("expected a port from 1 to 65535, got '{}'", text));
  ports.push_back(static_cast<std::uint16_t>(port));
  return true;
}

bool Reader::set_ports(std::string_view list) {
  ports.clear();
  return for_each_item(list, [&](std::string_view item) { return add_port(item); });
}

bool Reader::set_hosts(std::string_view list) {
  hosts.clear();
  return for_each_item(list, [&](std::string_view item) {
    hosts.emplace_back(item);
    return true;
  });
}

bool Reader::set_attributes(const std::string& value) {
  std::vector<std::string> names;
  for (const auto& [name, one] : session_attributes) {
    names.emplace_back(name);
    if (name != value) continue;
    attributes = one;
    return true;
  }
  return refuse(fmt::format("target_session_attrs: expected {}, got '{}'", policies::join_names(names), value));
}

bool Reader::set_sslmode(const std::string& value) {
  static const std::vector<std::string> modes{"disable", "prefer", "require", "verify-ca", "verify-full"};
  if (std::find(modes.begin(), modes.end(), value) == modes.end())
    return refuse(fmt::format("sslmode: expected {}, got '{}'", policies::join_names(modes), value));
  endpoint.sslmode = value;
  return true;
}

/// What can be said only when all of it is there.
bool Reader::complete() {
  if (endpoint.sslmode.starts_with("verify-") && endpoint.sslrootcert.empty())
    return refuse(fmt::format("sslmode {} needs sslrootcert: a file of certificates, or system", endpoint.sslmode));
  if (endpoint.sslcert.empty() != endpoint.sslkey.empty()) return refuse("expected sslcert and sslkey together");
  if (hosts.empty()) hosts.emplace_back();
  if (ports.empty()) ports.push_back(kDefaultPort);
  if (ports.size() != 1 && ports.size() != hosts.size())
    return refuse(fmt::format("expected one port or as many as hosts, got {} ports for {} hosts", ports.size(), hosts.size()));
  return true;
}

bool Reader::set(const std::string& name, const std::string& value) {
  const auto& known = known_parameters();
  if (name == "host" || name == "hostaddr") return set_hosts(value);
  if (name == "port") return set_ports(value);
  if (name == "user") endpoint.user = value;
  else if (name == "password") endpoint.password = value;
  else if (name == "dbname") endpoint.database = value;
  else if (name == "sslmode") return set_sslmode(value);
  else if (name == "target_session_attrs") return set_attributes(value);
  else if (name == "sslrootcert") endpoint.sslrootcert = value;
  else if (name == "sslcert") endpoint.sslcert = value;
  else if (name == "sslkey") endpoint.sslkey = value;
  else if (std::find(known.begin(), known.end(), name) == known.end())
    return refuse(policies::unknown_name("parameter", name, "", known));
  return true;
}

bool Reader::read_authority(std::string_view authority) {
  if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
    const std::string_view login = authority.substr(0, at);
    const auto colon = login.find(':');
    if (!decode(login.substr(0, colon), endpoint.user)) return false;
    if (colon != std::string_view::npos && !decode(login.substr(colon + 1), endpoint.password)) return false;
    authority.remove_prefix(at + 1);
  }
  return for_each_item(authority, [&](std::string_view one) { return read_host_and_port(one); });
}

bool Reader::read_host_and_port(std::string_view one) {
  std::string host;
  if (one.starts_with('[')) {  // an IPv6 address
    const auto close = one.find(']');
    if (close == std::string_view::npos) return refuse("expected ']' after the address");
    host = std::string(one.substr(1, close - 1));
    one.remove_prefix(close + 1);
    if (!one.empty() && one.front() != ':') return refuse("expected ':' and a port after ']'");
  } else {
    const auto colon = one.find(':');
    if (!decode(one.substr(0, colon), host)) return false;
    one.remove_prefix(colon == std::string_view::npos ? one.size() : colon);
  }
  hosts.push_back(std::move(host));
  return add_port(one.empty() ? one : one.substr(1));
}

bool Reader::read_url(std::string_view url) {
  const auto question = url.find('?');
  const std::string_view before = url.substr(0, question);
  const auto slash = before.find('/');
  if (!read_authority(before.substr(0, slash))) return false;
  if (slash != std::string_view::npos && !decode(before.substr(slash + 1), endpoint.database)) return false;
  std::string_view query = question == std::string_view::npos ? std::string_view() : url.substr(question + 1);
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    const auto equals = pair.find('=');
    std::string value;
    if (equals == std::string_view::npos) return refuse(fmt::format("expected name=value after '?', got '{}'", pair));
    if (!decode(pair.substr(equals + 1), value) || !set(std::string(pair.substr(0, equals)), value)) return false;
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return true;
}

/// host=/run/postgresql port=5432 password='it''s' as libpq: quotes and backslashes.
bool Reader::read_words(std::string_view words) {
  std::size_t i = 0;
  const auto skip = [&] {
    while (i < words.size() && (words[i] == ' ' || words[i] == '\t')) ++i;
  };
  for (skip(); i < words.size(); skip()) {
    const auto equals = words.find('=', i);
    if (equals == std::string_view::npos) return refuse("expected postgresql://host:port or name=value words");
    std::string name(words.substr(i, equals - i)), value;
    while (!name.empty() && name.back() == ' ') name.pop_back();
    i = equals + 1;
    skip();
    const bool quoted = i < words.size() && words[i] == '\'';
    if (quoted) ++i;
    bool closed = !quoted;
    for (; i < words.size(); ++i) {
      if (quoted ? words[i] == '\'' : words[i] == ' ') {
        closed = true;
        if (quoted) ++i;
        break;
      }
      if (words[i] == '\\' && i + 1 < words.size()) ++i;
      value += words[i];
    }
    if (!closed) return refuse(fmt::format("expected a closing quote after {}=", name));
    if (!set(name, value)) return false;
  }
  return true;
}

}  // namespace

std::optional<Upstreams> parse_upstreams(const std::string& url, std::string* error) {
  Reader reader;
  bool good = false;
  if (url.empty()) reader.refuse("expected postgresql://host:port, got nothing");
  else if (url.starts_with("postgresql://")) good = reader.read_url(std::string_view(url).substr(13));
  else if (url.starts_with("postgres://")) good = reader.read_url(std::string_view(url).substr(11));
  else if (url.find("://") != std::string::npos)
    reader.refuse(fmt::format("expected postgresql://host:port, got '{}'", mask_secret(url)));
  else good = reader.read_words(url);
  if (!good || !reader.complete()) {
    if (error) *error = reader.error;
    return std::nullopt;
  }
  Upstreams all{{}, reader.attributes};
  for (std::size_t i = 0; i < reader.hosts.size(); ++i) {
    all.hosts.push_back(reader.endpoint);
    if (!reader.hosts[i].empty()) all.hosts.back().host = reader.hosts[i];
    all.hosts.back().port = reader.ports[reader.ports.size() == 1 ? 0 : i];
  }
  return all;
}

std::optional<Endpoint> parse_endpoint(const std::string& url, std::string* error) {
  auto all = parse_upstreams(url, error);
  if (!all) return std::nullopt;
  if (all->hosts.size() == 1) return std::move(all->hosts.front());
  if (error) *error = "expected one host, got a list";
  return std::nullopt;
}

std::string Endpoint::address() const { return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port); }

std::string_view to_string(SessionAttributes wanted) {
  for (const auto& [name, one] : session_attributes)
    if (one == wanted) return name;
  return "?";
}

}  // namespace pgsteer::proxy
