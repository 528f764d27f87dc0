#pragma once
#include <spawn.h>
#include <string>
#include <vector>

namespace pgsteer::proxy {

/// What the process asks of the system before it reads a secret or opens a socket.
///
/// Descriptors: the soft limit of a login shell (1024) would end at 500 clients, so it is raised to the hard one.
/// Files: what it creates (store, audit log, models) is its own user's alone.
/// Memory holds passwords, keys and results: unless the operator wants core files (a soft limit above 0: `ulimit -c unlimited`,
/// LimitCORE=infinity) the process is not dumpable. Then there is no core file, not even one piped to a collector, which would not look at
/// the limit, and another process of the same user can neither attach to this one nor read its memory.
void prepare_process();

/// After a crowd has left the allocator keeps what it took. From the background, every ten seconds or so: gives it back where that is much. One thread only.
void return_free_memory();

/// Starts a program with `words` as its arguments, the first being its name, and no signal blocked or ignored: what this process does with
/// signals is not for a child. Its environment is ours, with `environment` ("NAME=value") in the place of what has the same names: for what
/// others must not read from its arguments. 0 and its process id, or an errno.
int spawn(const std::string& executable, std::vector<std::string> words, const posix_spawn_file_actions_t& actions, pid_t* pid,
          std::vector<std::string> environment = {});

}  // namespace pgsteer::proxy
