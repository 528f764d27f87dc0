#include "proxy/listener.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <filesystem>

#include "proxy/survive.hpp"
#include "proxy/systemd.hpp"

namespace pgsteer::proxy {

namespace asio = boost::asio;
using Socket = asio::generic::stream_protocol::socket;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

namespace {

asio::ip::address listen_address(const std::string& text, boost::system::error_code& ec) {
  return asio::ip::make_address(text == "*" ? "0.0.0.0" : text, ec);
}

std::string unix_path(const Config::Listen& listen) {
  return listen.unix_socket_dir.empty() ? std::string() : fmt::format("{}/.s.PGSQL.{}", listen.unix_socket_dir, listen.port);
}

}  // namespace

struct Listener::Impl {
  std::vector<std::unique_ptr<Worker>>& workers;
  const Config& config;
  asio::ip::tcp::acceptor tcp;
  asio::local::stream_protocol::acceptor local;
  std::string local_path;
  /// Coroutines end with the loop, which outlives this.
  std::shared_ptr<bool> accepting_tcp = std::make_shared<bool>(false), accepting_local = std::make_shared<bool>(false);
  std::size_t next = 0;
  bool inherited = false;  ///< the sockets are the supervisor's: listen.* says nothing

  /// A listening socket that was opened for us: by a supervisor, or by the process before.
  void adopt(int fd) {
    sockaddr_storage name{};
    socklen_t size = sizeof name;
    int listens = 0;
    socklen_t length = sizeof listens;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0 || ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) != 0 || listens == 0)
      throw std::runtime_error(fmt::format("inherited descriptor {}: expected a listening stream socket", fd));
    boost::system::error_code ec;
    const bool unix_socket = name.ss_family == AF_UNIX;
    if (unix_socket ? local.is_open() : tcp.is_open()) throw std::runtime_error("inherited descriptors: expected one TCP and one unix socket at most");
    if (unix_socket) local.assign(asio::local::stream_protocol(), fd, ec);
    else tcp.assign(name.ss_family == AF_INET6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4(), fd, ec);
    if (ec) throw std::runtime_error(fmt::format("inherited descriptor {}: {}", fd, ec.message()));
    if (unix_socket) return spdlog::info("event=socket_inherited listen=unix");
    const auto where = tcp.local_endpoint(ec);
    spdlog::info("event=socket_inherited listen={}:{}", where.address().to_string(), where.port());
  }

  /// What [listen] still names; the supervisor's are taken as they are.
  void take_over(const PassedSockets& passed) {
    const auto& listen = config.listen;
    inherited = passed.supervised;
    for (const int fd : passed.descriptors) adopt(fd);
    if (inherited) return;
    boost::system::error_code ec;
    const auto where = tcp.is_open() ? tcp.local_endpoint(ec) : asio::ip::tcp::endpoint();
    const auto wanted = listen_address(listen.address, ec);
    if (tcp.is_open() && (listen.address.empty() || ec || where.address() != wanted || (listen.port != 0 && where.port() != listen.port))) tcp.close(ec);
    if (local.is_open() && passed.unix_path == unix_path(listen)) local_path = passed.unix_path;
    else local.close(ec);
  }

  void dispatch(int fd, int family, std::string address) {
    Worker& worker = *workers[next++ % workers.size()];
    asio::post(worker.loop, [&worker, arriving = Arriving(worker, fd), family, address = std::move(address)]() mutable {
      boost::system::error_code ec;
      Socket socket(worker.loop);
      socket.assign(asio::generic::stream_protocol(family, 0), arriving.descriptor(), ec);
      if (ec) return;
      arriving.take();
      asio::co_spawn(worker.loop, serve_connection(worker, std::move(socket), std::move(address), std::move(arriving)), asio::detached);
    });
  }
};

namespace {

/// Out of descriptors or memory: wait instead of spinning; clients stay in the backlog.
asio::awaitable<void> pause_after(boost::system::error_code ec, Worker& worker) {
  spdlog::warn("event=accept_failed error=\"{}\"", ec.message());
  asio::steady_timer timer(worker.loop, std::chrono::milliseconds(100));
  co_await timer.async_wait(as_result);
}

}  // namespace

Listener::Listener(std::vector<std::unique_ptr<Worker>>& workers, const Config& config)
    : impl_(new Impl{workers, config, asio::ip::tcp::acceptor(workers[0]->loop),
                     asio::local::stream_protocol::acceptor(workers[0]->loop), {}, std::make_shared<bool>(false), std::make_shared<bool>(false), 0, false}) {}

Listener::~Listener() {
  if (!impl_->local_path.empty()) ::unlink(impl_->local_path.c_str());
}

template <class Acceptor>
static asio::awaitable<void> accept_loop(Acceptor& acceptor, Worker& worker, std::shared_ptr<bool> accepting, std::function<void(int, std::string)> take) {
  struct Accepting {
    std::shared_ptr<bool> flag;
    ~Accepting() { *flag = false; }
  } running{accepting};
  *accepting = true;
  for (;;) {
    auto [ec, socket] = co_await acceptor.async_accept(as_result);
    if (ec == asio::error::operation_aborted || (ec && !acceptor.is_open())) co_return;
    if (ec) {
      co_await pause_after(ec, worker);
      continue;
    }
    boost::system::error_code ignored;
    std::string address = "unix";
    if constexpr (std::is_same_v<Acceptor, asio::ip::tcp::acceptor>) {
      socket.set_option(asio::ip::tcp::no_delay(true), ignored);
      socket.set_option(asio::socket_base::keep_alive(true), ignored);
      const auto peer = socket.remote_endpoint(ignored);
      address = peer.address().to_string() + ":" + std::to_string(peer.port());
    }
    const int fd = socket.release(ignored);
    if (ignored) continue;
    take(fd, std::move(address));
  }
}

void Listener::start(const PassedSockets* passed) {
  const auto& listen = impl_->config.listen;
  for (const int fd : inherited_sockets()) {
    impl_->adopt(fd);
    impl_->inherited = true;
  }
  if (passed && !impl_->inherited) impl_->take_over(*passed);
  boost::system::error_code ec;
  if (!impl_->inherited && !impl_->tcp.is_open() && !listen.address.empty()) {
    const auto address = listen_address(listen.address, ec);
    if (ec) throw std::runtime_error(fmt::format("listen.address '{}': expected an IP address or '*'", listen.address));
    const asio::ip::tcp::endpoint endpoint(address, listen.port);
    auto& tcp = impl_->tcp;
    tcp.open(endpoint.protocol());
    tcp.set_option(asio::socket_base::reuse_address(true));
    tcp.bind(endpoint, ec);
    if (!ec) tcp.listen(listen.backlog, ec);
    if (ec) throw std::runtime_error(fmt::format("cannot listen on {}:{}: {}", listen.address, listen.port, ec.message()));
  }
  if (!impl_->inherited && !impl_->local.is_open() && !listen.unix_socket_dir.empty()) {
    impl_->local_path = unix_path(listen);
    ::unlink(impl_->local_path.c_str());
    auto& local = impl_->local;
    local.open();
    local.bind(asio::local::stream_protocol::endpoint(impl_->local_path), ec);
    if (!ec) local.listen(listen.backlog, ec);
    if (ec) throw std::runtime_error(fmt::format("cannot listen on {}: {}", impl_->local_path, ec.message()));
    ::chmod(impl_->local_path.c_str(), 0777);
  }
  accept();
}

void Listener::accept() {
  Worker& worker = *impl_->workers[0];
  const auto take = [this](int family) { return [this, family](int fd, std::string from) { impl_->dispatch(fd, family, std::move(from)); }; };
  boost::system::error_code ec;
  if (impl_->tcp.is_open() && !*impl_->accepting_tcp)
    asio::co_spawn(worker.loop, accept_loop(impl_->tcp, worker, impl_->accepting_tcp, take(impl_->tcp.local_endpoint(ec).protocol().family())), rethrow);
  if (impl_->local.is_open() && !*impl_->accepting_local)
    asio::co_spawn(worker.loop, accept_loop(impl_->local, worker, impl_->accepting_local, take(AF_UNIX)), rethrow);
}

PassedSockets Listener::sockets() {
  PassedSockets ours{{}, impl_->local_path, impl_->inherited};
  if (impl_->tcp.is_open()) ours.descriptors.push_back(impl_->tcp.native_handle());
  if (impl_->local.is_open()) ours.descriptors.push_back(impl_->local.native_handle());
  return ours;
}

void Listener::forget() {
  impl_->local_path.clear();
  stop();
}

void Listener::stop() {
  boost::system::error_code ignored;
  impl_->tcp.close(ignored);
  impl_->local.close(ignored);
}

}  // namespace pgsteer::proxy
