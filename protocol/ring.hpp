#pragma once
#include <cstddef>
#include <iterator>
#include <memory>
#include <utility>

namespace pgsteer::protocol {

/// A queue whose slots are used again, so that what comes and goes one by one allocates nothing. Room for a few is kept when it is empty;
/// what a long pipeline took is given back. A T that was moved from holds nothing.
template <class T>
class Ring {
 public:
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = const T*;
    using reference = const T&;
    Iterator(const Ring& ring, std::size_t at) : ring_(&ring), at_(at) {}
    const T& operator*() const { return (*ring_)[at_]; }
    const T* operator->() const { return &(*ring_)[at_]; }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    bool operator==(const Iterator& other) const { return at_ == other.at_; }

   private:
    const Ring* ring_;
    std::size_t at_;
  };

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) { return slots_[(first_ + i) & (capacity_ - 1)]; }
  const T& operator[](std::size_t i) const { return slots_[(first_ + i) & (capacity_ - 1)]; }
  T& front() { return slots_[first_]; }
  const T& front() const { return slots_[first_]; }
  T& back() { return (*this)[size_ - 1]; }
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, size_}; }

  /// A place at the end, to be filled: it holds nothing.
  T& push_back() {
    if (size_ == capacity_) grow();
    return (*this)[size_++];
  }
  /// Everything was moved out of it.
  void drop_front() {
    first_ = (first_ + 1) & (capacity_ - 1);
    if (--size_ == 0 && capacity_ > kKept) *this = Ring();
  }
  /// The same of the second.
  void drop_second() {
    for (std::size_t i = 1; i + 1 < size_; ++i) (*this)[i] = std::move((*this)[i + 1]);
    --size_;
  }

  Ring() = default;
  Ring(Ring&& other) noexcept { swap(other); }
  Ring& operator=(Ring&& other) noexcept {
    Ring(std::move(other)).swap(*this);
    return *this;
  }

 private:
  static constexpr std::size_t kFirst = 8, kKept = 32;  ///< powers of two

  void swap(Ring& other) noexcept {
    std::swap(slots_, other.slots_);
    std::swap(capacity_, other.capacity_);
    std::swap(first_, other.first_);
    std::swap(size_, other.size_);
  }
  void grow() {
    Ring larger;
    larger.capacity_ = capacity_ == 0 ? kFirst : 2 * capacity_;
    larger.slots_ = std::make_unique<T[]>(larger.capacity_);
    for (std::size_t i = 0; i < size_; ++i) larger.slots_[i] = std::move((*this)[i]);
    larger.size_ = size_;
    larger.swap(*this);
  }

  std::unique_ptr<T[]> slots_;
  std::size_t capacity_ = 0, first_ = 0, size_ = 0;
};

}  // namespace pgsteer::protocol
