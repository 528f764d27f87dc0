#include <cstdlib>
#include <fstream>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "proxy/config.hpp"
#include "proxy/config_settings.hpp"
#include "tests/support/servers.hpp"

namespace pgsteer::proxy {
namespace {

/// A variable for one test, gone afterwards.
class Variable {
 public:
  Variable(std::string name, const std::string& value) : name_(std::move(name)) { ::setenv(name_.c_str(), value.c_str(), 1); }
  ~Variable() { ::unsetenv(name_.c_str()); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  std::string name_;
};

struct Fixture {
  test::TempDir dir;
  std::string path = dir.path() + "/c.toml";
  std::vector<std::string> errors;

  std::shared_ptr<const Config> load(const std::string& toml, const std::vector<std::string>& overrides = {}) {
    std::ofstream(path) << toml;
    errors.clear();
    return Config::load(path, overrides, &errors);
  }
  std::shared_ptr<const Config> accept(const std::string& toml, const std::vector<std::string>& overrides = {}) {
    auto config = load(toml, overrides);
    for (const auto& error : errors) MESSAGE(error);
    REQUIRE(config);
    CHECK(errors.empty());
    return config;
  }
  std::string refuse(const std::string& toml, const std::vector<std::string>& overrides = {}) {
    CHECK_FALSE(load(toml, overrides));
    REQUIRE(errors.size() == 1);
    std::string error = errors[0];
    if (error.starts_with(path)) error.replace(0, path.size(), "c.toml");
    return error;
  }
};

Config::Row row(const Config& config, const std::string& key) {
  for (const auto& one : config.rows()) {
    if (one.key == key) return one;
  }
  FAIL("no row " << key);
  return {};
}

}  // namespace

TEST_CASE("a secret is not shown, whatever is in it") {
  for (const auto& [url, shown] : std::vector<std::pair<std::string, std::string>>{
           {"postgresql://u:pa/ss@h:5432/db", "postgresql://u:***@h:5432/db"},
           {"redis://:a?b@c@h", "redis://:***@h"},
           {"postgresql://u@h:5432/db", "postgresql://u@h:5432/db"},
           {"postgresql://h:5432/db?password=x&user=u", "postgresql://h:5432/db?password=***&user=u"},
           {"host=h password = 'it\\'s it' user=u", "host=h password = *** user=u"},
           {"host=h password='open", "host=h password=***"},
           {"password=", "password=***"},
           {"host=passwords", "host=passwords"}}) {
    CAPTURE(url);
    CHECK(mask_secret(url) == shown);
  }
}

TEST_CASE("without a file everything has its default") {
  std::vector<std::string> errors;
  const auto config = Config::load("", {}, &errors);
  REQUIRE(config);
  CHECK(config->listen.port == 6432);
  CHECK(config->mode.initial == policies::Mode::observe);
  for (const auto& one : config->rows()) {
    CAPTURE(one.key);
    CHECK(one.source == "default");
    if (one.key != "state_dir") CHECK(one.value == one.default_value);
  }
}

TEST_CASE_FIXTURE(Fixture, "a flag wins over the environment, which wins over the file, which wins over the default") {
  const std::string toml = "[listen]\nport = 1001\nbacklog = 7\n[log]\nlevel = \"warn\"\n";
  const Variable port("PGSTEER_LISTEN__PORT", "1002"), level("PGSTEER_LOG__LEVEL", "debug");
  const auto config = accept(toml, {"listen.port=1003"});
  CHECK(config->listen.port == 1003);
  CHECK(config->log.level == "debug");
  CHECK(config->listen.backlog == 7);
  CHECK(row(*config, "listen.port").source == "--set");
  CHECK(row(*config, "listen.port").value == "1003");
  CHECK(row(*config, "listen.port").default_value == "6432");
  CHECK(row(*config, "log.level").source == "environment");
  CHECK(row(*config, "listen.backlog").source == path + ":3");
  CHECK(row(*config, "listen.address").source == "default");
  CHECK_FALSE(row(*config, "listen.port").changeable);
  CHECK(row(*config, "log.level").changeable);
}

TEST_CASE_FIXTURE(Fixture, "every kind of value, from the file and as a bare word") {
  const auto file = accept(
      "state_dir = \"/tmp/s\"\n[upstream]\nprobe = false\nconnect_timeout = \"1500ms\"\n[cache]\nmemory_bytes = \"1GB\"\n"
      "redis_deadline = \"500us\"\n[console]\nadmin_users = [\"a\", \"b\"]\n[mode]\ndefault = \"suggest\"\n[learning]\n"
      "seed = 9\nretrain_interval = \"0\"\n");
  const auto words = accept("", {"state_dir=/tmp/s", "upstream.probe=off", "upstream.connect_timeout=1500ms",
                                 "cache.memory_bytes=1GB", "cache.redis_deadline=500us", "console.admin_users=a,b",
                                 "mode.default=suggest", "learning.seed=9", "learning.retrain_interval=0"});
  for (const auto& config : {file, words}) {
    CHECK(config->state_dir == "/tmp/s");
    CHECK_FALSE(config->upstream.probe);
    CHECK(config->upstream.connect_timeout == std::chrono::milliseconds(1500));
    CHECK(config->cache.memory_bytes == 1u << 30);
    CHECK(config->cache.redis_deadline == std::chrono::microseconds(500));
    CHECK(config->console.admin_users == std::vector<std::string>{"a", "b"});
    CHECK(config->mode.initial == policies::Mode::suggest);
    CHECK(config->learning.seed == 9);
    CHECK(config->learning.retrain_interval == std::chrono::seconds(0));
  }
  CHECK(accept("[cache]\nmemory_bytes = 4096\n")->cache.memory_bytes == 4096);
  CHECK(accept("", {"console.admin_users="})->console.admin_users.empty());
}

TEST_CASE_FIXTURE(Fixture, "what is wrong in a file is said with its line") {
  const struct {
    std::string toml, message;
  } table[] = {
      {"[listen]\nprot = 1", "c.toml:2: unknown key 'prot' in [listen]: did you mean 'port'?"},
      {"[lisen]\nport = 1", "c.toml:1: unknown section 'lisen': did you mean 'listen'?"},
      {"stat_dir = \"x\"", "c.toml:1: unknown key 'stat_dir' in the file: did you mean 'state_dir'?"},
      {"listen = 3", "c.toml:1: listen: expected a section [listen], got the number 3"},
      {"[mode]\ninitial = \"off\"", "c.toml:2: unknown key 'initial' in [mode]: expected default"},
      {"[mode]\ndefault = \"of\"", "c.toml:2: mode.default: expected off, observe, suggest, canary or auto, got 'of'"},
      {"[listen]\nport = 65536", "c.toml:2: listen.port: expected a whole number from 0 to 65535, got the number 65536"},
      {"[listen]\nport = -1", "c.toml:2: listen.port: expected a whole number from 0 to 65535, got the number -1"},
      {"[listen]\nport = \"6432\"", "c.toml:2: listen.port: expected a whole number from 0 to 65535, got '6432'"},
      {"[listen]\nport = 64.5", "c.toml:2: listen.port: expected a whole number from 0 to 65535, got the number 64.5"},
      {"[listen]\naddress = 1", "c.toml:2: listen.address: expected a text in quotes, got the number 1"},
      {"[upstream]\nprobe = \"yes\"", "c.toml:2: upstream.probe: expected true or false, got 'yes'"},
      {"[upstream]\nconnect_timeout = 5",
       "c.toml:2: upstream.connect_timeout: expected a duration from \"1ms\" to \"1h\", got the number 5"},
      {"[upstream]\nconnect_timeout = \"2h\"",
       "c.toml:2: upstream.connect_timeout: expected a duration from \"1ms\" to \"1h\", got '2h'"},
      {"[upstream]\nconnect_timeout = \"1.5ms\"", "c.toml:2: upstream.connect_timeout: expected whole milliseconds, got '1.5ms'"},
      {"[learning]\nretrain_interval = \"90500ms\"",
       "c.toml:2: learning.retrain_interval: expected whole seconds, got '90500ms'"},
      {"[limits]\nmax_analysed_bytes = \"2MB\"",
       "c.toml:2: limits.max_analysed_bytes: expected a size from \"0\" to \"1MB\", got '2MB'"},
      {"[console]\nadmin_users = \"root\"",
       "c.toml:2: console.admin_users: expected a list of names such as [\"alice\", \"bob\"], got 'root'"},
      {"[log]\nlevel = \"loud\"", "c.toml:2: log.level: expected trace, debug, info, warn or error, got 'loud'"},
      {"[upstream]\nurl = \"mysql://x:y@h\"",
       "c.toml:2: upstream.url: expected postgresql://host:port, got 'mysql://x:***@h'"},
      {"[upstream]\nprobe_url = \"postgresql://h:0\"",
       "c.toml:2: upstream.probe_url: expected a port from 1 to 65535, got '0'"},
      {"[upstream]\nurl = \"postgresql://127.0.0.1:6432\"",
       "c.toml:2: upstream.url: expected the server, got the address pgsteer itself listens on"},
      {"[cache]\nredis_url = \"localhost:6379\"",
       "c.toml:2: cache.redis_url: expected redis://host[:port][/db] or unix:///path, got 'localhost:6379'"},
      {"[learning]\nstore_url = \"host=h password=geheim\"",
       "c.toml:2: learning.store_url: expected postgresql://[user[:password]@]host[:port]/database, got 'host=h password=***'"},
      {"[learning]\nstore_url = \"postgresql://u:geheim@h/d?colour=red\"",
       "c.toml:2: learning.store_url: expected postgresql://[user[:password]@]host[:port]/database, got 'postgresql://u:***@h/d?colour=red'"},
      {"[listen]\naddress = \"\"", "c.toml:2: listen.address: expected an address or a unix_socket_dir, got neither"},
      {"[policies]\ndirectory = \"/no/such\"", "c.toml:2: policies.directory: expected a directory, got '/no/such'"},
      {"[upstream]\nprobe_password_file = \"/no/such\"",
       "c.toml:2: upstream.probe_password_file: expected a readable file, got '/no/such'"},
  };
  for (const auto& one : table) {
    CAPTURE(one.toml);
    const std::string error = refuse(one.toml);
    CHECK(error == one.message);
  }
  CHECK(refuse("[listen]\nport = \n").starts_with("c.toml:2: "));
}

TEST_CASE_FIXTURE(Fixture, "all errors of a load are collected") {
  CHECK_FALSE(load("[listen]\nport = 0.5\nx = 1\n[log]\nlevel = 3\n", {"nope=1", "log.format"}));
  CHECK(errors.size() == 5);
}

TEST_CASE_FIXTURE(Fixture, "a file that is not there is an error") {
  CHECK_FALSE(Config::load("/no/such/file.toml", {}, &errors));
  REQUIRE(errors.size() == 1);
  CHECK(errors[0] == "/no/such/file.toml:1: expected a readable file: no such file");
}

TEST_CASE_FIXTURE(Fixture, "--set") {
  CHECK(refuse("", {"listen.prot=1"}) == "--set: unknown key 'listen.prot': did you mean 'listen.port'?");
  CHECK(refuse("", {"listen.port"}) == "--set: expected section.key=value, got 'listen.port'");
  CHECK(refuse("", {"listen.port=x"}) == "--set: listen.port: expected a whole number from 0 to 65535, got 'x'");
  CHECK(refuse("", {"listen.port=99999999999999999999"}) ==
        "--set: listen.port: expected a whole number from 0 to 65535, got '99999999999999999999'");
  CHECK(accept("", {"log.file=a=b"})->log.file == "a=b");
}

TEST_CASE_FIXTURE(Fixture, "variables with a slip of the pen are refused, those of others are not") {
  {
    const Variable slip("PGSTEER_LISTEN__PROT", "1");
    CHECK(refuse("") == "environment PGSTEER_LISTEN__PROT: unknown variable: did you mean 'PGSTEER_LISTEN__PORT'?");
  }
  {
    const Variable slip("PGSTEER_LISTEN_PORT", "1");
    CHECK(refuse("") == "environment PGSTEER_LISTEN_PORT: unknown variable: did you mean 'PGSTEER_LISTEN__PORT'?");
  }
  {
    const Variable wrong("PGSTEER_LISTEN__PORT", "abc");
    CHECK(refuse("") == "environment PGSTEER_LISTEN__PORT: listen.port: expected a whole number from 0 to 65535, got 'abc'");
  }
  const Variable other("PGSTEER_BENCH", "x"), state("PGSTEER_STATE_DIR", "/tmp/there");
  CHECK(accept("")->state_dir == "/tmp/there");
}

TEST_CASE_FIXTURE(Fixture, "secrets are never shown, and never readable by others") {
  const auto config = accept(
      "[upstream]\nurl = \"postgresql://u:geheim@h/d\"\nprobe_url = \"host=h password='ge heim' user=u\"\n[cache]\nredis_url = "
      "\"redis://:geheim@h:1/0\"\n[learning]\nstore_url = \"postgresql://u:geheim@h/d?connect_timeout=5\"\n");
  CHECK(row(*config, "learning.store_url").value == "postgresql://u:***@h/d?connect_timeout=5");
  CHECK(row(*config, "upstream.url").value == "postgresql://u:***@h/d");
  CHECK(row(*config, "upstream.probe_url").value == "host=h password=*** user=u");
  CHECK(row(*config, "cache.redis_url").value == "redis://:***@h:1/0");
  CHECK(config->cache.redis_url == "redis://:geheim@h:1/0");

  const std::string secret = dir.path() + "/secret";
  std::ofstream(secret) << "geheim\n";
  ::chmod(secret.c_str(), 0640);
  const std::string toml = "[upstream]\nprobe_password_file = \"" + secret + "\"\n";
  CHECK(refuse(toml) == "c.toml:2: upstream.probe_password_file: expected a file that only its owner can read (chmod 600), '" +
                            secret + "' has mode 640");
  ::chmod(secret.c_str(), 0600);
  CHECK(accept(toml)->upstream.probe_password_file == secret);
  CHECK(refuse("[upstream]\nurl = \"mysql://u:geheim@h\"").find("geheim") == std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "folders that go without saying") {
  const Variable xdg("XDG_STATE_HOME", "/tmp/xdg");
  CHECK(accept("")->state_dir == "/tmp/xdg/pgsteer");
  CHECK(accept("")->policies.directory.empty());
  ::mkdir((dir.path() + "/policies").c_str(), 0700);
  CHECK(accept("")->policies.directory == dir.path() + "/policies");
  ::unsetenv("XDG_STATE_HOME");
  CHECK(accept("")->state_dir == "/var/lib/pgsteer");
}

TEST_CASE("endpoints") {
  const struct {
    std::string url, host;
    int port;
    std::string user, password, database;
  } table[] = {
      {"postgresql://127.0.0.1:5433", "127.0.0.1", 5433, "", "", ""},
      {"postgres://db.example", "db.example", 5432, "", "", ""},
      {"postgresql://", "127.0.0.1", 5432, "", "", ""},
      {"postgresql:///shop", "127.0.0.1", 5432, "", "", "shop"},
      {"postgresql://u:p@h:1/d?application_name=x", "h", 1, "u", "p", "d"},
      {"postgresql://u:p%40%2F%3A@h/d%20e", "h", 5432, "u", "p@/:", "d e"},
      {"postgresql://u@h", "h", 5432, "u", "", ""},
      {"postgresql://[::1]:5433/d", "::1", 5433, "", "", "d"},
      {"postgresql://%2Ftmp%2Fsock/d", "/tmp/sock", 5432, "", "", "d"},
      {"postgresql://%2Ftmp:5433", "/tmp", 5433, "", "", ""},
      {"postgresql:///d?host=/run/postgresql&port=5433&user=u", "/run/postgresql", 5433, "u", "", "d"},
      {"host=/run/postgresql port=5433", "/run/postgresql", 5433, "", "", ""},
      {"host=h user=u password='it\\'s a' dbname = d", "h", 5432, "u", "it's a", "d"},
      {"  port = 7  ", "127.0.0.1", 7, "", "", ""},
  };
  for (const auto& one : table) {
    CAPTURE(one.url);
    std::string error;
    const auto read = parse_endpoint(one.url, &error);
    INFO(error);
    REQUIRE(read);
    CHECK(read->host == one.host);
    CHECK(read->port == one.port);
    CHECK(read->user == one.user);
    CHECK(read->password == one.password);
    CHECK(read->database == one.database);
    CHECK(read->unix_socket() == (one.host.front() == '/'));
  }
}

TEST_CASE("several hosts") {
  const struct {
    std::string url, hosts;
    SessionAttributes wanted;
  } table[] = {
      {"postgresql://h", "h:5432", SessionAttributes::any},
      {"postgresql://a:1,b/d?target_session_attrs=primary", "a:1 b:5432", SessionAttributes::primary},
      {"postgresql://u:p@a,[::1]:7,%2Ftmp:8/d?target_session_attrs=prefer-standby", "a:5432 [::1]:7 /tmp:8", SessionAttributes::prefer_standby},
      {"host=a,b,c port=7 target_session_attrs=read-write", "a:7 b:7 c:7", SessionAttributes::read_write},
      {"host=a,b port=7,8 target_session_attrs=read-only", "a:7 b:8", SessionAttributes::read_only},
      {"host=,b port=,8 target_session_attrs=standby", "127.0.0.1:5432 b:8", SessionAttributes::standby},
      {"postgresql:///d?host=a,b&port=5433", "a:5433 b:5433", SessionAttributes::any},
  };
  for (const auto& one : table) {
    CAPTURE(one.url);
    std::string error, hosts;
    const auto read = parse_upstreams(one.url, &error);
    INFO(error);
    REQUIRE(read);
    for (const auto& host : read->hosts) hosts += (hosts.empty() ? "" : " ") + host.address();
    CHECK(hosts == one.hosts);
    CHECK(read->wanted == one.wanted);
    CHECK(read->hosts.back().user == read->hosts.front().user);
  }
  std::string error;
  CHECK_FALSE(parse_upstreams("host=a,b,c port=1,2", &error));
  CHECK(error == "expected one port or as many as hosts, got 2 ports for 3 hosts");
  CHECK_FALSE(parse_upstreams("postgresql://a,b?target_session_attrs=master", &error));
  CHECK(error == "target_session_attrs: expected any, read-write, read-only, primary, standby or prefer-standby, got 'master'");
}

TEST_CASE("TLS of endpoints") {
  std::string error;
  CHECK(parse_endpoint("postgresql://h", &error)->sslmode == "disable");
  const auto tls = parse_endpoint("postgresql://h?sslmode=verify-ca&sslrootcert=%2Fca&sslcert=c&sslkey=k", &error);
  REQUIRE(tls);
  CHECK(tls->wants_tls());
  CHECK(tls->sslrootcert == "/ca");
  CHECK_FALSE(parse_endpoint("host=/run/postgresql sslmode=require", &error)->wants_tls());
}

TEST_CASE_FIXTURE(Fixture, "TLS of clients") {
  CHECK(refuse("[tls]\nmode = \"require\"\nkey_file = \"y\"").find("tls.certificate_file: expected a file for tls.mode = \"require\", got none") != std::string::npos);
  CHECK(refuse("[tls]\nmode = \"verify-ca\"\ncertificate_file = \"x\"\nkey_file = \"y\"").find("tls.client_ca_file") != std::string::npos);
  CHECK(refuse("[tls]\nmode = \"allow\"\ncertificate_file = \"/nowhere\"\nkey_file = \"/nowhere\"").find("tls.certificate_file: expected a certificate") != std::string::npos);
  CHECK(refuse("[auth]\nmode = \"terminate\"\nmethod = \"cert\"").find("auth.method: cert needs") != std::string::npos);
}

TEST_CASE("endpoints that are none") {
  const struct {
    std::string url, message;
  } table[] = {
      {"", "expected postgresql://host:port, got nothing"},
      {"localhost", "expected postgresql://host:port or name=value words"},
      {"http://h", "expected postgresql://host:port, got 'http://h'"},
      {"postgresql://h:0", "expected a port from 1 to 65535, got '0'"},
      {"postgresql://h:65536", "expected a port from 1 to 65535, got '65536'"},
      {"postgresql://h:5432x", "expected a port from 1 to 65535, got '5432x'"},
      {"postgresql://a,b", "expected one host, got a list"},
      {"postgresql://%2", "expected two hexadecimal digits after %, and no %00"},
      {"postgresql://%zz", "expected two hexadecimal digits after %, and no %00"},
      {"postgresql://%00", "expected two hexadecimal digits after %, and no %00"},
      {"postgresql://[::1", "expected ']' after the address"},
      {"postgresql://[::1]x", "expected ':' and a port after ']'"},
      {"postgresql://h?prot=1", "unknown parameter 'prot': did you mean 'port'?"},
      {"postgresql://h?port", "expected name=value after '?', got 'port'"},
      {"host=h prot=1", "unknown parameter 'prot': did you mean 'port'?"},
      {"password='x", "expected a closing quote after password="},
      {"postgresql://h?sslmode=on", "sslmode: expected disable, prefer, require, verify-ca or verify-full, got 'on'"},
      {"postgresql://h?sslmode=verify-full", "sslmode verify-full needs sslrootcert: a file of certificates, or system"},
      {"postgresql://h?sslmode=require&sslcert=a", "expected sslcert and sslkey together"},
  };
  for (const auto& one : table) {
    CAPTURE(one.url);
    std::string error;
    CHECK_FALSE(parse_endpoint(one.url, &error));
    CHECK(error == one.message);
    CHECK_FALSE(parse_endpoint(one.url, nullptr));
  }
}

}  // namespace pgsteer::proxy
