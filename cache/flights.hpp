#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <unordered_map>

#include "cache/cache.hpp"

namespace pgsteer::cache {

/// Who is getting which answer: one session asks the server for a key, others may wait until it is done. What a waiter takes then it
/// judges by words that it reads itself. Nothing here waits. Thread-safe; outlives what it hands out.
class Flights {
  using Hash = std::array<std::uint64_t, 2>;
  using Wakes = std::list<std::function<void()>>;

 public:
  /// Of whoever asks the server. Its end wakes those that wait, whatever became of the answer.
  class Lead {
   public:
    Lead() = default;
    Lead(Lead&& other) noexcept;
    Lead& operator=(Lead&& other) noexcept;
    ~Lead() { end(); }
    explicit operator bool() const { return flights_ != nullptr; }
    void end();

   private:
    friend class Flights;
    Flights* flights_ = nullptr;
    Hash hash_{};
  };
  /// Of one that waits: woken once at most, in the thread in which the lead ends, and not after this is gone.
  class Wait {
   public:
    Wait() = default;
    Wait(Wait&& other) noexcept;
    Wait& operator=(Wait&&) = delete;
    ~Wait();
    explicit operator bool() const { return flights_ != nullptr; }

   private:
    friend class Flights;
    Flights* flights_ = nullptr;
    Hash hash_{};
    std::uint64_t flight_ = 0;
    Wakes::iterator place_;
  };

  Lead lead(const Key& key);                              ///< empty: somebody does already
  Wait wait(const Key& key, std::function<void()> wake);  ///< empty: nobody does; `wake` is called under a lock and must only post

 private:
  struct Flight {
    std::uint64_t number;
    Wakes wakes;
  };
  struct HashOfHash {
    std::size_t operator()(const Hash& hash) const { return hash[0]; }
  };
  std::mutex mutex_;
  std::uint64_t numbers_ = 0;
  std::unordered_map<Hash, Flight, HashOfHash> flights_;
};

}  // namespace pgsteer::cache
