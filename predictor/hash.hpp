#pragma once
#include <cstdint>
#include <string_view>

namespace pgsteer::predictor {

/// FNV-1a with a final mix: stable over builds and machines, for identities that are stored (schemas, plan shapes, file
/// checks). Not against an adversary.
class StableHash {
 public:
  StableHash& add(std::string_view bytes) {
    for (const char c : bytes) step(static_cast<unsigned char>(c));
    step(0x1F);  // a separator, so that ("ab","c") and ("a","bc") differ
    return *this;
  }
  std::uint64_t value() const {
    std::uint64_t h = state_;
    h ^= h >> 33;
    h *= 0xFF51AFD7ED558CCDull;
    h ^= h >> 33;
    return h;
  }

 private:
  void step(unsigned char byte) { state_ = (state_ ^ byte) * 0x100000001B3ull; }
  std::uint64_t state_ = 0xCBF29CE484222325ull;
};

}  // namespace pgsteer::predictor
