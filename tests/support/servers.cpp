#include "tests/support/servers.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace pgsteer::test {
namespace {

constexpr const char* kPostgresBin = "/usr/lib/postgresql/15/bin/";

bool can_connect(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool ok = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return ok;
}

void wait_for_port(std::uint16_t port, const std::string& what) {
  for (int i = 0; i < 600; ++i) {
    if (can_connect(port)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  throw std::runtime_error(what + " did not open port " + std::to_string(port));
}

/// PostgreSQL refuses to run as root; everything else runs as we are.
std::string as_unprivileged(const std::string& command) {
  return ::geteuid() == 0 ? "runuser -u nobody -- " + command : command;
}

}  // namespace

TempDir::TempDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "pgsteer-test-XXXXXX").string();
  if (!::mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp failed");
  path_ = pattern;
  ::chmod(path_.c_str(), 0755);
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) throw std::runtime_error("bind failed");
  socklen_t length = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  ::close(fd);
  return ntohs(address.sin_port);
}

Process::Process(std::vector<std::string> arguments, const std::string& log_file, bool as_nobody,
                 std::vector<std::string> environment) {
  std::vector<char*> argv;
  for (auto& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const passwd* nobody = as_nobody ? ::getpwnam("nobody") : nullptr;
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    const int log = ::open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    ::dup2(log, 1);
    ::dup2(log, 2);
    if (nobody && ::geteuid() == 0 && (::setgid(nobody->pw_gid) != 0 || ::setuid(nobody->pw_uid) != 0)) ::_exit(126);
    for (auto& entry : environment) ::putenv(entry.data());
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
}

Process::~Process() {
  if (pid_ > 0) stop();
}

bool Process::running() {
  if (pid_ <= 0) return false;
  if (::waitpid(pid_, &status_, WNOHANG) == pid_) {
    pid_ = -1;
    return false;
  }
  return true;
}

int Process::stop(int signal) {
  if (pid_ > 0) {
    ::kill(pid_, signal);
    bool ended = false;
    for (int i = 0; i < 1000 && !ended; ++i) {
      ended = ::waitpid(pid_, &status_, WNOHANG) == pid_;
      if (!ended) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    if (!ended) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, &status_, 0);
    }
    pid_ = -1;
  }
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

bool have_postgres() { return ::access((std::string(kPostgresBin) + "postgres").c_str(), X_OK) == 0; }
bool have_redis() { return ::access("/usr/bin/redis-server", X_OK) == 0; }

Postgres::Postgres(const std::string& extra_conf, const std::string& hba) : port_(free_port()) {
  const std::string data = dir_.path() + "/data";
  if (::geteuid() == 0) run_command("chown nobody " + dir_.path());
  const auto made = run_command(as_unprivileged(std::string(kPostgresBin) + "initdb -D " + data +
                                                " -A trust -N -U postgres -E UTF8 --locale=C.UTF-8"));
  if (made.exit_code != 0) throw std::runtime_error("initdb: " + made.output);
  {
    std::ofstream conf(data + "/postgresql.conf", std::ios::app);
    conf << "\nport = " << port_ << "\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '" << dir_.path()
         << "'\nfsync = off\nsynchronous_commit = off\nshared_buffers = 128MB\nmax_connections = 200\n"
         << "logging_collector = off\n" << extra_conf << "\n";
  }
  if (!hba.empty()) {
    std::ofstream file(data + "/pg_hba.conf", std::ios::trunc);
    file << hba << "\n";
  }
  start();
}

Postgres::~Postgres() {
  if (running_) kill_hard();
}

std::string Postgres::socket_dir() const { return dir_.path(); }

std::string Postgres::url(const std::string& database, const std::string& user) const {
  return "postgresql://" + user + "@127.0.0.1:" + std::to_string(port_) + "/" + database;
}

void Postgres::start() {
  const auto result = run_command(as_unprivileged(std::string(kPostgresBin) + "pg_ctl -D " + dir_.path() +
                                                  "/data -l " + dir_.path() + "/log -w -t 60 start"));
  if (result.exit_code != 0) throw std::runtime_error("pg_ctl start: " + result.output + log());
  running_ = true;
}

void Postgres::stop() {
  run_command(as_unprivileged(std::string(kPostgresBin) + "pg_ctl -D " + dir_.path() + "/data -m fast -w stop"));
  running_ = false;
}

void Postgres::kill_hard() {
  run_command(as_unprivileged(std::string(kPostgresBin) + "pg_ctl -D " + dir_.path() + "/data -m immediate -w stop"));
  running_ = false;
}

std::string Postgres::log() const {
  std::ifstream file(dir_.path() + "/log");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Redis::Redis(std::vector<std::string> extra_arguments) : port_(free_port()), extra_(std::move(extra_arguments)) {
  start();
}

Redis::~Redis() = default;

void Redis::start() {
  std::vector<std::string> arguments = {"redis-server", "--port", std::to_string(port_), "--bind", "127.0.0.1",
                                        "--save", "", "--appendonly", "no", "--dir", dir_.path()};
  arguments.insert(arguments.end(), extra_.begin(), extra_.end());
  process_ = std::make_unique<Process>(arguments, dir_.path() + "/log");
  wait_for_port(port_, "redis-server");
}

void Redis::stop(int signal) {
  if (process_) process_->stop(signal);
  process_.reset();
}

pid_t Redis::pid() const { return process_ ? process_->pid() : -1; }

CommandResult run_command(const std::string& command, int timeout_seconds) {
  CommandResult result;
  const std::string bounded =
      "cd / && timeout " + std::to_string(timeout_seconds) + " sh -c '" + [&] {
        std::string quoted;
        for (const char c : command) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
        return quoted;
      }() + "' 2>&1 </dev/null";
  FILE* pipe = ::popen(bounded.c_str(), "r");
  if (!pipe) return result;
  char buffer[4096];
  std::size_t n;
  while ((n = ::fread(buffer, 1, sizeof buffer, pipe)) > 0) result.output.append(buffer, n);
  const int status = ::pclose(pipe);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace pgsteer::test
