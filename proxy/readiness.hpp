#pragma once
#include <memory>

namespace boost::asio {
class io_context;
}

namespace pgsteer::proxy {

class Stream;

/// Who is told what a Stream is ready for.
class Watcher {
 public:
  virtual void on_ready(Stream& stream, bool writable) = 0;  ///< else readable; the other side's end and errors make it both

 protected:
  ~Watcher() = default;
};

/// Tells a watcher for as long as it wants to know that a descriptor can be read or written. Asio's own async_wait must be asked again after every
/// event, which takes a system call each time and a coroutine resumed; here nothing is done for an event but the call, and a system call is made
/// only when what is wanted changes. Level-triggered: what was left unread is told again. One thread, that of the loop.
class Readiness {
 public:
  /// Nothing is wanted yet. Throws std::system_error when the loop cannot watch one more.
  Readiness(boost::asio::io_context& loop, int descriptor, Stream& stream, Watcher& watcher);
  ~Readiness();  ///< the watcher hears no more; the descriptor is still open
  Readiness(const Readiness&) = delete;
  Readiness& operator=(const Readiness&) = delete;

  void want(bool reading, bool writing);
  bool reading() const { return reading_; }
  bool writing() const { return writing_; }
  void tell(Watcher* watcher);  ///< who is told from now on; null: nobody, and nothing is wanted any more once something happens

 private:
  class Registration;
  Registration* registration_;  ///< ends itself when the loop has let go of it
  bool reading_ = false, writing_ = false;
};

}  // namespace pgsteer::proxy
