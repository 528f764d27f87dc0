// Reading the configuration: file, then environment, then --set; the later wins and is remembered as the source.
#include "proxy/config.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>

#include <fmt/format.h>
#include <sys/stat.h>

#include "policies/toml_value.hpp"
#include "protocol/scram.hpp"
#include "proxy/auth/auth_file.hpp"
#include "proxy/auth/hba.hpp"
#include "proxy/config_settings.hpp"
#include "proxy/learner/fleet_link.hpp"
#include "proxy/tls/tls.hpp"

extern char** environ;

namespace pgsteer::proxy {
namespace {

namespace fs = std::filesystem;
using policies::TomlValue;

constexpr std::string_view env_prefix = "PGSTEER_";

std::vector<std::string> keys() {
  std::vector<std::string> all;
  for (const Setting& setting : settings()) all.push_back(setting.key);
  return all;
}

const Setting* find_setting(std::string_view key) {
  for (const Setting& setting : settings()) {
    if (setting.key == key) return &setting;
  }
  return nullptr;
}

std::string env_name(std::string_view key) {
  std::string name(env_prefix);
  for (const char c : key) {
    if (c == '.') name += "__";
    else name += c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  }
  return name;
}

/// Collects settings with their sources; faults carry the place they came from.
struct Loader {
  Config config;
  std::map<std::string, std::string, std::less<>> source;
  std::vector<std::string> errors;

  void fault(const std::string& where, const std::string& text) { errors.push_back(where + ": " + text); }
  void set(const Setting& setting, const TomlValue& value, const std::string& where);
  void read_file(const std::string& path);
  void read_section(const std::string& path, const TomlValue::Entry& section);
  void read_environment();
  void read_overrides(const std::vector<std::string>& overrides);
  void check();
  void check_login();
  void check_rules();
  void check_query();
  void check_tls();
  void resolve_paths();
  std::string place(std::string_view key) const;
};

void Loader::set(const Setting& setting, const TomlValue& value, const std::string& where) {
  const std::string expected = setting.set(config, value);
  if (expected.empty()) source[setting.key] = where;
  else fault(where, fmt::format("{}: expected {}, got {}", setting.key, expected,
                                value.text() ? "'" + mask_secret(*value.text()) + "'" : value.describe()));
}

void Loader::read_section(const std::string& path, const TomlValue::Entry& section) {
  const std::string prefix = section.key + ".";
  std::vector<std::string> names;
  for (const Setting& setting : settings()) {
    if (setting.key.starts_with(prefix)) names.push_back(setting.key.substr(prefix.size()));
  }
  if (!section.value.table())
    return fault(fmt::format("{}:{}", path, section.line),
                 fmt::format("{}: expected a section [{}], got {}", section.key, section.key, section.value.describe()));
  for (const auto& entry : *section.value.table()) {
    const std::string where = fmt::format("{}:{}", path, entry.line);
    if (const Setting* setting = find_setting(prefix + entry.key)) set(*setting, entry.value, where);
    else fault(where, policies::unknown_name("key", entry.key, "[" + section.key + "]", names));
  }
}

void Loader::read_file(const std::string& path) {
  std::string error;
  const auto text = policies::read_file(path, &error);
  const auto document = text ? policies::parse_toml(*text, path, &error) : std::nullopt;
  if (!document) {
    errors.push_back(error);
    return;
  }
  std::vector<std::string> sections;
  for (const std::string& key : keys()) {
    const std::string section = key.substr(0, key.find('.'));
    if (sections.empty() || sections.back() != section) sections.push_back(section);
  }
  for (const auto& entry : *document->table()) {
    const std::string where = fmt::format("{}:{}", path, entry.line);
    if (const Setting* setting = find_setting(entry.key)) set(*setting, entry.value, where);
    else if (std::find(sections.begin(), sections.end(), entry.key) != sections.end()) read_section(path, entry);
    else if (entry.value.table()) fault(where, policies::unknown_name("section", entry.key, "", sections));
    else fault(where, policies::unknown_name("key", entry.key, "the file", sections));
  }
}

void Loader::read_environment() {
  std::vector<std::string> names, variables;
  for (const std::string& key : keys()) names.push_back(env_name(key));
  for (char** variable = environ; *variable; ++variable) {
    if (std::string_view(*variable).starts_with(env_prefix)) variables.emplace_back(*variable);
  }
  std::sort(variables.begin(), variables.end());
  for (const std::string& variable : variables) {
    const auto equals = variable.find('=');
    const std::string name = variable.substr(0, equals);
    const std::string text = equals == std::string::npos ? "" : variable.substr(equals + 1);
    const auto found = std::find(names.begin(), names.end(), name);
    if (found != names.end()) {
      const Setting& setting = settings()[static_cast<std::size_t>(found - names.begin())];
      set(setting, setting.from_text(text), "environment " + name);
      continue;
    }
    // PGSTEER_LISTEN_PORT is a slip for PGSTEER_LISTEN__PORT; without two underscores and no such slip it is somebody
    // else's variable.
    const auto slip = std::find_if(names.begin(), names.end(), [&](std::string one) {
      if (const auto gap = one.find("__"); gap != std::string::npos) one.erase(gap, 1);
      return one == name;
    });
    if (slip != names.end())
      fault("environment " + name, fmt::format("unknown variable: did you mean '{}'?", *slip));
    else if (name.find("__") != std::string::npos) {
      std::string key = name.substr(env_prefix.size());
      std::transform(key.begin(), key.end(), key.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
      key.replace(key.find("__"), 2, ".");
      const std::string near = policies::nearest_name(key, keys());
      fault("environment " + name,
            near.empty() ? "unknown variable, there is no setting '" + key + "'"
                         : fmt::format("unknown variable: did you mean '{}'?", env_name(near)));
    }
  }
}

void Loader::read_overrides(const std::vector<std::string>& overrides) {
  for (const std::string& item : overrides) {
    const auto equals = item.find('=');
    const std::string key = item.substr(0, equals);
    if (equals == std::string::npos) {
      fault("--set", fmt::format("expected section.key=value, got '{}'", item));
    } else if (const Setting* setting = find_setting(key)) {
      set(*setting, setting->from_text(item.substr(equals + 1)), "--set");
    } else {
      const std::string hint = policies::did_you_mean(key, keys());
      fault("--set", fmt::format("unknown key '{}'{}", key, hint.empty() ? ": SHOW CONFIG lists all of them" : hint));
    }
  }
}

std::string Loader::place(std::string_view key) const {
  const auto found = source.find(key);
  return found == source.end() ? "default" : found->second;
}

/// A secret that others can read is no secret: refused as libpq refuses such key files.
std::string secret_fault(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return fmt::format("expected a readable file, got '{}'", path);
  if (!S_ISREG(status.st_mode)) return fmt::format("expected a file, got '{}'", path);
  if ((status.st_mode & 077) != 0)
    return fmt::format("expected a file that only its owner can read (chmod 600), '{}' has mode {:o}", path,
                       status.st_mode & 0777);
  return {};
}

void Loader::check() {
  std::string error;
  const auto upstreams = parse_upstreams(config.upstream.url, &error);
  if (!upstreams) fault(place("upstream.url"), "upstream.url: " + error);
  config.several_hosts = upstreams && upstreams->hosts.size() > 1;
  if (!config.upstream.probe_url.empty() && !parse_upstreams(config.upstream.probe_url, &error))
    fault(place("upstream.probe_url"), "upstream.probe_url: " + error);
  if (const std::string& path = config.upstream.probe_password_file; !path.empty()) {
    if (const std::string why = secret_fault(path); !why.empty())
      fault(place("upstream.probe_password_file"), "upstream.probe_password_file: " + why);
  }
  const std::string& redis = config.cache.redis_url;
  if (!redis.empty() && !redis.starts_with("redis://") && !redis.starts_with("unix:///"))
    fault(place("cache.redis_url"),
          fmt::format("cache.redis_url: expected redis://host[:port][/db] or unix:///path, got '{}'", mask_secret(redis)));
  if (!config.cache.group.empty() && redis.empty())
    fault(place("cache.group"), "cache.group: its words are in Redis: expected a cache.redis_url");
  if (config.cache.group.find_first_of("{}") != std::string::npos)
    fault(place("cache.group"), fmt::format("cache.group: expected a name without braces, got '{}'", config.cache.group));
  if (!config.learning.store_url.empty() && !learning::parse_store_url(config.learning.store_url, &error))
    fault(place("learning.store_url"), "learning.store_url: " + error);
  if (config.listen.address.empty() && config.listen.unix_socket_dir.empty())
    fault(place("listen.address"), "listen.address: expected an address or a unix_socket_dir, got neither");
  if (config.console.database.empty()) fault(place("console.database"), "console.database: expected a name, got ''");
  const auto ourselves = [&](const Endpoint& one) {
    return !one.unix_socket() && config.listen.port != 0 && one.port == config.listen.port && one.host == config.listen.address;
  };
  if (upstreams && std::any_of(upstreams->hosts.begin(), upstreams->hosts.end(), ourselves))
    fault(place("upstream.url"), "upstream.url: expected the server, got the address pgsteer itself listens on");
  if (const std::string& directory = config.policies.directory; !directory.empty() && !fs::is_directory(directory))
    fault(place("policies.directory"),
          fmt::format("policies.directory: expected a directory, got '{}'", directory));
}

/// Who may log in here, and whether pooling has what it needs.
void Loader::check_login() {
  const auto& auth = config.auth;
  if (!auth.file.empty()) {
    std::string why = secret_fault(auth.file);
    if (why.empty()) config.users = AuthFile::load(auth.file, &why);
    if (!why.empty()) fault(place("auth.file"), "auth.file: " + why);
  }
  if (!auth.hba_file.empty()) check_rules();
  else if (auth.mode == "terminate" && auth.method != "trust" && auth.method != "cert" && auth.file.empty())
    fault(place("auth.file"), fmt::format("auth.file: expected a file of users for auth.method = \"{}\", got none", auth.method));
  if (!auth.query_user.empty()) check_query();
  const auto& pool = config.pool;
  if (auth.mode == "relay" && (pool.mode == "transaction" || !pool.transaction.empty()))
    fault(place(pool.mode == "transaction" ? "pool.mode" : "pool.transaction"),
          "pool.mode: transaction pooling needs auth.mode = \"terminate\": a server connection belongs to the client that logged in on it");
  for (const auto* patterns : {&pool.transaction, &pool.session})
    for (const auto& pattern : *patterns)
      if (pattern.find('/') == std::string::npos)
        fault(place(patterns == &pool.transaction ? "pool.transaction" : "pool.session"),
              fmt::format("pool: expected patterns such as \"shop/*\" (database/user), got '{}'", pattern));
}

/// auth.hba_file, and whether each of its rules has what it needs.
void Loader::check_rules() {
  const auto& auth = config.auth;
  std::string why;
  config.hba = HbaFile::load(auth.hba_file, &why);
  if (!config.hba) return fault(place("auth.hba_file"), "auth.hba_file: " + why);
  if (auth.mode != "terminate")
    fault(place("auth.hba_file"), "auth.hba_file: rules need auth.mode = \"terminate\": in mode relay the server's own pg_hba.conf decides");
  for (const auto& rule : config.hba->rules()) {
    const auto lacks = [&](std::string_view what) {
      fault(place("auth.hba_file"), fmt::format("auth.hba_file: {}:{}: {} needs {}", auth.hba_file, rule.line, to_string(rule.method), what));
    };
    const bool asks = rule.method == LoginMethod::scram_sha_256 || rule.method == LoginMethod::md5 || rule.method == LoginMethod::password;
    if (asks && auth.file.empty()) lacks("auth.file");
    if (rule.certificate != HbaFile::Certificate::none && (config.tls.mode == "disable" || config.tls.client_ca_file.empty()))
      lacks(rule.method == LoginMethod::cert ? "tls.mode and tls.client_ca_file" : "tls.mode and tls.client_ca_file for clientcert");
  }
}

/// auth.query, and the user it is asked as.
void Loader::check_query() {
  const auto& auth = config.auth;
  const auto* secret = config.users ? config.users->secret(auth.query_user) : nullptr;
  if (auth.mode != "terminate")
    fault(place("auth.query_user"), "auth.query_user: looking users up needs auth.mode = \"terminate\"");
  else if (!secret || secret->empty() || protocol::secret_kind(*secret) == protocol::SecretKind::scram)
    fault(place("auth.query_user"), fmt::format("auth.query_user: expected a user of auth.file with a password (a SCRAM secret opens no server), got '{}'", auth.query_user));
  if (auth.query.find("$1") == auth.query.npos) fault(place("auth.query"), "auth.query: expected a query with $1, the user");
}

void Loader::check_tls() {
  const auto& tls = config.tls;
  const auto needs = [&](const char* key, const std::string& value, std::string_view for_what) {
    if (value.empty()) fault(place(key), fmt::format("{}: expected a file for {}, got none", key, for_what));
    return !value.empty();
  };
  bool complete = true;
  if (tls.mode != "disable") {
    const std::string mode = fmt::format("tls.mode = \"{}\"", tls.mode);
    complete = needs("tls.certificate_file", tls.certificate_file, mode) & needs("tls.key_file", tls.key_file, mode);
    if (tls.mode.starts_with("verify-")) complete &= needs("tls.client_ca_file", tls.client_ca_file, mode);
    struct stat status {};
    // As the server has it: the owner's alone, or root's and a group's.
    if (!tls.key_file.empty() && ::stat(tls.key_file.c_str(), &status) == 0 && (status.st_mode & (status.st_uid == 0 ? 037 : 077)) != 0)
      fault(place("tls.key_file"), fmt::format("tls.key_file: expected a file that only its owner can read (chmod 600), '{}' has mode {:o}",
                                               tls.key_file, status.st_mode & 0777));
  }
  if (config.auth.mode == "terminate" && !config.hba && config.auth.method == "cert" && (tls.mode == "disable" || tls.client_ca_file.empty()))
    fault(place("auth.method"), "auth.method: cert needs tls.mode and tls.client_ca_file");
  if (!complete || !errors.empty()) return;
  std::string why;
  config.tls_contexts = TlsContexts::load(config, &why);
  if (!config.tls_contexts) fault(place(why.substr(0, why.find(':'))), why);
}

void Loader::resolve_paths() {
  std::error_code ignored;
  if (config.policies.directory.empty() && !config.config_file.empty()) {
    const fs::path beside = fs::path(config.config_file).parent_path() / "policies";
    if (fs::is_directory(beside, ignored)) config.policies.directory = beside.string();
  }
  if (config.state_dir.empty()) {
    const char* xdg = std::getenv("XDG_STATE_HOME");
    config.state_dir = xdg && *xdg ? std::string(xdg) + "/pgsteer" : "/var/lib/pgsteer";
  }
}

}  // namespace

std::shared_ptr<const Config> Config::load(const std::string& file, const std::vector<std::string>& overrides,
                                           std::vector<std::string>* errors) {
  Loader loader;
  loader.config.config_file = file;
  if (!file.empty()) loader.read_file(file);
  loader.read_environment();
  loader.read_overrides(overrides);
  loader.check();
  loader.check_login();
  loader.check_tls();
  if (!loader.errors.empty()) {
    if (errors) errors->insert(errors->end(), loader.errors.begin(), loader.errors.end());
    return nullptr;
  }
  loader.resolve_paths();
  auto config = std::make_shared<Config>(std::move(loader.config));
  const Config defaults;
  for (const Setting& setting : settings()) {
    std::string source = loader.place(setting.key);
    if (source.starts_with("environment")) source = "environment";
    config->sources.push_back(
        {setting.key, setting.show(*config), setting.show(defaults), std::move(source), setting.changeable});
  }
  return config;
}

bool Config::given(std::string_view key) const {
  return std::any_of(sources.begin(), sources.end(), [&](const Row& row) { return row.key == key && row.source != "default"; });
}

std::vector<Config::Row> Config::rows() const {
  std::vector<Row> result;
  const Config defaults;
  for (const Setting& setting : settings()) {
    const auto known = std::find_if(sources.begin(), sources.end(), [&](const Row& r) { return r.key == setting.key; });
    // Values are read anew: whoever changed the struct after loading (--upstream, --policies) sees what holds.
    result.push_back({setting.key, setting.show(*this), setting.show(defaults),
                      known == sources.end() ? "default" : known->source, setting.changeable});
  }
  return result;
}

}  // namespace pgsteer::proxy
