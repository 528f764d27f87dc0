#include "proxy/survive.hpp"

#include <spdlog/spdlog.h>

#include <chrono>
#include <thread>

namespace pgsteer::proxy {

namespace {

void note(const char* name, const char* what, std::chrono::milliseconds pause) {
  ++survived_exceptions();
  spdlog::error("event=exception thread={} error=\"{}\"", name, what);
  std::this_thread::sleep_for(pause);  // when memory is short, trying again at once makes it no better
}

}  // namespace

std::atomic<std::uint64_t>& survived_exceptions() {
  static std::atomic<std::uint64_t> count{0};
  return count;
}

void run_loop(boost::asio::io_context& loop, const char* name, const std::function<void()>& mend) {
  for (bool mending = false;; mending = true) {
    try {
      if (mending && mend && !loop.stopped()) mend();
      loop.run();
      return;
    } catch (const std::exception& failure) {
      note(name, failure.what(), std::chrono::milliseconds(5));
    }
  }
}

void run_thread(const char* name, const std::function<void()>& body) {
  for (;;) {
    try {
      return body();
    } catch (const std::exception& failure) {
      note(name, failure.what(), std::chrono::milliseconds(100));
    }
  }
}

}  // namespace pgsteer::proxy
