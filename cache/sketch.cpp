#include "cache/sketch.hpp"

#include <algorithm>
#include <bit>

namespace pgsteer::cache {

Sketch::Sketch(std::size_t counters)
    : mask_(std::bit_ceil(std::max<std::size_t>(counters, 64)) - 1), nibbles_((mask_ + 1) * rows / 16) {}

std::size_t Sketch::index(const Hash& hash, std::size_t row) const {
  // Kirsch and Mitzenmacher: two hashes give all rows; the second is made odd so that no row repeats another.
  const std::uint64_t mixed = hash[0] + row * (hash[1] | 1);
  return row * (mask_ + 1) + ((mixed ^ (mixed >> 32)) & mask_);
}

unsigned Sketch::estimate(const Hash& hash) const {
  unsigned least = max_count;
  for (std::size_t row = 0; row < rows; ++row) least = std::min(least, get(index(hash, row)));
  return least;
}

unsigned Sketch::add(const Hash& hash) {
  const unsigned before = estimate(hash);
  if (before < max_count) {
    for (std::size_t row = 0; row < rows; ++row) {  // conservative update: only the smallest grow
      const std::size_t counter = index(hash, row);
      if (get(counter) == before) nibbles_[counter / 16] += 1ull << (counter % 16 * 4);
    }
  }
  if (++sights_ >= sample_) halve();
  return std::min(before + 1, max_count);
}

void Sketch::halve() {
  for (auto& word : nibbles_) word = (word >> 1) & 0x7777777777777777ull;
  sights_ = 0;
  ++era_;
}

}  // namespace pgsteer::cache
