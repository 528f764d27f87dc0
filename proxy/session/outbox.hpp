#pragma once
#include <boost/system/error_code.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace pgsteer::proxy {

/// What is on its way to one side: bytes of our own, and behind them a run of bytes still in the buffer they were read into. What is relayed as it
/// came is written from there and never copied, unless the other side does not take it at once.
class Outbox {
 public:
  bool empty() const { return own_.empty() && lent_.empty(); }
  /// To append to.
  operator std::string&() {
    keep();
    return own_;
  }
  Outbox& operator+=(std::string_view bytes) {
    keep();
    own_.append(bytes);
    return *this;
  }
  Outbox& operator=(std::string bytes) {
    disown();
    own_ = std::move(bytes);
    return *this;
  }
  void clear() {
    disown();
    own_.clear();
  }

  /// Bytes that stay where they are until keep() or disown().
  void lend(std::string_view bytes) {
    if (bytes.empty()) return;
    if (!lent_.empty() && lent_.data() + lent_.size() != bytes.data()) keep();
    lent_ = lent_.empty() ? bytes : std::string_view(lent_.data(), lent_.size() + bytes.size());
  }
  /// Their buffer is wanted for others.
  void keep() {
    if (lent_.empty()) return;
    own_.append(lent_);
    disown();
  }
  void disown() noexcept { lent_ = {}; }

  /// Writes as much as `write_some(bytes, ec)` takes: how much that was.
  template <class Write>
  std::size_t write(Write write_some, boost::system::error_code& ec) {
    const bool mine = !own_.empty();
    if (mine) keep();
    const std::string_view all = mine ? std::string_view(own_) : lent_;
    std::size_t sent = 0;
    while (sent < all.size() && !ec) sent += write_some(all.substr(sent), ec);
    if (mine) own_.erase(0, sent);
    else lent_.remove_prefix(sent);
    if (lent_.empty()) disown();
    return sent;
  }

  /// Gives memory back, but for `capacity`, if it is empty.
  void shrink(std::size_t capacity) {
    if (own_.empty() && own_.capacity() > capacity) own_ = std::string();
  }

 private:
  std::string own_;
  std::string_view lent_;
};

/// Takes back, whatever happens, what was lent of a buffer.
class Lent {
 public:
  explicit Lent(Outbox& box) : box_(box) {}
  ~Lent() { box_.disown(); }
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;

 private:
  Outbox& box_;
};

}  // namespace pgsteer::proxy
