#pragma once
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "proxy/hub.hpp"
#include "proxy/learner/connection.hpp"

namespace pgsteer::proxy {

/// Asks each of several hosts what it is, every upstream.check_interval, on a thread and a connection of its own, so that one that hangs
/// holds up nobody. Logs in as the background does elsewhere: upstream.probe_url, else upstream.url, else as a client that is there.
class HostWatch {
 public:
  explicit HostWatch(Hub& hub) : hub_(hub) {}
  ~HostWatch() { stop(); }
  void start();
  void stop();

 private:
  void watch(int host);
  std::optional<learning::Target> target(int host, std::string* error) const;

  Hub& hub_;
  std::atomic<bool> stopped_{false};
  std::vector<std::thread> threads_;
};

}  // namespace pgsteer::proxy
