#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

namespace pgsteer::test {

/// A directory under the system's temporary one, removed with everything in it at the end.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::uint16_t free_port();

/// A child process: started with arguments, output to a file, ended with SIGTERM (then SIGKILL) and waited for.
class Process {
 public:
  Process(std::vector<std::string> arguments, const std::string& log_file, bool as_nobody = false,
          std::vector<std::string> environment = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  pid_t pid() const { return pid_; }
  bool running();
  int stop(int signal = 15);  ///< exit code, or 128 + signal
 private:
  pid_t pid_ = -1;
  int status_ = 0;
};

/// True when this machine has PostgreSQL 15's server binaries; a test that finds none skips loudly (and fails when the
/// environment says CI=true).
bool have_postgres();
bool have_redis();

/// A throwaway PostgreSQL 15 on a free port and on a unix socket: initdb --auth=trust as an unprivileged user, fsync off,
/// superuser "postgres", database "postgres". Extra lines go into postgresql.conf, hba lines replace pg_hba.conf when given.
class Postgres {
 public:
  explicit Postgres(const std::string& extra_conf = {}, const std::string& hba = {});
  ~Postgres();
  std::uint16_t port() const { return port_; }
  std::string socket_dir() const;
  std::string url(const std::string& database = "postgres", const std::string& user = "postgres") const;
  void kill_hard();  ///< immediate shutdown
  void start();
  void stop();
  std::string log() const;

 private:
  TempDir dir_;
  std::uint16_t port_;
  bool running_ = false;
};

class Redis {
 public:
  explicit Redis(std::vector<std::string> extra_arguments = {});
  ~Redis();
  std::uint16_t port() const { return port_; }
  void stop(int signal = 15);
  void start();
  pid_t pid() const;

 private:
  TempDir dir_;
  std::uint16_t port_;
  std::vector<std::string> extra_;
  std::unique_ptr<Process> process_;
};

/// Runs a command through the shell; output of both streams.
struct CommandResult {
  int exit_code = -1;
  std::string output;
};
CommandResult run_command(const std::string& command, int timeout_seconds = 120);

}  // namespace pgsteer::test
