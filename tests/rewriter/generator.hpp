#pragma once
#include <cstdint>
#include <random>
#include <string>
#include <vector>

/// Random statements aimed at each rule's pattern and at both sides of its guard, over the shop schema.
namespace pgsteer::test {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  int below(int n) { return static_cast<int>(engine_() % static_cast<std::uint64_t>(n)); }
  bool chance(int percent) { return below(100) < percent; }
  std::string pick(const std::vector<std::string>& list) {
    return list[static_cast<std::size_t>(below(static_cast<int>(list.size())))];
  }

 private:
  std::mt19937_64 engine_;
};

struct Statement {
  std::string sql;
  bool ordered = false;  ///< ORDER BY fixes the order of all rows
};

struct Generator {
  std::string rule;
  Statement (*make)(Random& random);
};

const std::vector<Generator>& generators();

}  // namespace pgsteer::test
