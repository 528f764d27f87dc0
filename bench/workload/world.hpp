#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/workload/generator.hpp"
#include "bench/workload/random.hpp"

namespace pgsteer::workload {

/// What several tables must agree on, drawn once per (scale, seed). Index 0 is the row with id 1.
struct World {
  World(const Scale& scale, std::uint64_t seed);

  Scale scale;
  std::uint64_t seed;

  // popularity: rank -> index; the Zipf of the same size draws the rank
  Zipf product_zipf, customer_zipf, user_zipf, post_zipf, tag_zipf;
  Shuffle product_by_rank, customer_by_rank, user_by_rank;

  std::vector<std::uint16_t> product_category;
  std::vector<std::uint32_t> product_cents;
  std::vector<std::uint8_t> customer_city;     ///< index into cities
  std::vector<std::uint8_t> customer_segment;  ///< index into segments
  std::vector<std::uint32_t> user_reputation;
  std::vector<std::uint32_t> post_author;      ///< user index + 1, 0 = deleted
  std::vector<std::uint32_t> post_second;      ///< seconds since the first day
  std::vector<std::int32_t> post_score;
  std::vector<std::uint32_t> post_by_rank;     ///< popular posts first: those of reputed authors
  /// Products of one department in rank order: a customer of a country buys mostly from its favourite departments.
  std::array<std::vector<std::uint32_t>, 12> department_products;
  std::array<Zipf, 12> department_zipf;

  std::uint32_t buy_product(Random& random, std::uint32_t customer) const;  ///< product index
};

struct City {
  std::string_view name, country;
  int country_index;
};
extern const std::array<City, 24> cities;
extern const std::array<std::string_view, 4> segments;     ///< consumer, small business, enterprise, public
extern const std::array<std::string_view, 12> departments;
inline constexpr std::uint32_t total_seconds = 1461U * 86400U;  ///< 2021-01-01 .. 2024-12-31

/// "2021-03-05 11:22:33"
void append_time(std::string& out, std::uint32_t second);
/// The i-th of n moments of a shop that grows linearly from nothing, with quiet weekends and nights.
std::uint32_t growing_moment(Random& random, std::uint32_t i, std::uint32_t n);

/// Builds COPY text line by line and hands it on in blocks.
class Rows {
 public:
  explicit Rows(const Sink& sink) : sink_(sink) { buffer_.reserve(block + 4096); }
  ~Rows() { flush(); }
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;
  Rows& integer(std::int64_t value);
  Rows& text(std::string_view value);  ///< no tabs, newlines or backslashes in what we make
  Rows& null();
  Rows& time(std::uint32_t second);
  Rows& cents(std::uint32_t value);    ///< as numeric(…,2)
  void end();

 private:
  static constexpr std::size_t block = 64 * 1024;
  void separate();
  void flush();
  const Sink& sink_;
  std::string buffer_;
  std::uint64_t rows_ = 0;
  bool first_ = true;
};

}  // namespace pgsteer::workload
