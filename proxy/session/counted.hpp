#pragma once
#include <cstddef>
#include <new>
#include <utility>

#include "proxy/session/recycled.hpp"

namespace pgsteer::proxy {

/// What a Ref<> points to: counted by one thread, that of its session's worker, without the locked instructions a shared_ptr takes.
struct Counted {
  int references = 0;
};

/// Shared ownership on one thread, of what make_ref() has made. T derives from Counted.
template <class T>
class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) {}
  Ref(const Ref& other) : object_(other.object_) { hold(); }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(const Ref& other) {
    Ref(other).swap(*this);
    return *this;
  }
  Ref& operator=(Ref&& other) noexcept {
    Ref(std::move(other)).swap(*this);
    return *this;
  }
  ~Ref() {
    if (object_ && --object_->references == 0) end();
  }

  T* get() const { return object_; }
  T& operator*() const { return *object_; }
  T* operator->() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }
  bool operator==(const Ref&) const = default;

 private:
  template <class Made>
  friend Ref<Made> make_ref();
  explicit Ref(T* object) : object_(object) { hold(); }
  void hold() {
    if (object_) ++object_->references;
  }
  void end() {
    object_->~T();
    Spare<sizeof(T)>::give_back(object_);
  }
  void swap(Ref& other) noexcept { std::swap(object_, other.object_); }
  T* object_ = nullptr;
};

template <class T>
Ref<T> make_ref() {
  void* piece = Spare<sizeof(T)>::take();
  try {
    return Ref<T>(new (piece) T);
  } catch (...) {
    Spare<sizeof(T)>::give_back(piece);
    throw;
  }
}

}  // namespace pgsteer::proxy
