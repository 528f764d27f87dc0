#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace pgsteer::workload {

/// Rows per table at one scale; scale 1 is about 2.6 million rows in all.
struct Scale {
  double factor = 1.0;
  std::uint32_t categories() const { return 240; }
  std::uint32_t tags() const { return 600; }
  std::uint32_t products() const { return at_least(40000, 400); }
  std::uint32_t customers() const { return at_least(120000, 600); }
  std::uint32_t orders() const { return at_least(400000, 2000); }
  std::uint32_t reviews() const { return at_least(160000, 800); }
  std::uint32_t users() const { return at_least(80000, 400); }
  std::uint32_t posts() const { return at_least(180000, 900); }
  std::uint32_t comments() const { return at_least(300000, 1500); }
  std::uint32_t votes() const { return at_least(400000, 2000); }
  std::uint32_t badges() const { return at_least(120000, 600); }
  std::uint32_t carts() const { return at_least(20000, 200); }

 private:
  std::uint32_t at_least(std::uint32_t n, std::uint32_t low) const {
    const auto scaled = static_cast<std::uint32_t>(static_cast<double>(n) * factor);
    return scaled < low ? low : scaled;
  }
};

/// Receives COPY text: whole lines, many at a time.
using Sink = std::function<void(std::string_view copy_text, std::uint64_t rows)>;

struct Table {
  std::string name;
  std::uint64_t expected_rows = 0;  ///< for the progress bar; order_items and post_tags are estimates
  std::function<void(const Sink&)> produce;
};

/// The shop-and-forum data: a pure function of scale and seed. What is in it to make planners fail:
///  - Zipf popularity of products, customers, users and posts, the same popular rows on every path of a join, so that
///    fan-outs multiply where independence expects averages;
///  - columns correlated inside a table (city -> country, brand -> category, status -> age) and across joins (a customer's
///    segment and country decide which categories are bought; a user's reputation decides the score of his posts and
///    the votes and comments they draw);
///  - NULLs that mean something (unshipped orders, anonymous votes, questions without parent);
///  - time trends: the shop grows, the weekend is quiet, old posts have more of everything.
std::vector<Table> make_tables(const Scale& scale, std::uint64_t seed);

/// Order-sensitive checksum of everything the tables produce, and the row count.
struct Digest {
  std::uint64_t checksum = 0, rows = 0;
};
Digest digest(const std::vector<Table>& tables);

/// FNV-1a over 8-byte steps, for digests of bytes.
std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t seed = 0xCBF29CE484222325ULL);

extern const std::string_view schema_sql;       ///< tables without keys
extern const std::string_view constraints_sql;  ///< keys and indexes, one statement a line

}  // namespace pgsteer::workload
