#include "bench/workload/world.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace pgsteer::workload {

const std::array<City, 24> cities{{
    {"Berlin", "Germany", 0},    {"Hamburg", "Germany", 0},   {"Munich", "Germany", 0},     {"London", "Britain", 1},
    {"Leeds", "Britain", 1},     {"Paris", "France", 2},      {"Lyon", "France", 2},        {"Nantes", "France", 2},
    {"Madrid", "Spain", 3},      {"Sevilla", "Spain", 3},     {"Rome", "Italy", 4},         {"Turin", "Italy", 4},
    {"Vienna", "Austria", 5},    {"Graz", "Austria", 5},      {"Zurich", "Switzerland", 6}, {"Bern", "Switzerland", 6},
    {"Warsaw", "Poland", 7},     {"Gdansk", "Poland", 7},     {"Oslo", "Norway", 8},        {"Bergen", "Norway", 8},
    {"Stockholm", "Sweden", 9},  {"Malmo", "Sweden", 9},      {"Reykjavik", "Iceland", 10}, {"Valletta", "Malta", 11},
}};
const std::array<std::string_view, 4> segments{"consumer", "small business", "enterprise", "public"};
const std::array<std::string_view, 12> departments{"garden", "kitchen", "books",  "music", "tools", "toys",
                                                   "shoes",  "bikes",   "camera", "audio", "paper", "lamps"};

namespace {

enum Stream : std::uint64_t { products_stream = 1, customers_stream, users_stream, posts_stream, ranks_stream };

template <std::size_t... I>
std::array<Zipf, sizeof...(I)> make_department_zipf(const std::array<std::vector<std::uint32_t>, 12>& products,
                                                    std::index_sequence<I...>) {
  return {Zipf(std::max<std::uint32_t>(1, static_cast<std::uint32_t>(products[I].size())), 1.05)...};
}

// Categories are Zipf: the first of a department holds a fifth of its products.
std::vector<std::uint16_t> draw_categories(const Scale& scale, std::uint64_t seed) {
  Random random(derive_seed(seed, products_stream));
  const Zipf zipf(scale.categories(), 0.9);
  std::vector<std::uint16_t> categories(scale.products());
  for (auto& category : categories) category = static_cast<std::uint16_t>(zipf.rank(random));
  return categories;
}

std::array<std::vector<std::uint32_t>, 12> by_department(const std::vector<std::uint16_t>& category, const Shuffle& by_rank) {
  std::array<std::vector<std::uint32_t>, 12> result;
  for (std::uint32_t rank = 0; rank < category.size(); ++rank) {
    const std::uint32_t product = by_rank[rank];
    result[category[product] % departments.size()].push_back(product);
  }
  for (auto& list : result) {
    if (list.empty()) list.push_back(0);
  }
  return result;
}

}  // namespace

World::World(const Scale& scale_in, std::uint64_t seed_in)
    : scale(scale_in), seed(seed_in),
      product_zipf(scale.products(), 1.0), customer_zipf(scale.customers(), 0.85), user_zipf(scale.users(), 1.0),
      post_zipf(scale.posts(), 0.95), tag_zipf(scale.tags(), 1.0),
      product_by_rank(scale.products(), derive_seed(seed, ranks_stream)),
      customer_by_rank(scale.customers(), derive_seed(seed, ranks_stream) + 1),
      user_by_rank(scale.users(), derive_seed(seed, ranks_stream) + 2),
      product_category(draw_categories(scale, seed)),
      department_products(by_department(product_category, product_by_rank)),
      department_zipf(make_department_zipf(department_products, std::make_index_sequence<12>{})) {
  Random random(derive_seed(seed, products_stream) + 7);
  product_cents.resize(scale.products());
  for (std::uint32_t i = 0; i < product_cents.size(); ++i) {
    // A department has its own price level; within it prices fall off.
    const std::uint32_t level = 300 + product_category[i] % 12 * 900;
    product_cents[i] = level + static_cast<std::uint32_t>(std::pow(random.unit(), 3.0) * level * 12);
  }
  Random customers(derive_seed(seed, customers_stream));
  const Zipf city_zipf(cities.size(), 1.1), segment_zipf(4, 1.4);
  customer_city.resize(scale.customers());
  customer_segment.resize(scale.customers());
  for (std::uint32_t rank = 0; rank < scale.customers(); ++rank) {
    // Those who buy most are enterprises of two countries: segment, country and activity are one thing.
    const std::uint32_t customer = customer_by_rank[rank];
    const bool heavy = rank < scale.customers() / 100;
    customer_segment[customer] = static_cast<std::uint8_t>(heavy && customers.chance(0.9) ? 2 : segment_zipf.rank(customers) == 2 ? 3 : segment_zipf.rank(customers));
    customer_city[customer] = static_cast<std::uint8_t>(heavy && customers.chance(0.8) ? 14 + customers.below(2) : city_zipf.rank(customers));
  }
  Random users(derive_seed(seed, users_stream));
  user_reputation.resize(scale.users());
  for (std::uint32_t rank = 0; rank < scale.users(); ++rank) {
    const double fame = 200000.0 / std::pow(static_cast<double>(rank) + 1, 0.8);
    user_reputation[user_by_rank[rank]] = 1 + static_cast<std::uint32_t>(fame * (0.5 + users.unit()));
  }
  Random posts(derive_seed(seed, posts_stream));
  const std::uint32_t n = scale.posts();
  post_author.resize(n);
  post_second.resize(n);
  post_score.resize(n);
  std::vector<double> fame(n);
  for (std::uint32_t i = 0; i < n; ++i) {
    const std::uint32_t author = user_by_rank[user_zipf.rank(posts)];
    post_author[i] = posts.chance(0.04) ? 0 : author + 1;
    post_second[i] = growing_moment(posts, i, n);
    const double age = 1.0 - static_cast<double>(post_second[i]) / total_seconds;
    const double reputation = std::log2(static_cast<double>(user_reputation[author]) + 1);
    fame[i] = reputation * (0.5 + age) * (0.2 + posts.unit());
    post_score[i] = static_cast<std::int32_t>(std::pow(fame[i] / 8.0, 3.0)) - static_cast<std::int32_t>(posts.below(3));
  }
  post_by_rank.resize(n);
  std::iota(post_by_rank.begin(), post_by_rank.end(), 0U);
  std::stable_sort(post_by_rank.begin(), post_by_rank.end(), [&](std::uint32_t a, std::uint32_t b) { return fame[a] > fame[b]; });
}

std::uint32_t World::buy_product(Random& random, std::uint32_t customer) const {
  if (!random.chance(0.75)) return product_by_rank[product_zipf.rank(random)];
  const auto country = static_cast<std::size_t>(cities[customer_city[customer]].country_index);
  const std::size_t department = (country * 5 + customer_segment[customer] + random.below(2)) % departments.size();
  return department_products[department][department_zipf[department].rank(random)];
}

void append_time(std::string& out, std::uint32_t second) {
  // Days to a date by the usual era arithmetic; 18628 is 2021-01-01.
  const std::uint32_t z = second / 86400 + 18628 + 719468, in_day = second % 86400;
  const std::uint32_t era = z / 146097, day_of_era = z - era * 146097;
  const std::uint32_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const std::uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::uint32_t shifted = (5 * day_of_year + 2) / 153, day = day_of_year - (153 * shifted + 2) / 5 + 1;
  const std::uint32_t month = shifted < 10 ? shifted + 3 : shifted - 9, year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  const auto two = [&out](std::uint32_t value) {
    out.push_back(static_cast<char>('0' + value / 10 % 10));
    out.push_back(static_cast<char>('0' + value % 10));
  };
  two(year / 100); two(year % 100); out.push_back('-'); two(month); out.push_back('-'); two(day); out.push_back(' ');
  two(in_day / 3600); out.push_back(':'); two(in_day / 60 % 60); out.push_back(':'); two(in_day % 60);
}

std::uint32_t growing_moment(Random& random, std::uint32_t i, std::uint32_t n) {
  const double share = std::sqrt((static_cast<double>(i) + random.unit()) / n);
  auto second = static_cast<std::uint32_t>(share * (total_seconds - 1));
  const std::uint32_t weekday = (second / 86400 + 4) % 7;  // 2021-01-01 was a Friday; 5 and 6 are the weekend
  if (weekday >= 5 && second > 3 * 86400 && random.chance(0.6)) second -= 2 * 86400;
  if (second % 86400 < 6 * 3600 && random.chance(0.8)) second += 9 * 3600;
  return std::min(second, total_seconds - 1);
}

void Rows::separate() {
  if (!first_) buffer_.push_back('\t');
  first_ = false;
}
Rows& Rows::integer(std::int64_t value) {
  separate();
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  buffer_.append(digits, end);
  return *this;
}
Rows& Rows::text(std::string_view value) {
  separate();
  buffer_.append(value);
  return *this;
}
Rows& Rows::null() { return text("\\N"); }
Rows& Rows::time(std::uint32_t second) {
  separate();
  append_time(buffer_, second);
  return *this;
}
Rows& Rows::cents(std::uint32_t value) {
  integer(value / 100);
  buffer_.push_back('.');
  buffer_.push_back(static_cast<char>('0' + value / 10 % 10));
  buffer_.push_back(static_cast<char>('0' + value % 10));
  return *this;
}
void Rows::end() {
  buffer_.push_back('\n');
  first_ = true;
  ++rows_;
  if (buffer_.size() >= block) flush();
}
void Rows::flush() {
  if (rows_ == 0) return;
  sink_(buffer_, rows_);
  buffer_.clear();
  rows_ = 0;
}

}  // namespace pgsteer::workload
