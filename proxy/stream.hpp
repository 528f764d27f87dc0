#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/system/error_code.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/readiness.hpp"

struct ssl_st;

namespace pgsteer::proxy {

using Socket = boost::asio::generic::stream_protocol::socket;
template <class T>
using Awaitable = boost::asio::awaitable<T>;

/// A non-blocking connection, plain or TLS, used by readiness: read_some or write_some until would_block, then wait. OpenSSL works
/// on the descriptor itself, so that nothing is read ahead of a handshake and no buffer is held by an idle connection.
/// A login waits in coroutines, by Asio; a session is called back (watch()). Not movable while either is under way. One thread.
class Stream {
 public:
  explicit Stream(Socket socket) : socket_(std::move(socket)) {}
  Stream(Stream&& other) noexcept
      : socket_(std::move(other.socket_)), descriptor_(std::exchange(other.descriptor_, -1)), ssl_(std::move(other.ssl_)) {}
  Stream& operator=(Stream&& other) noexcept;
  ~Stream();

  int native_handle() { return descriptor_ >= 0 ? descriptor_ : socket_.native_handle(); }
  bool encrypted() const { return ssl_ != nullptr; }
  ssl_st* ssl() const { return ssl_.get(); }

  std::size_t read_some(boost::asio::mutable_buffer buffer, boost::system::error_code& ec) {
    return ssl_ ? read_encrypted(buffer, ec) : read_plain(buffer, ec);
  }
  std::size_t write_some(boost::asio::const_buffer buffer, boost::system::error_code& ec) {
    return ssl_ ? write_encrypted(buffer, ec) : write_plain(buffer, ec);
  }
  /// TLS: bytes that are here already and will not make the socket readable again. Read before waiting.
  bool pending() const { return ssl_ && has_pending(); }

  /// The other side has closed, whatever of it is still unread: who waits here for something else would not hear of it.
  bool hung_up();
  void shutdown(Socket::shutdown_type what);
  void close();

  // --- for sessions: `watcher` is called back from `loop`. Reading is wanted at once. ---------------------------------------------
  void watch(boost::asio::io_context& loop, Watcher& watcher);
  void unwatch();                     ///< stays ours, and is registered with no loop
  void tell(Watcher* watcher) { readiness_->tell(watcher); }
  bool watched() const { return readiness_ != nullptr; }
  bool wants_reading() const { return readiness_->reading(); }
  bool wants_writing() const { return readiness_->writing(); }
  void want_reading(bool yes) { readiness_->want(yes, readiness_->writing()); }
  void want_writing(bool yes) { readiness_->want(readiness_->reading(), yes); }

  // --- for logins: whole messages, in no hurry. The caller holds a deadline and closes the stream at its end. -----------------
  Awaitable<boost::system::error_code> wait_readable();
  Awaitable<boost::system::error_code> read_exactly(char* to, std::size_t bytes);
  Awaitable<boost::system::error_code> write_all(std::string bytes);
  /// Takes the handle of a context; the socket is open and nothing of the handshake was read.
  Awaitable<boost::system::error_code> handshake(ssl_st* ssl, bool as_server);
  static void discard(ssl_st* ssl) { Free()(ssl); }  ///< a handle that no handshake was begun with

 private:
  struct Free {
    void operator()(ssl_st* ssl) const;
  };
  std::size_t read_plain(boost::asio::mutable_buffer buffer, boost::system::error_code& ec);
  std::size_t write_plain(boost::asio::const_buffer buffer, boost::system::error_code& ec);
  std::size_t read_encrypted(boost::asio::mutable_buffer buffer, boost::system::error_code& ec);
  std::size_t write_encrypted(boost::asio::const_buffer buffer, boost::system::error_code& ec);
  bool has_pending() const;

  Socket socket_;        ///< until it is watched
  int descriptor_ = -1;  ///< from then on
  std::unique_ptr<Readiness> readiness_;
  std::unique_ptr<ssl_st, Free> ssl_;
};

}  // namespace pgsteer::proxy
