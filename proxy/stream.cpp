#include "proxy/stream.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <algorithm>
#include <climits>

namespace pgsteer::proxy {

namespace asio = boost::asio;
using boost::system::error_code;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

namespace {

/// What a call on a TLS connection came to, as an error of a socket.
error_code outcome(SSL* ssl, int result) {
  switch (::SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return asio::error::would_block;
    case SSL_ERROR_ZERO_RETURN:
      return asio::error::eof;
    case SSL_ERROR_SYSCALL:
      return errno ? error_code(errno, boost::system::system_category()) : error_code(asio::error::connection_reset);
    default:
      return asio::error::connection_reset;
  }
}

int bounded(std::size_t bytes) { return static_cast<int>(std::min<std::size_t>(bytes, INT_MAX)); }

}  // namespace

void Stream::Free::operator()(ssl_st* ssl) const { ::SSL_free(ssl); }

std::size_t Stream::read_encrypted(asio::mutable_buffer buffer, error_code& ec) {
  ::ERR_clear_error();
  errno = 0;
  const int n = ::SSL_read(ssl_.get(), buffer.data(), bounded(buffer.size()));
  ec = n > 0 ? error_code() : outcome(ssl_.get(), n);
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

std::size_t Stream::write_encrypted(asio::const_buffer buffer, error_code& ec) {
  ::ERR_clear_error();
  errno = 0;
  const int n = ::SSL_write(ssl_.get(), buffer.data(), bounded(buffer.size()));
  ec = n > 0 ? error_code() : outcome(ssl_.get(), n);
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

bool Stream::has_pending() const { return ::SSL_pending(ssl_.get()) > 0; }

Stream& Stream::operator=(Stream&& other) noexcept {
  if (this == &other) return *this;
  close();
  ssl_ = std::move(other.ssl_);
  socket_ = std::move(other.socket_);
  descriptor_ = std::exchange(other.descriptor_, -1);
  return *this;
}

Stream::~Stream() { close(); }

std::size_t Stream::read_plain(asio::mutable_buffer buffer, error_code& ec) {
  for (;;) {
    const auto n = ::recv(native_handle(), buffer.data(), buffer.size(), 0);
    ec = n > 0 ? error_code() : n == 0 ? error_code(asio::error::eof) : error_code(errno, boost::system::system_category());
    if (n >= 0 || errno != EINTR) return n > 0 ? static_cast<std::size_t>(n) : 0;
  }
}

std::size_t Stream::write_plain(asio::const_buffer buffer, error_code& ec) {
  for (;;) {
    const auto n = ::send(native_handle(), buffer.data(), buffer.size(), MSG_NOSIGNAL);
    ec = n >= 0 ? error_code() : error_code(errno, boost::system::system_category());
    if (n >= 0 || errno != EINTR) return n > 0 ? static_cast<std::size_t>(n) : 0;
  }
}

void Stream::shutdown(Socket::shutdown_type what) {
  if (ssl_ && what != Socket::shutdown_receive) ::SSL_shutdown(ssl_.get());  // close_notify, if there is room for it
  ::ERR_clear_error();
  ::shutdown(native_handle(), what == Socket::shutdown_send ? SHUT_WR : what == Socket::shutdown_receive ? SHUT_RD : SHUT_RDWR);
}

bool Stream::hung_up() {
  pollfd look{native_handle(), POLLRDHUP, 0};
  return ::poll(&look, 1, 0) == 1 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void Stream::close() {
  readiness_.reset();
  error_code ignored;
  socket_.close(ignored);
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

void Stream::unwatch() {
  readiness_.reset();
  error_code ignored;
  if (descriptor_ < 0) descriptor_ = socket_.release(ignored);
}

void Stream::watch(asio::io_context& loop, Watcher& watcher) {
  if (!readiness_) {
    unwatch();  // of Asio's, too
    readiness_ = std::make_unique<Readiness>(loop, descriptor_, *this, watcher);
  } else {
    readiness_->tell(&watcher);
  }
  readiness_->want(true, false);
}

Awaitable<error_code> Stream::wait_readable() {
  const auto [ec] = co_await socket_.async_wait(Socket::wait_read, as_result);
  co_return ec;
}

Awaitable<error_code> Stream::read_exactly(char* to, std::size_t bytes) {
  while (bytes > 0) {
    error_code ec;
    const std::size_t n = read_some(asio::buffer(to, bytes), ec);
    to += n;
    bytes -= n;
    if (n > 0) continue;
    if (ec != asio::error::would_block && ec != asio::error::try_again) co_return ec;
    if (const auto wait_error = co_await wait_readable(); wait_error) co_return wait_error;
  }
  co_return error_code();
}

Awaitable<error_code> Stream::write_all(std::string bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    error_code ec;
    const std::size_t n = write_some(asio::buffer(bytes.data() + done, bytes.size() - done), ec);
    done += n;
    if (n > 0) continue;
    if (ec != asio::error::would_block && ec != asio::error::try_again) co_return ec;
    const auto [wait_error] = co_await socket_.async_wait(Socket::wait_write, as_result);
    if (wait_error) co_return wait_error;
  }
  co_return error_code();
}

Awaitable<error_code> Stream::handshake(ssl_st* ssl, bool as_server) {
  ssl_.reset(ssl);
  if (!ssl || ::SSL_set_fd(ssl, socket_.native_handle()) != 1) co_return asio::error::invalid_argument;
  for (;;) {
    ::ERR_clear_error();
    errno = 0;
    const int result = as_server ? ::SSL_accept(ssl) : ::SSL_connect(ssl);
    if (result == 1) co_return error_code();
    const auto ec = outcome(ssl, result);
    if (ec != asio::error::would_block) co_return ec;
    const auto direction = SSL_want_write(ssl) ? Socket::wait_write : Socket::wait_read;
    const auto [wait_error] = co_await socket_.async_wait(direction, as_result);
    if (wait_error) co_return wait_error;
  }
}

}  // namespace pgsteer::proxy
