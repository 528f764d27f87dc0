#include "bench/harness/systems.hpp"

#include <libpq-fe.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>

namespace pgsteer::harness {
namespace {

namespace fs = std::filesystem;

std::string quoted(const std::string& value) {  // for libpq's key=value form
  std::string out = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string read_end(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  const std::string all = text.str();
  return all.size() > 1500 ? all.substr(all.size() - 1500) : all;
}

void write(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read | fs::perms::others_read);
}

struct ProcessTimes {
  pid_t parent = 0;
  double seconds = 0;
};

std::map<pid_t, ProcessTimes> all_processes() {
  std::map<pid_t, ProcessTimes> found;
  const double tick = static_cast<double>(::sysconf(_SC_CLK_TCK));
  std::error_code failure;
  for (fs::directory_iterator at("/proc", failure), end; !failure && at != end; at.increment(failure)) {
    const std::string name = at->path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(at->path() / "stat");
    std::string line;
    std::getline(file, line);
    const auto close = line.rfind(')');
    if (close == std::string::npos) continue;
    std::istringstream words(line.substr(close + 2));
    std::string state, word;
    ProcessTimes times;
    words >> state >> times.parent;
    for (int i = 5; i < 14; ++i) words >> word;  // up to cmajflt
    double user = 0, system = 0, waited_user = 0, waited_system = 0;
    words >> user >> system >> waited_user >> waited_system;
    times.seconds = (user + system + waited_user + waited_system) / tick;
    found[static_cast<pid_t>(std::stol(name))] = times;
  }
  return found;
}

}  // namespace

std::string Upstream::url() const {
  return fmt::format("host={} port={} user={}{} dbname={}", quoted(host), port, quoted(user), password.empty() ? std::string() : " password=" + quoted(password),
                     quoted(database));
}

std::string Upstream::url_at(std::uint16_t other_port, const std::string& other_database) const {
  return Upstream{"127.0.0.1", std::to_string(other_port), user, password, other_database.empty() ? database : other_database}.url() + " sslmode=disable";
}

Upstream parse_upstream(const std::string& url) {
  char* message = nullptr;
  PQconninfoOption* options = PQconninfoParse(url.c_str(), &message);
  if (!options) {
    std::string text = message ? message : "not a connection string";
    PQfreemem(message);
    throw std::invalid_argument(text);
  }
  std::map<std::string, std::string> values;
  for (const PQconninfoOption* o = options; o->keyword; ++o)
    if (o->val) values[o->keyword] = o->val;
  PQconninfoFree(options);
  Upstream upstream{values["host"], values["port"], values["user"], values["password"], values["dbname"]};
  if (upstream.host.empty()) upstream.host = "127.0.0.1";
  if (upstream.port.empty()) upstream.port = "5432";
  if (upstream.user.empty()) upstream.user = "postgres";
  if (upstream.database.empty()) upstream.database = upstream.user;
  if (upstream.password.empty() && std::getenv("PGPASSWORD")) upstream.password = std::getenv("PGPASSWORD");
  return upstream;
}

double cpu_seconds(pid_t pid) {
  const auto processes = all_processes();
  std::multimap<pid_t, pid_t> children;
  for (const auto& [id, times] : processes) children.emplace(times.parent, id);
  double sum = 0;
  std::vector<pid_t> open{pid};
  while (!open.empty()) {
    const pid_t one = open.back();
    open.pop_back();
    if (const auto found = processes.find(one); found != processes.end()) sum += found->second.seconds;
    for (auto [at, end] = children.equal_range(one); at != end; ++at) open.push_back(at->second);
  }
  return sum;
}

double resident_mb(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/statm", pid));
  double pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 20);
}

Systems::Systems(Upstream upstream, std::string pgsteer, int clients) : upstream_(std::move(upstream)), pgsteer_(std::move(pgsteer)), clients_(clients) {}

namespace {

/// "pgsteer:auto+cache+pool" taken apart; mode "" when it is no such name.
struct Steered {
  std::string mode;
  bool cache = false, pool = false;
};
Steered read_steered(const std::string& spec) {
  const std::string prefix = "pgsteer:";
  if (!spec.starts_with(prefix)) return {};
  Steered steered{spec.substr(prefix.size())};
  const auto take = [&](const std::string& suffix, bool& flag) {
    if (!flag && steered.mode.ends_with(suffix)) steered.mode.resize(steered.mode.size() - suffix.size()), flag = true;
  };
  for (int i = 0; i < 2; ++i) {
    take("+cache", steered.cache);
    take("+pool", steered.pool);
  }
  return steered;
}

}  // namespace

void check_system(const std::string& spec) {
  static const std::set<std::string> names = {"direct", "pgbouncer", "pgpool"}, modes = {"off", "observe", "suggest", "auto"};
  const auto equals = spec.find('=');
  const bool labelled = equals != std::string::npos && equals > 0 && spec.substr(0, equals).find_first_of(":/ ") == std::string::npos;
  if (!names.contains(spec) && !modes.contains(read_steered(spec).mode) && !labelled)
    throw std::invalid_argument(fmt::format("unknown system '{}': there are direct, pgbouncer, pgpool, pgsteer:off|observe|suggest|auto[+cache][+pool] and LABEL=host:port", spec));
}

System Systems::start(const std::string& spec) {
  check_system(spec);
  if (spec == "direct") return {spec, upstream_.url(), {}, -1};
  if (spec == "pgbouncer") return start_pgbouncer();
  if (spec == "pgpool") return start_pgpool();
  if (spec.starts_with("pgsteer:")) return start_pgsteer(spec);
  const auto equals = spec.find('=');
  const std::string where = spec.substr(equals + 1);
  if (where.find("://") != std::string::npos || where.find('=') != std::string::npos) return {spec.substr(0, equals), where, {}, -1};
  const auto colon = where.rfind(':');
  Upstream other = upstream_;
  other.host = where.substr(0, colon);
  other.port = colon == std::string::npos ? "5432" : where.substr(colon + 1);
  return {spec.substr(0, equals), other.url(), {}, -1};
}

System Systems::finish(const std::string& label, std::vector<std::string> command, std::uint16_t port, bool as_nobody) {
  const std::string log = fmt::format("{}/{}.log", directory_.path(), label);
  auto process = std::make_unique<test::Process>(std::move(command), log, as_nobody);
  const System system{label, upstream_.url_at(port), {}, process->pid()};
  for (int i = 0;; ++i) {
    PGconn* connection = PQconnectdb((system.url + " connect_timeout=3").c_str());
    const bool connected = PQstatus(connection) == CONNECTION_OK;
    const std::string message = PQerrorMessage(connection);
    PQfinish(connection);
    if (connected) break;
    if (i == 100 || !process->running()) throw std::runtime_error(fmt::format("{} does not start: {}{}", label, message, read_end(log)));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  processes_.push_back(std::move(process));
  return system;
}

System Systems::start_pgbouncer() {
  const std::string directory = directory_.path() + "/pgbouncer.d";
  fs::create_directory(directory);
  const std::uint16_t port = test::free_port();
  write(directory + "/ini", fmt::format("[databases]\n* = host={} port={} user={}{}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\nunix_socket_dir =\n"
                                        "auth_type = any\npool_mode = session\nmax_client_conn = {}\ndefault_pool_size = {}\n"
                                        "ignore_startup_parameters = extra_float_digits,options\nlog_connections = 0\nlog_disconnections = 0\n",
                                        upstream_.host, upstream_.port, upstream_.user, upstream_.password.empty() ? "" : " password=" + upstream_.password, port,
                                        clients_ + 50, clients_ + 4));
  return finish("pgbouncer", {"/usr/sbin/pgbouncer", "-q", directory + "/ini"}, port, true);
}

System Systems::start_pgpool() {
  if (!upstream_.password.empty()) throw std::runtime_error("pgpool is compared on servers without a password only");
  const std::string directory = directory_.path() + "/pgpool.d";
  fs::create_directory(directory);
  const std::uint16_t port = test::free_port();
  write(directory + "/pgpool.conf", fmt::format("backend_clustering_mode = 'raw'\nlisten_addresses = '127.0.0.1'\nport = {}\nsocket_dir = '{}'\npcp_port = {}\npcp_socket_dir = '{}'\n"
                                                "backend_hostname0 = '{}'\nbackend_port0 = {}\nnum_init_children = {}\npid_file_name = '{}/pid'\nlogdir = '{}'\n"
                                                "memory_cache_enabled = on\nmemqcache_method = 'shmem'\nmemqcache_total_size = 64MB\nmemqcache_maxcache = 400kB\n"
                                                "memqcache_oiddir = '{}'\nlog_min_messages = error\n",
                                                port, directory, test::free_port(), directory, upstream_.host, upstream_.port, clients_ + 4, directory, directory, directory));
  write(directory + "/pool_hba.conf", "");
  write(directory + "/pcp.conf", "");
  return finish("pgpool", {"/usr/sbin/pgpool", "-n", "-f", directory + "/pgpool.conf", "-a", directory + "/pool_hba.conf", "-F", directory + "/pcp.conf"}, port, false);
}

System Systems::start_pgsteer(const std::string& spec) {
  const auto [mode, cached, pooled] = read_steered(spec);
  if (pooled && !upstream_.password.empty()) throw std::runtime_error("pooling is compared on servers without a password only");
  const std::string directory = fmt::format("{}/{}.d", directory_.path(), spec);
  fs::create_directories(directory + "/policies");
  write(directory + "/policies/bench.toml", fmt::format("[default]\nmode = \"{}\"\nrewrite = [\"all\"]\nsteer = {{ explore = \"offline\", budget = \"100%\" }}\ncache = \"{}\"\n", mode,
                                                        cached ? "strict" : "off"));
  const std::uint16_t port = test::free_port();
  std::vector<std::string> command = {pgsteer_, "run", "--upstream", fmt::format("postgresql://{}:{}", upstream_.host, upstream_.port), "--listen", fmt::format("127.0.0.1:{}", port),
                                      "--mode", mode, "--state-dir", directory + "/state", "--policies", directory + "/policies"};
  for (const std::string& setting : {std::string("http.port=0"), "upstream.probe_url=" + upstream_.url(), std::string("learning.retrain_interval=0s")})
    command.insert(command.end(), {"--set", setting});
  if (pooled)
    for (const std::string& setting : {std::string("auth.mode=terminate"), std::string("auth.method=trust"), std::string("pool.mode=transaction"),
                                       fmt::format("pool.default_pool_size={}", clients_ + 4)})
      command.insert(command.end(), {"--set", setting});
  System system = finish(spec, std::move(command), port, false);
  system.console = upstream_.url_at(port, "pgsteer");
  return system;
}

}  // namespace pgsteer::harness
