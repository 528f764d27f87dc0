// Both ends of pgsteer run --replace.
#include "proxy/takeover.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>

#include "proxy/process.hpp"
#include "proxy/within.hpp"

namespace pgsteer::proxy {

namespace asio = boost::asio;
using Descriptor = asio::posix::stream_descriptor;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

namespace {

constexpr std::size_t kMostSockets = 4, kMaxStep = 4096;
constexpr auto kStepTime = std::chrono::seconds(30);

bool address_of(const std::string& state_directory, sockaddr_un* address, std::string* path) {
  *path = state_directory + "/takeover.sock";
  *address = {};
  address->sun_family = AF_UNIX;
  if (path->size() >= sizeof address->sun_path) return false;
  std::memcpy(address->sun_path, path->c_str(), path->size() + 1);
  return true;
}

bool send_step(int fd, const std::string& text, const std::vector<int>& descriptors = {}) {
  iovec part{const_cast<char*>(text.data()), text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMostSockets * sizeof(int))> space{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = space.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size() * sizeof(int));
  }
  return ::sendmsg(fd, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

/// nullopt: the other side is gone, or there is nothing yet (errno EAGAIN).
std::optional<std::string> receive_step(int fd, std::vector<int>* descriptors) {
  std::array<char, kMaxStep> text{};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMostSockets * sizeof(int))> space{};
  iovec part{text.data(), text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space.data();
  message.msg_controllen = space.size();
  errno = 0;
  const auto n = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  for (cmsghdr* header = n >= 0 ? CMSG_FIRSTHDR(&message) : nullptr; header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t i = 0; i < (header->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
      int passed = -1;
      std::memcpy(&passed, CMSG_DATA(header) + i * sizeof(int), sizeof passed);
      if (descriptors) descriptors->push_back(passed);
      else ::close(passed);
    }
  }
  if (n <= 0) return std::nullopt;
  return std::string(text.data(), static_cast<std::size_t>(n));
}

/// The same, waiting for it.
std::optional<std::string> await_step(int fd, std::chrono::milliseconds limit, std::vector<int>* descriptors) {
  pollfd look{fd, POLLIN, 0};
  if (::poll(&look, 1, static_cast<int>(limit.count())) != 1) return std::nullopt;
  return receive_step(fd, descriptors);
}

}  // namespace

std::optional<Takeover> Takeover::begin(const std::string& state_directory, std::string* error) {
  error->clear();
  sockaddr_un address{};
  std::string path;
  const int fd = address_of(state_directory, &address, &path) ? ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0) : -1;
  if (fd < 0) {
    *error = fmt::format("no socket can be at {}", path);
    return std::nullopt;
  }
  Takeover takeover(fd);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno != ENOENT && errno != ECONNREFUSED) *error = fmt::format("{}: {}", path, std::strerror(errno));
    return std::nullopt;
  }
  auto& sockets = takeover.sockets_;
  std::optional<std::string> answer;
  if (send_step(fd, "take 1")) answer = await_step(fd, kStepTime, &sockets.descriptors);
  if (!answer || !answer->starts_with("sockets ") || answer->size() < 10) {
    *error = fmt::format("the running process does not hand over: {}", answer ? *answer : "no answer");
    for (const int passed : sockets.descriptors) ::close(passed);
    return std::nullopt;
  }
  sockets.supervised = (*answer)[8] == '1';
  sockets.unix_path = answer->substr(10);
  return takeover;
}

Takeover::Takeover(Takeover&& other) noexcept : fd_(std::exchange(other.fd_, -1)), sockets_(std::move(other.sockets_)) {}
Takeover& Takeover::operator=(Takeover&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(sockets_, other.sockets_);
  return *this;
}
Takeover::~Takeover() {
  if (fd_ >= 0) ::close(fd_);
}

bool Takeover::ready() { return send_step(fd_, "ready") && await_step(fd_, kStepTime, nullptr) == "released"; }

void Takeover::cancel(const std::string& key) const { send_step(fd_, "cancel " + key); }

namespace {

Awaitable<void> until_end(int fd, asio::io_context& loop, std::function<void()> gone) {
  Descriptor descriptor(loop, ::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  for (;;) {
    // No deadline: its clients stay as long as it lets them.
    const auto [ec] = co_await descriptor.async_wait(Descriptor::wait_read, as_result);
    if (ec) co_return;
    std::array<char, 16> byte{};
    if (::recv(descriptor.native_handle(), byte.data(), byte.size(), MSG_DONTWAIT) == 0) break;
  }
  gone();
}

}  // namespace

void Takeover::watch(Worker& worker, std::function<void()> gone) {
  asio::co_spawn(worker.loop, until_end(fd_, worker.loop, std::move(gone)), asio::detached);
}

struct Succession::Impl {
  Impl(Worker& the_worker, Steps the_steps) : worker(the_worker), steps(std::move(the_steps)) {}
  Worker& worker;
  const Steps steps;
  std::string path;
  bool over = false;  ///< handed over: nobody else is let in
  std::thread releasing;

  Awaitable<void> accept_all(std::shared_ptr<Impl> self, int fd);
  Awaitable<bool> hand_over(Descriptor& successor, pid_t pid);
  Awaitable<void> serve(std::shared_ptr<Impl> self, int fd, pid_t pid);
  Awaitable<std::optional<std::string>> next(Descriptor& successor, bool with_deadline);
  Awaitable<void> look_after(std::shared_ptr<Impl> self, pid_t pid);
  void forget_path() {
    if (!path.empty()) ::unlink(std::exchange(path, {}).c_str());
  }
};

Succession::Succession(Worker& worker, std::string state_directory, Steps steps) : impl_(std::make_shared<Impl>(worker, std::move(steps))) {
  sockaddr_un address{};
  std::string path;
  const int fd = address_of(state_directory, &address, &path) ? ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
  bool good = fd >= 0;
  if (good) {
    ::unlink(path.c_str());
    good = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 && ::chmod(path.c_str(), 0600) == 0 && ::listen(fd, 4) == 0;
  }
  if (!good) {
    spdlog::warn("event=no_takeover path={} error=\"{}\"", path, fd < 0 && errno == 0 ? "path too long" : std::strerror(errno));
    if (fd >= 0) ::close(fd);
    return;
  }
  impl_->path = path;
  asio::co_spawn(worker.loop, impl_->accept_all(impl_, fd), asio::detached);
}

Succession::~Succession() {
  if (impl_->releasing.joinable()) impl_->releasing.join();
  impl_->forget_path();
}

Awaitable<void> Succession::Impl::accept_all([[maybe_unused]] std::shared_ptr<Impl> self, int listening) {
  Descriptor listener(worker.loop, listening);  // here, because a loop's sockets belong to its thread
  while (!over) {
    const auto [ec] = co_await listener.async_wait(Descriptor::wait_read, as_result);
    if (ec) co_return;
    const int fd = ::accept4(listener.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) continue;
    ucred peer{};
    socklen_t size = sizeof peer;
    const bool known = ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
    if (!known || (peer.uid != ::geteuid() && peer.uid != 0)) {
      spdlog::warn("event=takeover_refused uid={}", peer.uid);
      ::close(fd);
      continue;
    }
    co_await serve(self, fd, peer.pid);  // one at a time
  }
}

Awaitable<bool> readable(Descriptor& descriptor) {
  const auto [ec] = co_await descriptor.async_wait(Descriptor::wait_read, as_result);
  co_return !ec;
}

Awaitable<std::optional<std::string>> Succession::Impl::next(Descriptor& successor, bool with_deadline) {
  const auto end = with_deadline ? Clock::now() + kStepTime : Clock::time_point::max();
  const auto told = co_await within(worker.loop, end, readable(successor));
  if (!told) co_return std::nullopt;
  co_return receive_step(successor.native_handle(), nullptr);
}

/// False: nothing has changed.
Awaitable<bool> Succession::Impl::hand_over(Descriptor& successor, pid_t pid) {
  if (const auto step = co_await next(successor, true); step != "take 1") co_return false;
  if (const std::string why = steps.refusal(); !why.empty()) {
    send_step(successor.native_handle(), "refused " + why);
    spdlog::info("event=takeover_refused pid={} reason=\"{}\"", pid, why);
    co_return false;
  }
  const PassedSockets sockets = steps.sockets();
  if (!send_step(successor.native_handle(), fmt::format("sockets {} {}", sockets.supervised ? 1 : 0, sockets.unix_path), sockets.descriptors)) co_return false;
  const auto step = co_await next(successor, true);
  co_return step == "ready";
}

Awaitable<void> Succession::Impl::serve(std::shared_ptr<Impl> self, int fd, pid_t pid) {
  Descriptor successor(worker.loop, fd);
  if (const bool handed = co_await hand_over(successor, pid); !handed) co_return;
  over = true;
  steps.stop_accepting();
  forget_path();
  spdlog::info("event=replaced by={}", pid);
  asio::steady_timer released(worker.loop, Clock::time_point::max());
  releasing = std::thread([self, &released, this] {
    steps.release();
    asio::post(worker.loop, [&released] { released.cancel(); });
  });
  co_await released.async_wait(as_result);
  steps.released(pid);  // first, so that a supervisor knows who it is that tells it to be ready
  send_step(successor.native_handle(), "released");
  for (;;) {
    const auto step = co_await next(successor, false);
    if (!step) break;
    if (step->starts_with("cancel ")) steps.cancel(step->substr(7));
  }
  // Its end changes nothing: our clients stay. Ours is what tells it that they have gone.
}

Awaitable<void> Succession::Impl::look_after([[maybe_unused]] std::shared_ptr<Impl> self, pid_t pid) {
  asio::steady_timer look(worker.loop);
  for (int status = 0;;) {
    if (::waitpid(pid, &status, WNOHANG) == pid) {
      spdlog::error("event=successor_ended pid={} exit={}", pid, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
      co_return;
    }
    look.expires_after(std::chrono::milliseconds(200));
    co_await look.async_wait(as_result);
  }
}

void Succession::start_successor(const std::string& executable) {
  std::ifstream stream("/proc/self/cmdline", std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(stream), {}};
  std::vector<std::string> words;
  for (std::size_t at = 0; at < all.size();) {
    const auto end = std::min(all.find('\0', at), all.size());
    words.push_back(all.substr(at, end - at));
    at = end + 1;
  }
  if (words.empty()) words.push_back(executable);
  if (words.size() < 2 || words[1] != "run") words.insert(words.begin() + 1, "run");
  if (std::find(words.begin(), words.end(), "--replace") == words.end()) words.insert(words.begin() + 2, "--replace");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  pid_t pid = -1;
  const int failure = spawn(executable, std::move(words), actions, &pid);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) return spdlog::error("event=successor_failed error=\"cannot start {}: {}\"", executable, std::strerror(failure));
  spdlog::info("event=successor_started pid={}", pid);
  asio::co_spawn(impl_->worker.loop, impl_->look_after(impl_, pid), asio::detached);
}

}  // namespace pgsteer::proxy
