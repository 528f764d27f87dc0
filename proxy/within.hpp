#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <memory>
#include <optional>

namespace pgsteer::proxy {

/// What `work` comes to; nullopt when that would be after `end`: then it is cancelled, and is over when this returns. What it throws is thrown
/// here at once. (Asio's `work || timer` waits for the timer when the work throws, and may leave the work running on what its caller has taken
/// down when there is no memory for the timer.) Not to be used within work that is itself awaited like this: it would not hear that it is late.
template <class T>
boost::asio::awaitable<std::optional<T>> within(boost::asio::io_context& loop, std::chrono::steady_clock::time_point end, boost::asio::awaitable<T> work) {
  namespace asio = boost::asio;
  struct Limit {
    asio::cancellation_signal signal;
    bool reached = false;
  };
  const auto limit = std::make_shared<Limit>();
  asio::steady_timer timer(loop, end);
  timer.async_wait([limit](boost::system::error_code ec) {
    if (ec) return;
    limit->reached = true;
    limit->signal.emit(asio::cancellation_type::terminal);
  });
  try {
    std::optional<T> result = co_await asio::co_spawn(loop, std::move(work), asio::bind_cancellation_slot(limit->signal.slot(), asio::use_awaitable));
    if (!limit->reached) co_return result;
  } catch (const std::exception&) {
    if (!limit->reached) throw;
  }
  co_return std::nullopt;
}

template <class T>
boost::asio::awaitable<std::optional<T>> within(boost::asio::io_context& loop, std::chrono::steady_clock::duration limit, boost::asio::awaitable<T> work) {
  return within(loop, std::chrono::steady_clock::now() + limit, std::move(work));
}

}  // namespace pgsteer::proxy
