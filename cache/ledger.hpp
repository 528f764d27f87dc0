#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace pgsteer::cache {

/// Why a look-up found nothing to give, and why an answer was not kept. Each is a word of SHOW CACHE QUERIES.
enum class Miss : std::uint8_t {
  absent,        ///< never kept, or gone
  expired,       ///< too old
  written,       ///< a table it reads was written since
  being_written, ///< a write of such a table is under way
  refreshing,    ///< this session asks again, the others have the old answer
  catalog,       ///< the catalog is changing
  feed,          ///< strict+wal: not told in time of what others have committed
  redis,         ///< in a group: the words were not to be had
  count
};
enum class Unkept : std::uint8_t {
  first_sight,  ///< cheap, and not seen lately
  too_large,
  failed,       ///< an error, a notice, a cancellation
  overtaken,    ///< a table it reads was written meanwhile
  no_room,      ///< dearer answers have the memory
  count
};
std::string_view to_string(Miss miss);
std::string_view to_string(Unkept why);

/// What the cache did for each statement, by fingerprint. Bounded: from a number of statements on, the rest count as one, "". Thread-safe.
class Ledger {
 public:
  struct Line {
    std::uint64_t hits = 0, old_hits = 0, waits = 0, stores = 0;
    double saved_ms = 0;  ///< of the server: what the answers had cost
    std::array<std::uint64_t, static_cast<std::size_t>(Miss::count)> missed{};
    std::array<std::uint64_t, static_cast<std::size_t>(Unkept::count)> unkept{};
    std::uint64_t misses() const;
    Line& operator+=(const Line& other);
  };
  Ledger();
  ~Ledger();
  void hit(const std::string& fingerprint, double saved_ms, bool old);
  void missed(const std::string& fingerprint, Miss why, bool first_sight = false);  ///< and so the answer is not kept
  void waited(const std::string& fingerprint);
  void stored(const std::string& fingerprint);
  void not_kept(const std::string& fingerprint, Unkept why);
  std::map<std::string, Line> lines() const;
  Line total() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgsteer::cache
