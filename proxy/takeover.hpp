#pragma once
#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/stream.hpp"
#include "proxy/worker.hpp"

namespace pgsteer::proxy {

/// Listening sockets on their way from one process to the next.
struct PassedSockets {
  std::vector<int> descriptors;
  std::string unix_path;    ///< of the unix socket among them, which is removed at the end of whoever has it
  bool supervised = false;  ///< a supervisor opened them: [listen] says nothing
};

// A new process takes the place of a running one with the same state directory (pgsteer run --replace). They speak over the socket
// takeover.sock in it, one datagram a step:
//
//   new -> old  take 1             old -> new  sockets <supervised> <unix path>, with the descriptors; or: refused <why>
//   new -> old  ready              the new one accepts; up to here the old one has changed nothing
//   old -> new  released           it no longer accepts, and has let go of the store and of the HTTP port
//   new -> old  cancel <key>       a cancel request with a key that the new one has not given
//
// and the end of the connection says that the last client of the old one has gone.

/// The new process's end.
class Takeover {
 public:
  /// nullopt: there is nobody to replace ("" in *error), or there is and it does not go that way. Blocks; call before other threads exist.
  static std::optional<Takeover> begin(const std::string& state_directory, std::string* error);
  const PassedSockets& sockets() const { return sockets_; }
  /// We accept. Returns when the predecessor has let go of what only one can have; false: it is gone.
  bool ready();
  /// After ready(), from any thread: `gone` is called, on the worker's, when the predecessor has ended.
  void watch(Worker& worker, std::function<void()> gone);
  void cancel(const std::string& key) const;  ///< any thread

  Takeover(Takeover&& other) noexcept;
  Takeover& operator=(Takeover&& other) noexcept;
  ~Takeover();

 private:
  explicit Takeover(int fd) : fd_(fd) {}
  int fd_;
  PassedSockets sockets_;
};

/// The running process's end: waits for a successor.
class Succession {
 public:
  struct Steps {
    std::function<std::string()> refusal;        ///< why it may not be now; "" = it may
    std::function<PassedSockets()> sockets;
    std::function<void()> stop_accepting;
    std::function<void()> release;               ///< blocks: called on a thread of its own
    std::function<void(pid_t successor)> released;
    std::function<void(std::string key)> cancel;
  };
  /// `worker` runs the steps but `release`. What goes wrong is logged and costs nothing but this service.
  Succession(Worker& worker, std::string state_directory, Steps steps);
  ~Succession();
  /// Starts the program again, to replace this process (SIGUSR2).
  void start_successor(const std::string& executable);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace pgsteer::proxy
