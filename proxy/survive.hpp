#pragma once
#include <boost/asio/io_context.hpp>
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>

namespace pgsteer::proxy {

/// Exceptions that reached a place from which only the process could have been ended: no memory, or a mistake of ours.
std::atomic<std::uint64_t>& survived_exceptions();

/// Runs an event loop until it is stopped. What is thrown out of a handler costs that handler (and the coroutine it would have resumed,
/// which is destroyed), never the loop. Before the loop goes on, `mend` begins again what must always be there and may have been hit.
void run_loop(boost::asio::io_context& loop, const char* name, const std::function<void()>& mend = {});

/// Runs the body of a thread until it returns; one that throws is begun again.
void run_thread(const char* name, const std::function<void()>& body);

/// Completion of a coroutine whose end must be noticed: run_loop() sees what it threw.
inline void rethrow(std::exception_ptr failure) {
  if (failure) std::rethrow_exception(failure);
}

}  // namespace pgsteer::proxy
