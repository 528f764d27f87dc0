// Readiness: whatever was wanted before, what is wanted now is told, and nothing else.
#include <doctest.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <random>

#include "proxy/stream.hpp"

using namespace pgsteer::proxy;
namespace asio = boost::asio;

namespace {

struct Told final : Watcher {
  void on_ready(Stream&, bool is_writable) override { (is_writable ? writable : readable) = true; }
  bool readable = false, writable = false;
};

}  // namespace

TEST_CASE("what is wanted is told, whatever was wanted before") {
  for (unsigned seed = 0; seed < 64; ++seed) {
    std::mt19937 random(seed);
    asio::io_context loop(1);
    const auto work = asio::make_work_guard(loop);
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0);
    Stream stream(Socket(loop, asio::generic::stream_protocol(AF_UNIX, 0), ends[0]));
    const Stream other(Socket(loop, asio::generic::stream_protocol(AF_UNIX, 0), ends[1]));
    REQUIRE(::send(ends[1], "x", 1, 0) == 1);  // and never read: both directions are always ready
    Told told;
    stream.watch(loop, told);
    std::string wants;
    for (int step = 0; step < 12; ++step) {
      const bool reading = random() % 2 != 0, writing = random() % 2 != 0;
      wants += std::string(reading ? "r" : "-") + (writing ? "w " : "- ");
      CAPTURE(wants);
      stream.want_reading(reading);
      stream.want_writing(writing);
      for (int i = 0; i < 12; ++i) loop.poll_one();  // what was on its way by the wants of before
      told.readable = told.writable = false;
      for (int i = 0; i < 12; ++i) loop.poll_one();
      CHECK(told.readable == reading);
      CHECK(told.writable == writing);
    }
  }
}
