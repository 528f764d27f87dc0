#pragma once
#include <cstdint>
#include <vector>

namespace pgsteer::workload {

/// splitmix64: small, fast, and the same numbers on every machine (std::distributions are not).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, n); n > 0.
  std::uint64_t below(std::uint64_t n) {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>((static_cast<Wide>(next()) * n) >> 64);
  }
  /// Uniform in [low, high].
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low + 1)));
  }
  /// Uniform in [0, 1).
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  bool chance(double probability) { return unit() < probability; }

 private:
  std::uint64_t state_;
};

/// One stream per purpose: a table or class draws the same numbers whatever the others do.
std::uint64_t derive_seed(std::uint64_t seed, std::uint64_t stream);

/// Zipf over ranks 0..n-1: P(rank) ~ 1 / (rank + 1)^exponent, by binary search in the cumulated weights (8 bytes a rank).
class Zipf {
 public:
  Zipf(std::uint32_t n, double exponent);
  std::uint32_t rank(Random& random) const;
  std::uint32_t size() const { return static_cast<std::uint32_t>(cumulated_.size()); }

 private:
  std::vector<double> cumulated_;
};

/// A fixed one-to-one shuffle of 0..n-1, so that popular ranks are not the small ids.
class Shuffle {
 public:
  Shuffle(std::uint32_t n, std::uint64_t seed);
  std::uint32_t operator[](std::uint32_t rank) const { return to_[rank]; }

 private:
  std::vector<std::uint32_t> to_;
};

}  // namespace pgsteer::workload
