// How Asio's reactor is made to go on telling. It has no public way to do that, so this file (and no other) speaks to its inner classes, those
// of Boost 1.81: an operation of our own waits in the reactor's queue for a descriptor and is put back there before it does anything. Asking
// again costs no system call that way; and the descriptor is registered level-triggered, so that nothing is missed that was not read to its end.
#include "proxy/readiness.hpp"

#include <sys/epoll.h>

#include <boost/asio/detail/epoll_reactor.hpp>
#include <boost/asio/detail/reactor_op.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/version.hpp>
#include <system_error>

static_assert(BOOST_VERSION == 108100, "written for the inner classes of Boost.Asio 1.81");

namespace pgsteer::proxy {

namespace detail = boost::asio::detail;
using boost::system::error_code;

namespace {

/// The reactor keeps its epoll descriptor to itself; an explicit instantiation may name private members.
int epoll_descriptor(detail::epoll_reactor& reactor);
template <int detail::epoll_reactor::*Member>
struct Opened {
  friend int epoll_descriptor(detail::epoll_reactor& reactor) { return reactor.*Member; }
};
template struct Opened<&detail::epoll_reactor::epoll_fd_>;

}  // namespace

class Readiness::Registration {
 public:
  Registration(boost::asio::io_context& loop, int descriptor, Stream& stream, Watcher& watcher)
      : reactor_(boost::asio::use_service<detail::epoll_reactor>(loop)), descriptor_(descriptor), stream_(stream), watcher_(&watcher) {
    reactor_.init_task();
    if (const int error = reactor_.register_descriptor(descriptor_, state_); error != 0) {
      reactor_.cleanup_descriptor_data(state_);
      throw std::system_error(error, std::generic_category(), "epoll");
    }
  }

  void want(unsigned events) {
    if (events == wanted_) return;
    const bool there = fresh_ || wanted_ != 0;
    if (!there) change(EPOLL_CTL_ADD, events);
    const bool first_write = (events & EPOLLOUT) != 0 && !write_.waiting;
    if (first_write) wait(write_);  // Asio changes what the descriptor is registered for, which must be there to be changed
    if ((events & EPOLLIN) != 0 && !read_.waiting) wait(read_);
    // Without any interest the end of the other side would still be told, over and over.
    if (there || first_write) change(events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD, events);
    fresh_ = false;
    wanted_ = events;
  }

  void tell(Watcher* watcher) { watcher_ = watcher; }

  void end() {
    watcher_ = nullptr;
    ended_ = true;
    reactor_.deregister_descriptor(descriptor_, state_, false);  // what waits comes back through completed()
    reactor_.cleanup_descriptor_data(state_);
    if (!read_.waiting && !write_.waiting) delete this;
  }

 private:
  struct Operation : detail::reactor_op {
    Operation(Registration& of, int kind_of, unsigned event_of)
        : reactor_op(error_code(), &Operation::perform, &Operation::completed), home(of), kind(kind_of), event(event_of) {}

    static status perform(reactor_op* base) { return static_cast<Operation*>(base)->home.asking_ ? not_done : done; }

    static void completed(void* owner, detail::operation* base, const error_code&, std::size_t) {
      auto& operation = *static_cast<Operation*>(base);
      Registration& home = operation.home;
      operation.waiting = false;
      if (!owner || home.ended_ || operation.ec_) {  // without an owner the loop is being destroyed
        if (home.ended_ && !home.read_.waiting && !home.write_.waiting) delete &home;
        return;
      }
      home.wait(operation);
      if ((home.wanted_ & operation.event) == 0) return;
      if (!home.watcher_) return home.want(0);
      home.watcher_->on_ready(home.stream_, operation.event == EPOLLOUT);  // may be the end of all this
    }

    Registration& home;
    const int kind;
    const unsigned event;
    bool waiting = false;
  };

  void change(int how, unsigned events) {
    epoll_event event{events, {.ptr = state_}};
    ::epoll_ctl(epoll_descriptor(reactor_), how, descriptor_, &event);
  }

  void wait(Operation& operation) {
    operation.waiting = true;
    asking_ = true;
    reactor_.start_op(operation.kind, descriptor_, state_, &operation, false, true);
    asking_ = false;
  }

  detail::epoll_reactor& reactor_;
  const int descriptor_;
  detail::epoll_reactor::per_descriptor_data state_ = nullptr;
  Stream& stream_;
  Watcher* watcher_;
  Operation read_{*this, detail::epoll_reactor::read_op, EPOLLIN}, write_{*this, detail::epoll_reactor::write_op, EPOLLOUT};
  unsigned wanted_ = 0;
  bool fresh_ = true;    ///< registered as Asio does it, edge-triggered for everything
  bool asking_ = false;  ///< in start_op(), which would try at once
  bool ended_ = false;
};

Readiness::Readiness(boost::asio::io_context& loop, int descriptor, Stream& stream, Watcher& watcher)
    : registration_(new Registration(loop, descriptor, stream, watcher)) {}

Readiness::~Readiness() { registration_->end(); }

void Readiness::want(bool reading, bool writing) {
  reading_ = reading;
  writing_ = writing;
  registration_->want((reading ? EPOLLIN : 0u) | (writing ? EPOLLOUT : 0u));
}

void Readiness::tell(Watcher* watcher) { registration_->tell(watcher); }

}  // namespace pgsteer::proxy
