// pgsteer-bench: what `pgsteer bench` runs. See README.md.
#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <thread>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "bench/harness/load.hpp"
#include "bench/harness/results.hpp"
#include "bench/harness/systems.hpp"
#include "bench/harness/workloads.hpp"

using namespace pgsteer;
using namespace pgsteer::harness;

namespace {

struct Arguments {
  std::string upstream, pgsteer, database = "pgsteer_bench", json = "pgsteer-bench.json", html = "pgsteer-bench.html";
  std::vector<std::string> workloads{"oltp", "joins", "orm"}, systems{"direct", "pgbouncer", "pgsteer:observe", "pgsteer:auto"}, files;
  WorkloadOptions workload{0.2, 1, {}, false};
  LoadOptions load;
  int rounds = 7;
  double learn = 60;
  bool keep = false, quick = false, fail_on_worse = false;
};

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const std::string& path, const std::string& text) {
  if (path.empty()) return;
  std::ofstream file(path);
  file << text << '\n';
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

void progress(const std::string& what) { fmt::print(stderr, "  {}\n", what); }

/// The server: the user's own, with a database of ours in it, or a throwaway one.
class Server {
 public:
  explicit Server(const Arguments& arguments, bool on_users_data) : arguments_(arguments), on_users_data_(on_users_data) {
    if (arguments.upstream.empty()) {
      if (on_users_data) throw std::invalid_argument("the workload replay needs --upstream: the database its statements are of");
      throwaway_ = std::make_unique<test::Postgres>("shared_buffers = 256MB\nmax_wal_size = 4GB\nmax_connections = 300\n");
      upstream_ = parse_upstream(throwaway_->url());
    } else {
      upstream_ = parse_upstream(arguments.upstream);
    }
    if (on_users_data) return;
    workload::Connection(upstream_.url()).execute(fmt::format("CREATE DATABASE \"{}\"", arguments.database));
    maintenance_ = upstream_;
    upstream_.database = arguments.database;
  }
  ~Server() { drop(); }
  void drop() {
    if (throwaway_) return throwaway_.reset();
    if (on_users_data_ || arguments_.keep) return;
    try {
      workload::Connection(maintenance_.url()).execute(fmt::format("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", arguments_.database));
    } catch (const std::exception& error) {
      fmt::print(stderr, "pgsteer bench: database {} is left behind: {}\n", arguments_.database, error.what());
    }
  }
  const Upstream& upstream() const { return upstream_; }
  /// The postmaster of a throwaway server; of another one nobody knows which process it is, or on what machine.
  pid_t postmaster() const {
    pid_t pid = -1;
    if (throwaway_) std::ifstream(throwaway_->socket_dir() + "/data/postmaster.pid") >> pid;
    return pid;
  }
  std::string version() const { return workload::Connection(upstream_.url()).query("SHOW server_version").at(1).at(0) + (throwaway_ ? " (throwaway, fsync off)" : ""); }

 private:
  const Arguments& arguments_;
  const bool on_users_data_;
  Upstream upstream_, maintenance_;
  std::unique_ptr<test::Postgres> throwaway_;
};

/// On SIGINT and SIGTERM everything that was started or made is ended and removed before we end.
class Interrupts {
 public:
  explicit Interrupts(std::function<void()> clean) : clean_(std::move(clean)) {
    if (::pipe2(pipe_, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { (void)!::write(pipe_[1], "i", 1); });
    std::thread([this] {
      char byte = 0;
      if (::read(pipe_[0], &byte, 1) != 1) return;
      fmt::print(stderr, "\npgsteer bench: interrupted\n");
      clean_();
      ::_exit(130);
    }).detach();
  }

 private:
  static inline int pipe_[2] = {-1, -1};
  std::function<void()> clean_;
};

std::string machine() {
  utsname name{};
  ::uname(&name);
  std::string model = name.machine;
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name")) {
      model = line.substr(line.find(':') + 2);
      break;
    }
  return fmt::format("{} x {}, {} {}", std::thread::hardware_concurrency(), model, name.sysname, name.release);
}

std::string commit_of(const std::string& program) {
  const auto found = test::run_command(fmt::format("git -C '{}' rev-parse --short HEAD 2>/dev/null", std::filesystem::path(program).parent_path().string()));
  return found.exit_code == 0 ? found.output.substr(0, found.output.find('\n')) : "unknown";
}

void start_training(workload::Connection& console) {
  try {
    console.execute("TRAIN");
  } catch (const std::runtime_error& error) {  // one may be running
    progress(error.what());
  }
}

/// What a pgsteer that may act learns before it is measured: the statements with other values, until it has nothing left to try.
void learn(const Workload& workload, const System& system, const Arguments& arguments) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(arguments.learn);
  const auto left = [&] { return std::chrono::duration<double>(end - std::chrono::steady_clock::now()).count(); };
  workload::Connection console(system.console);
  for (int pass = 0; left() > 0; ++pass) {
    progress(fmt::format("{}: {} learns, {:.0f} s left", workload.name, system.label, left()));
    workload::DriveOptions drive;
    drive.url = system.url;
    drive.clients = 1;
    drive.each = 5;
    drive.seconds = left();
    drive.seed = arguments.workload.seed + 1000 + static_cast<std::uint64_t>(pass);
    workload::drive(workload.classes, drive);
    if (pass == 0) start_training(console);
    for (bool settled = false; !settled && left() > 0;) {
      std::this_thread::sleep_for(std::chrono::seconds(1));
      for (const auto& row : console.query("SHOW HEALTH")) settled |= row[0] == "settled" && row[1].starts_with("ok");
      if (settled && pass >= 2) return;
    }
  }
}

std::vector<System> start_all(Systems& systems, const Arguments& arguments, Results& results) {
  std::vector<System> started;
  for (const std::string& spec : arguments.systems) {
    try {
      started.push_back(systems.start(spec));
      results.systems.push_back(started.back().label);
    } catch (const std::runtime_error& error) {  // the first is what the others are measured against
      if (started.empty()) throw;
      results.left_out.push_back(fmt::format("{}: {}", spec, error.what()));
    }
  }
  return started;
}

WorkloadResult measure(const Workload& workload, const std::vector<System>& systems, const Arguments& arguments, pid_t postmaster) {
  WorkloadResult result{workload.name, workload.what, workload.notes, {}, {}};
  for (const System& system : systems)
    if (system.label.starts_with("pgsteer:auto") && arguments.learn > 0) learn(workload, system, arguments);
  workload::CompareOptions compare;
  for (const System& system : systems) compare.targets.push_back({system.label, system.url});
  compare.rounds = arguments.rounds;
  compare.seed = arguments.workload.seed;
  compare.console_url = systems.back().console;
  if (compare.rounds > 0) {
    progress(fmt::format("{}: each statement through each system, {} rounds", workload.name, compare.rounds));
    result.comparison = workload::compare(workload.classes, compare);
    result.comparison.dataset = workload.name;
  }
  if (arguments.load.seconds > 0) {
    LoadOptions load = arguments.load;
    load.server = postmaster;
    load.seed = arguments.workload.seed + 7;
    result.load = measure_load(workload, systems, load, progress);
  }
  return result;
}

int run(Arguments& arguments, const std::string& command) {
  std::vector<Workload> workloads;
  for (const auto& name : arguments.workloads) workloads.push_back(make_workload(name, arguments.workload));
  for (const auto& spec : arguments.systems) check_system(spec);
  const bool replayed = std::any_of(workloads.begin(), workloads.end(), [](const Workload& w) { return w.on_users_data; });
  if (replayed && workloads.size() > 1) throw std::invalid_argument("the workload replay runs alone: its statements are of another database");
  Server server(arguments, replayed);
  Upstream upstream = server.upstream();
  Systems systems(upstream, arguments.pgsteer, arguments.load.clients);
  Interrupts interrupts([&] {
    server.drop();
    std::error_code ignored;
    std::filesystem::remove_all(systems.directory(), ignored);
  });
  Results results;
  results.version = PGSTEER_VERSION;
  results.commit = commit_of(arguments.pgsteer);
  results.when = fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(std::time(nullptr)));
  results.command = command;
  results.machine = machine();
  results.server = "PostgreSQL " + server.version();
  results.scale = arguments.workload.scale;
  results.rounds = arguments.load.rounds;
  results.clients = arguments.load.clients;
  results.seconds = arguments.load.seconds;
  results.rate = arguments.load.rate;
  if (!replayed) {
    progress("loading the data");
    load_data(upstream.url(), workloads, arguments.workload);
  }
  const std::vector<System> started = start_all(systems, arguments, results);
  for (const Workload& workload : workloads) {
    results.workloads.push_back(measure(workload, started, arguments, server.postmaster()));
    write_file(arguments.json, to_json(results));  // what is measured is kept, whatever becomes of the rest
  }
  write_file(arguments.html, to_html(results));
  fmt::print("{}\nfigures: {}\nreport:  {}\n", to_table(results), arguments.json, arguments.html);
  const auto wrong = faults(results);
  for (const auto& line : wrong) fmt::print("FAILED: {}\n", line);
  return wrong.empty() ? 0 : 1;
}

int compare_files(const Arguments& arguments) {
  const Results before = results_from_json(read_file(arguments.files[0])), after = results_from_json(read_file(arguments.files[1]));
  if (before.machine != after.machine) fmt::print("two machines: {} / {}\n", before.machine, after.machine);
  const auto found = changes(before, after);
  if (found.empty()) throw std::runtime_error("the two have no workload and system in common");
  fmt::print("{} ({}) -> {} ({})\n{}", before.commit, before.when, after.commit, after.when, to_text(found));
  const bool worse = std::any_of(found.begin(), found.end(), [](const Change& c) { return c.worse(); });
  return arguments.fail_on_worse && worse ? 1 : 0;
}

/// Beside us in a build directory and where it is installed.
std::string find_pgsteer() {
  char path[4096];
  const auto length = ::readlink("/proc/self/exe", path, sizeof path);
  const auto here = std::filesystem::path(std::string(path, length > 0 ? static_cast<std::size_t>(length) : 0)).parent_path();
  for (const auto& candidate : {here / "pgsteer", here / "../../pgsteer", here / "../../bin/pgsteer"})
    if (std::filesystem::exists(candidate)) return std::filesystem::canonical(candidate);
  return "pgsteer";
}

void add_options(CLI::App& app, Arguments& a) {
  app.add_option("--upstream", a.upstream, "connection string of a server; a database of its own is made there and dropped again. Without it: a throwaway PostgreSQL on this machine");
  app.add_option("--workload", a.workloads, "one or more, by comma:\n" + workload_list())->delimiter(',')->capture_default_str();
  app.add_option("--system", a.systems, "what is compared, by comma, the first being what the others are measured against: direct, pgbouncer, pgpool,\n"
                                        "pgsteer:off|observe|suggest|auto[+cache][+pool], LABEL=host:port")->delimiter(',')->capture_default_str();
  app.add_option("--scale", a.workload.scale, "1 = about 3 million rows")->check(CLI::Range(0.01, 20.0))->capture_default_str();
  app.add_option("--seed", a.workload.seed, "same seed, same data and statements")->capture_default_str();
  app.add_option("--rounds", a.rounds, "of asking each statement of each system in turn; 0 = do not")->check(CLI::Range(0, 1000))->capture_default_str();
  app.add_option("--seconds", a.load.seconds, "under load, of each system in each round; 0 = no load")->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--load-rounds", a.load.rounds)->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--clients", a.load.clients)->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--rate", a.load.rate, "statements a second, open loop; 0 = each client sends when it was answered")->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--learn", a.learn, "seconds at most that pgsteer:auto may learn before a workload is measured")->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--replay", a.workload.replay, "for the workload replay: csvlog or jsonlog of PostgreSQL, or an export of pg_stat_statements (CSV with a header)");
  app.add_option("--speed", a.load.speed, "of a replay under load: 2 = twice as fast as it was recorded")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_flag("--writes", a.workload.writes, "replay: send INSERT, UPDATE, DELETE and MERGE too. They are carried out, once for each system and round");
  app.add_option("--database", a.database, "name of the database made on the server")->capture_default_str();
  app.add_flag("--keep", a.keep, "do not drop it");
  app.add_option("--json", a.json, "where the figures go")->capture_default_str();
  app.add_option("--html", a.html, "where the report goes")->capture_default_str();
  app.add_option("--pgsteer", a.pgsteer, "program to start as pgsteer")->capture_default_str();
  app.add_flag("--quick", a.quick, "little data, few rounds: a minute, to see that it works");
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  Arguments arguments;
  arguments.pgsteer = find_pgsteer();
  CLI::App app{"Measures pgsteer beside a direct connection and other proxies, on generated data or your own statements.", "pgsteer bench"};
  app.set_version_flag("--version", "pgsteer " PGSTEER_VERSION);
  add_options(app, arguments);
  CLI::App* compare = app.add_subcommand("compare", "what changed between two runs, beyond their noise");
  compare->add_option("files", arguments.files, "two files of figures, the earlier one first")->required()->expected(2);
  compare->add_flag("--fail-on-worse", arguments.fail_on_worse, "exit status 1 when something got worse");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "pgsteer bench: {}\nTry 'pgsteer bench --help'.\n", error.what());
    return 64;
  }
  if (arguments.quick) {
    arguments.workload.scale = std::min(arguments.workload.scale, 0.05);
    arguments.rounds = std::min(arguments.rounds, 3);
    arguments.load.rounds = 1;
    arguments.load.seconds = std::min(arguments.load.seconds, 1.5);
    arguments.learn = std::min(arguments.learn, 10.0);
  }
  std::string command = "pgsteer bench";
  for (int i = 1; i < argc; ++i) command += std::string(" ") + argv[i];
  try {
    return compare->parsed() ? compare_files(arguments) : run(arguments, command);
  } catch (const std::invalid_argument& error) {
    fmt::print(stderr, "pgsteer bench: {}\n", error.what());
    return 64;
  } catch (const std::exception& error) {
    fmt::print(stderr, "pgsteer bench: {}\n", error.what());
    return 1;
  }
}
