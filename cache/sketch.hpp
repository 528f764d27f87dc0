#pragma once
#include <array>
#include <cstdint>
#include <vector>

namespace pgsteer::cache {

/// Count-min sketch of how often keys were seen lately: four rows of 4-bit counters, halved after `sample` sights, so
/// that old fame fades (TinyLFU). Not synchronised. A count is never too low between two halvings, up to 15.
class Sketch {
 public:
  static constexpr unsigned max_count = 15;
  using Hash = std::array<std::uint64_t, 2>;

  /// `counters` is rounded up to a power of two.
  explicit Sketch(std::size_t counters);
  /// Counts one sight and returns the new estimate.
  unsigned add(const Hash& hash);
  unsigned estimate(const Hash& hash) const;
  /// Sights since the last halving after which everything is halved.
  void set_sample(std::size_t sights) { sample_ = sights; }
  /// How often everything was halved: residents fade by the same steps.
  std::uint32_t era() const { return era_; }

 private:
  static constexpr std::size_t rows = 4;
  std::size_t index(const Hash& hash, std::size_t row) const;
  unsigned get(std::size_t counter) const { return (nibbles_[counter / 16] >> (counter % 16 * 4)) & 15; }
  void halve();

  std::size_t mask_;
  std::vector<std::uint64_t> nibbles_;  ///< row after row, 16 counters to a word
  std::size_t sights_ = 0, sample_ = 1280;
  std::uint32_t era_ = 0;
};

}  // namespace pgsteer::cache
