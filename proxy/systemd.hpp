#pragma once
#include <string_view>
#include <vector>

namespace pgsteer::proxy {

/// Listening sockets that whoever started this process has opened for it (sd_listen_fds(3): LISTEN_PID, LISTEN_FDS). Ours to close;
/// no child inherits them. Empty when there are none. Call once, before other threads exist: it clears the environment.
std::vector<int> inherited_sockets();

/// "READY=1", "STOPPING=1" to the supervisor (sd_notify(3)); nothing without NOTIFY_SOCKET. Never waits.
void notify_supervisor(std::string_view state);

}  // namespace pgsteer::proxy
