#include "proxy/systemd.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace pgsteer::proxy {

std::vector<int> inherited_sockets() {
  constexpr int first = 3, most = 16;  // SD_LISTEN_FDS_START; more than a TCP address and a unix socket is somebody's mistake
  const char *pid = std::getenv("LISTEN_PID"), *count = std::getenv("LISTEN_FDS");
  std::vector<int> sockets;
  if (pid && count && std::strtol(pid, nullptr, 10) == ::getpid()) {
    const long last = first + std::strtol(count, nullptr, 10);
    for (int fd = first; fd < last && fd < first + most; ++fd) {
      ::fcntl(fd, F_SETFD, FD_CLOEXEC);
      sockets.push_back(fd);
    }
  }
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  return sockets;
}

void notify_supervisor(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un where{};
  if (!path || (path[0] != '/' && path[0] != '@') || std::strlen(path) >= sizeof where.sun_path) return;
  where.sun_family = AF_UNIX;
  std::strcpy(where.sun_path, path);
  if (path[0] == '@') where.sun_path[0] = '\0';  // an abstract one
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  const auto size = offsetof(sockaddr_un, sun_path) + std::strlen(path);
  ::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&where), static_cast<socklen_t>(size));
  ::close(fd);
}

}  // namespace pgsteer::proxy
