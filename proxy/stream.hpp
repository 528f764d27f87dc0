#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/system/error_code.hpp>
#include <memory>
#include <string>
#include <string_view>

struct ssl_st;

namespace pgsteer::proxy {

using Socket = boost::asio::generic::stream_protocol::socket;
template <class T>
using Awaitable = boost::asio::awaitable<T>;

/// A non-blocking connection, plain or TLS, used by readiness: wait, then read_some or write_some until would_block. OpenSSL works
/// on the descriptor itself, so that nothing is read ahead of a handshake and no buffer is held by an idle connection.
/// Not movable while a wait is pending. One thread.
class Stream {
 public:
  explicit Stream(Socket socket) : socket_(std::move(socket)) {}
  Stream(Stream&&) = default;
  Stream& operator=(Stream&&) = default;

  Socket& socket() { return socket_; }
  bool is_open() const { return socket_.is_open(); }
  bool encrypted() const { return ssl_ != nullptr; }
  ssl_st* ssl() const { return ssl_.get(); }

  std::size_t read_some(boost::asio::mutable_buffer buffer, boost::system::error_code& ec) {
    return ssl_ ? read_encrypted(buffer, ec) : socket_.read_some(boost::asio::mutable_buffer(buffer), ec);
  }
  std::size_t write_some(boost::asio::const_buffer buffer, boost::system::error_code& ec) {
    return ssl_ ? write_encrypted(buffer, ec) : socket_.write_some(boost::asio::const_buffer(buffer), ec);
  }
  /// TLS: bytes that are here already and will not make the socket readable again. Read before waiting.
  bool pending() const { return ssl_ && has_pending(); }
  template <class Token>
  auto async_wait(Socket::wait_type what, Token&& token) {
    return socket_.async_wait(what, std::forward<Token>(token));
  }

  void shutdown(Socket::shutdown_type what, boost::system::error_code& ec);
  void close(boost::system::error_code& ec);
  void cancel() {
    boost::system::error_code ignored;
    socket_.cancel(ignored);
  }

  // --- for logins: whole messages, in no hurry. The caller holds a deadline and closes the stream at its end. -----------------
  Awaitable<boost::system::error_code> read_exactly(char* to, std::size_t bytes);
  Awaitable<boost::system::error_code> write_all(std::string bytes);
  /// Takes the handle of a context; the socket is open and nothing of the handshake was read.
  Awaitable<boost::system::error_code> handshake(ssl_st* ssl, bool as_server);
  static void discard(ssl_st* ssl) { Free()(ssl); }  ///< a handle that no handshake was begun with

 private:
  struct Free {
    void operator()(ssl_st* ssl) const;
  };
  std::size_t read_encrypted(boost::asio::mutable_buffer buffer, boost::system::error_code& ec);
  std::size_t write_encrypted(boost::asio::const_buffer buffer, boost::system::error_code& ec);
  bool has_pending() const;

  Socket socket_;
  std::unique_ptr<ssl_st, Free> ssl_;
};

}  // namespace pgsteer::proxy
