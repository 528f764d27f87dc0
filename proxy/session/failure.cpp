// A session in which something was thrown: no memory, or a mistake of ours. It ends; all others go on.
#include "proxy/session/session.hpp"
#include "proxy/survive.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/buffer.hpp>

namespace pgsteer::proxy {

namespace asio = boost::asio;

/// An exception either comes out of `loop`, or, where it was thrown between two of its steps, only destroys it.
Awaitable<void> Session::guarded(std::shared_ptr<Session> self, Awaitable<void> loop) {
  struct Guard {
    std::shared_ptr<Session> session;
    ~Guard() {
      if (session) session->failed("ended between two steps");
    }
  } guard{std::move(self)};
  try {
    co_await std::move(loop);
  } catch (const std::exception& failure) {
    guard.session->failed(failure.what());
  }
  guard.session.reset();
}

/// What the session knows of itself may be half done: nothing of it is used any more. What its server may still commit is waited for, with
/// the cache standing aside. Nothing here or in outlive() begins a coroutine: there may be no memory for one.
void Session::failed(const char* why) noexcept {
  if (over() || worker_.loop.stopped()) return;  // the last one: the process ends
  failed_ = true;
  tracking_ = false;
  ++worker_.failed_sessions;
  ++survived_exceptions();
  unmarked_work();
  client_.shutdown(Socket::shutdown_both);
  if (client_.watched()) client_.tell(nullptr);
  if (server_) {
    server_->stream.shutdown(Socket::shutdown_send);
    if (server_->stream.watched()) server_->stream.tell(nullptr);
  }
  spdlog::error("session={} event=session_failed error=\"{}\"", info_.id, why);
}

void Session::outlive() {
  if (!failed_ || closing_) return;
  boost::system::error_code ec;
  char bytes[4096];
  while (server_ && !ec) server_->stream.read_some(asio::buffer(bytes), ec);
  if (ec == asio::error::would_block || ec == asio::error::try_again) return;
  --worker_.failed_sessions;
  finish();
}

}  // namespace pgsteer::proxy
