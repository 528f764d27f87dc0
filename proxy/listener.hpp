#pragma once
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <memory>
#include <vector>

#include "proxy/stream.hpp"
#include "proxy/takeover.hpp"
#include "proxy/worker.hpp"

namespace pgsteer::proxy {

/// Accepts on TCP (and a unix socket when configured) and hands each connection to the next worker in turn.
class Listener {
 public:
  Listener(std::vector<std::unique_ptr<Worker>>& workers, const Config& config);
  ~Listener();
  /// Binds, or takes the sockets that a supervisor or the process before has bound, and starts accepting; throws std::runtime_error with
  /// address and reason. Passed sockets of other addresses than [listen] names are closed.
  void start(const PassedSockets* passed = nullptr);
  void accept();  ///< from worker 0's thread: begins again what an exception has ended
  void stop();    ///< the same
  PassedSockets sockets();  ///< to be passed on; still ours
  void forget();            ///< stop(), for somebody else accepts on the same sockets now

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// First packets, cancel, console, or a session with its own server connection: one coroutine per accepted socket.
boost::asio::awaitable<void> serve_connection(Worker& worker, boost::asio::generic::stream_protocol::socket client,
                                              std::string client_address, Arriving arriving);

/// The admin console on one connection, after its startup packet.
boost::asio::awaitable<void> serve_console(Worker& worker, Stream client,
                                           std::string user, std::string client_address);

}  // namespace pgsteer::proxy
