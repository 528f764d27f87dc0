#include "proxy/process.hpp"

#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <string_view>

extern char** environ;

namespace pgsteer::proxy {

void prepare_process() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  ::umask(077);
  if (::getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0) ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

namespace {

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

void return_free_memory() {
  constexpr std::size_t much = 32u << 20;
  static std::size_t at_last_trim = 0;  // what was left then is in use, or in the holes between what is
  const std::size_t resident = resident_bytes();
  if (resident < at_last_trim + much || ::mallinfo2().fordblks < much) return;
  ::malloc_trim(0);
  at_last_trim = resident_bytes();
}

int spawn(const std::string& executable, std::vector<std::string> words, const posix_spawn_file_actions_t& actions, pid_t* pid,
          std::vector<std::string> environment) {
  std::vector<char*> arguments, variables;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const auto replaced = [&](std::string_view variable) {
    return std::any_of(environment.begin(), environment.end(), [&](const std::string& one) { return variable.starts_with(one.substr(0, one.find('=') + 1)); });
  };
  for (char** variable = environ; *variable; ++variable)
    if (!replaced(*variable)) variables.push_back(*variable);
  for (auto& variable : environment) variables.push_back(variable.data());
  variables.push_back(nullptr);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const int failure = posix_spawn(pid, executable.c_str(), &actions, &attributes, arguments.data(), variables.data());
  posix_spawnattr_destroy(&attributes);
  return failure;
}

}  // namespace pgsteer::proxy
