#pragma once
#include <cstddef>
#include <new>

namespace pgsteer::proxy {

/// Memory for objects of one size that come and go with every statement: a few pieces are kept by each thread and given out again.
template <std::size_t kBytes>
class Spare {
 public:
  static void* take() {
    Pieces& mine = pieces;
    return mine.count > 0 ? mine.list[--mine.count] : ::operator new(kBytes);
  }
  static void give_back(void* piece) noexcept {
    Pieces& mine = pieces;
    if (mine.count < mine.most) mine.list[mine.count++] = piece;
    else ::operator delete(piece);
  }

 private:
#ifdef __SANITIZE_ADDRESS__
  static constexpr std::size_t kMost = 0;  // it would not see a use after the end
#else
  static constexpr std::size_t kMost = 16;
#endif
  struct Pieces {
    std::size_t count = 0, most = kMost;
    void* list[kMost + 1] = {};
    ~Pieces() {
      most = 0;  // something may come even later at the thread's end
      while (count > 0) ::operator delete(list[--count]);
    }
  };
  static inline thread_local Pieces pieces;
};

/// For std::allocate_shared.
template <class T>
struct Recycling {
  using value_type = T;
  Recycling() = default;
  template <class Other>
  Recycling(const Recycling<Other>&) {}
  T* allocate(std::size_t) { return static_cast<T*>(Spare<sizeof(T)>::take()); }
  void deallocate(T* piece, std::size_t) noexcept { Spare<sizeof(T)>::give_back(piece); }
  bool operator==(const Recycling&) const = default;
};

}  // namespace pgsteer::proxy
