// The adapter between hiredis 0.14 and Asio. What it must get right:
//   - hiredis owns the descriptor: Asio only waits for it and lets go of it (release, never close) in `cleanup`;
//   - hiredis never calls delRead, so waits outlive the context: handlers hold Events, whose context is null by then;
//   - HandleRead and HandleWrite may free the context: nothing of it is touched after them without a look at Events;
//   - a wait is armed again only while hiredis wants it.
#include "cache/stores/hiredis_asio.hpp"

#include <hiredis/async.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>

namespace pgsteer::cache {
namespace {

namespace asio = boost::asio;
using Descriptor = asio::posix::stream_descriptor;

struct Events : std::enable_shared_from_this<Events> {
  Events(redisAsyncContext* redis, const asio::any_io_executor& executor)
      : context(redis), descriptor(executor, redis->c.fd) {}
  // With the loop gone before the context, hiredis still owns the descriptor.
  ~Events() {
    if (descriptor.is_open()) descriptor.release();
  }

  void arm_read() {
    if (context == nullptr || !want_read || reading) return;
    reading = true;
    descriptor.async_wait(Descriptor::wait_read,
                          [self = shared_from_this()](const boost::system::error_code& error) { self->readable(error); });
  }
  void arm_write() {
    if (context == nullptr || !want_write || writing) return;
    writing = true;
    descriptor.async_wait(Descriptor::wait_write,
                          [self = shared_from_this()](const boost::system::error_code& error) { self->writable(error); });
  }

  void readable(const boost::system::error_code& error) {
    reading = false;
    if (context == nullptr || error) return;
    redisAsyncHandleRead(context);
    // hiredis reads 16 KiB at a time: while a long reply is half here, ask again without going through the loop. An
    // empty socket makes no progress and ends this; the bound keeps other sessions of the loop alive.
    for (int round = 0; round < 32 && half_a_reply(); ++round) {
      const std::size_t before = context->c.reader->len;
      redisAsyncHandleRead(context);
      if (context == nullptr || context->c.reader->len == before) break;
    }
    arm_read();
  }
  void writable(const boost::system::error_code& error) {
    writing = false;
    if (context == nullptr || error) return;
    redisAsyncHandleWrite(context);
    arm_write();
  }
  bool half_a_reply() const { return context != nullptr && context->c.reader != nullptr && context->c.reader->ridx >= 0; }

  redisAsyncContext* context;  ///< null once hiredis has cleaned up
  Descriptor descriptor;
  bool want_read = false, want_write = false;
  bool reading = false, writing = false;  ///< a wait is under way
};

// ev.data is one owning reference on the heap, taken back in cleanup.
Events& events(void* data) { return **static_cast<std::shared_ptr<Events>*>(data); }

void add_read(void* data) {
  events(data).want_read = true;
  events(data).arm_read();
}
void del_read(void* data) { events(data).want_read = false; }
void add_write(void* data) {
  events(data).want_write = true;
  events(data).arm_write();
}
void del_write(void* data) { events(data).want_write = false; }

void cleanup(void* data) {
  const std::unique_ptr<std::shared_ptr<Events>> owner(static_cast<std::shared_ptr<Events>*>(data));
  Events& state = **owner;
  if (state.context != nullptr) state.context->ev = {};  // nothing calls back into what is gone
  state.context = nullptr;
  state.descriptor.release();  // cancels the waits
}

}  // namespace

void attach(redisAsyncContext* context, const asio::any_io_executor& executor) {
  auto owner = std::make_unique<std::shared_ptr<Events>>(std::make_shared<Events>(context, executor));
  context->ev.data = owner.release();
  context->ev.addRead = add_read;
  context->ev.delRead = del_read;
  context->ev.addWrite = add_write;
  context->ev.delWrite = del_write;
  context->ev.cleanup = cleanup;
}

}  // namespace pgsteer::cache
