#include "bench/workload/generator.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <memory>

#include <fmt/format.h>

#include "bench/workload/world.hpp"

namespace pgsteer::workload {
namespace {

using WorldPointer = std::shared_ptr<const World>;

constexpr std::array<std::string_view, 20> adjectives{"small", "grand", "silent", "red",   "blue",  "quick", "classic",
                                                      "smart", "light", "heavy",  "solid", "plain", "fine",  "royal",
                                                      "urban", "wild",  "soft",   "bold",  "pure",  "prime"};
constexpr std::array<std::string_view, 20> nouns{"lantern", "kettle", "shovel", "novel", "guitar", "hammer", "puzzle",
                                                 "boot",    "saddle", "lens",   "radio", "journal", "bulb",  "rake",
                                                 "pan",     "atlas",  "drum",   "wrench", "robot",  "sandal"};
constexpr std::array<std::string_view, 12> badge_names{"Teacher", "Student", "Editor", "Critic", "Scholar", "Autobiographer",
                                                       "Nice Answer", "Good Answer", "Great Answer", "Famous Question",
                                                       "Necromancer", "Legendary"};

// Draws in sequence: the operands of + have no order in C++, and another order would be other data.
std::string phrase(std::string before, Random& random, std::uint32_t noun_from, std::uint32_t noun_count) {
  before += adjectives[random.below(20)];
  before += ' ';
  return before += nouns[(noun_from + random.below(noun_count)) % 20];
}

Random stream(const World& world, std::string_view table) { return Random(derive_seed(world.seed, hash_bytes(table))); }

void categories(const World& world, const Sink& sink) {
  Rows rows(sink);
  for (std::uint32_t i = 0; i < world.scale.categories(); ++i) {
    rows.integer(i + 1);
    i < departments.size() ? rows.null() : rows.integer(i % departments.size() + 1);
    rows.text(fmt::format("{} {}", departments[i % departments.size()], i / departments.size()));
    rows.text(departments[i % departments.size()]).end();
  }
}

void products(const World& world, const Sink& sink) {
  Rows rows(sink);
  Random random = stream(world, "products");
  for (std::uint32_t i = 0; i < world.scale.products(); ++i) {
    const std::uint32_t category = world.product_category[i];
    const std::uint32_t made = growing_moment(random, i, world.scale.products());
    rows.integer(i + 1).integer(category + 1);
    rows.text(fmt::format("{} {}", phrase({}, random, category, 3), i % 977));
    rows.text(fmt::format("brand {}", category * 3 + random.below(3)));  // a brand belongs to one category
    rows.cents(world.product_cents[i]).integer(static_cast<std::int64_t>(random.below(500)));
    if (random.chance(0.3)) rows.null();
    else rows.integer(static_cast<std::int64_t>(1 + random.below(5)));
    rows.time(made);
    if (random.chance(0.08)) rows.time(std::min(made + 20000000U, total_seconds - 1));
    else rows.null();
    rows.end();
  }
}

void customers(const World& world, const Sink& sink) {
  Rows rows(sink);
  Random random = stream(world, "customers");
  for (std::uint32_t i = 0; i < world.scale.customers(); ++i) {
    const City& city = cities[world.customer_city[i]];
    rows.integer(i + 1).text(fmt::format("customer{}@example.com", i + 1));
    rows.text(fmt::format("Customer {}", random.below(world.scale.customers())));
    rows.text(city.name).text(city.country).text(segments[world.customer_segment[i]]);
    if (i > 0 && random.chance(0.15)) rows.integer(static_cast<std::int64_t>(random.below(i)) + 1);
    else rows.null();
    rows.time(growing_moment(random, i, world.scale.customers())).end();
  }
}

/// The customer of order i: drawn again by order_items so that the basket follows the buyer.
std::uint32_t order_customer(const World& world, std::uint32_t i) {
  Random random(derive_seed(world.seed + 77, i));
  return world.customer_by_rank[world.customer_zipf.rank(random)];
}

void orders(const World& world, const Sink& sink) {
  Rows rows(sink);
  Random random = stream(world, "orders");
  const std::uint32_t n = world.scale.orders();
  for (std::uint32_t i = 0; i < n; ++i) {
    const std::uint32_t customer = order_customer(world, i);
    const std::uint32_t made = growing_moment(random, i, n);
    const bool open = made > total_seconds - 12 * 86400 || random.chance(0.01);
    const bool cancelled = !open && random.chance(0.05);
    rows.integer(i + 1).integer(customer + 1);
    rows.text(cancelled ? "cancelled" : open ? (random.chance(0.5) ? "new" : "paid") : "shipped");
    rows.text(world.customer_segment[customer] == 2 ? "api" : random.chance(0.7) ? "web" : random.chance(0.9) ? "app" : "phone");
    if (random.chance(0.07)) rows.integer(static_cast<std::int64_t>(random.below(400)) + 1);
    else rows.null();
    const double size = world.customer_segment[customer] == 2 ? 20.0 : 1.0;
    rows.integer(500 + static_cast<std::int64_t>(std::pow(random.unit(), 4.0) * 60000.0 * size));
    rows.time(made);
    if (open || cancelled) rows.null();
    else rows.time(std::min<std::uint32_t>(made + 86400 + static_cast<std::uint32_t>(random.below(6 * 86400)), total_seconds - 1));
    rows.end();
  }
}

void order_items(const World& world, const Sink& sink) {
  Rows rows(sink);
  Random random = stream(world, "order_items");
  for (std::uint32_t i = 0; i < world.scale.orders(); ++i) {
    const std::uint32_t customer = order_customer(world, i);
    // Enterprises order in bulk: the fan-out belongs to the customers who already have most orders.
    const std::uint64_t lines = 1 + random.below(world.customer_segment[customer] == 2 ? 6 : 2);
    for (std::uint64_t line = 1; line <= lines; ++line) {
      const std::uint32_t product = world.buy_product(random, customer);
      rows.integer(i + 1).integer(static_cast<std::int64_t>(line)).integer(product + 1);
      rows.integer(static_cast<std::int64_t>(1 + random.below(3))).integer(world.product_cents[product]);
      if (random.chance(0.8)) rows.null();
      else rows.integer(static_cast<std::int64_t>(random.below(20)) * 50);
      rows.end();
    }
  }
}

void reviews(const World& world, const Sink& sink) {
  Rows rows(sink);
  Random random = stream(world, "reviews");
  const std::uint32_t n = world.scale.reviews();
  for (std::uint32_t i = 0; i < n; ++i) {
    const std::uint32_t customer = world.customer_by_rank[world.customer_zipf.rank(random)];
    const std::uint32_t product = world.buy_product(random, customer);
    const bool liked = world.product_category[product] % 3 != 0;
    rows.integer(i + 1).integer(product + 1).integer(customer + 1);
    rows.integer(static_cast<std::int64_t>(liked ? 3 + random.below(3) : 1 + random.below(4)));
    rows.integer(random.chance(0.7) ? 0 : static_cast<std::int64_t>(random.below(40)));
    rows.time(growing_moment(random, i, n));
    if (random.chance(0.4)) rows.null();
    else rows.text(phrase("a very ", random, 0, 20));
    rows.end();
  }
}

void users(const World& world, const Sink& sink) {
  Rows rows(sink);
  Random random = stream(world, "users");
  const std::uint32_t n = world.scale.users();
  for (std::uint32_t i = 0; i < n; ++i) {
    const std::uint32_t made = growing_moment(random, i, n);
    rows.integer(i + 1);
    if (random.chance(0.5)) rows.integer(static_cast<std::int64_t>(random.below(world.scale.customers())) + 1);
    else rows.null();
    rows.text(fmt::format("user{}", i + 1)).integer(world.user_reputation[i]);
    if (world.user_reputation[i] < 40 && random.chance(0.8)) rows.null();
    else rows.text(cities[random.below(cities.size())].name);
    rows.time(made);
    rows.time(made + static_cast<std::uint32_t>(random.unit() * (total_seconds - made))).end();
  }
}

void posts(const World& world, const Sink& sink) {
  Rows rows(sink);
  Random random = stream(world, "posts");
  const std::uint32_t n = world.scale.posts();
  for (std::uint32_t i = 0; i < n; ++i) {
    const bool question = i < 20 || random.chance(0.4);
    rows.integer(i + 1).integer(question ? 1 : 2);
    world.post_author[i] == 0 ? rows.null() : rows.integer(world.post_author[i]);
    if (question) rows.null();
    else rows.integer(static_cast<std::int64_t>(random.below(i)) + 1);
    if (question && random.chance(0.35)) rows.integer(world.product_by_rank[world.product_zipf.rank(random)] + 1);
    else rows.null();
    rows.integer(world.post_score[i]);
    if (question) rows.integer(20 + static_cast<std::int64_t>(world.post_score[i] + 3) * static_cast<std::int64_t>(30 + random.below(60)));
    else rows.null();
    if (question) rows.text(phrase("how to clean a ", random, 0, 20));
    else rows.null();
    rows.time(world.post_second[i]);
    if (question && random.chance(0.05)) rows.time(std::min(world.post_second[i] + 900000U, total_seconds - 1));
    else rows.null();
    rows.end();
  }
}

std::uint32_t popular_post(const World& world, Random& random) { return world.post_by_rank[world.post_zipf.rank(random)]; }

void comments(const World& world, const Sink& sink) {
  Rows rows(sink);
  Random random = stream(world, "comments");
  for (std::uint32_t i = 0; i < world.scale.comments(); ++i) {
    const std::uint32_t post = popular_post(world, random);
    rows.integer(i + 1).integer(post + 1).integer(world.user_by_rank[world.user_zipf.rank(random)] + 1);
    rows.integer(random.chance(0.8) ? 0 : static_cast<std::int64_t>(random.below(8)));
    rows.time(world.post_second[post] + static_cast<std::uint32_t>(random.unit() * random.unit() * (total_seconds - world.post_second[post]))).end();
  }
}

void votes(const World& world, const Sink& sink) {
  Rows rows(sink);
  Random random = stream(world, "votes");
  for (std::uint32_t i = 0; i < world.scale.votes(); ++i) {
    const std::uint32_t post = popular_post(world, random);
    const bool bounty = random.chance(0.02), favourite = random.chance(0.06);
    rows.integer(i + 1).integer(post + 1);
    if (bounty || favourite) rows.integer(world.user_by_rank[world.user_zipf.rank(random)] + 1);
    else rows.null();  // who votes up or down stays secret
    rows.integer(bounty ? 8 : favourite ? 5 : world.post_score[post] >= 0 ? (random.chance(0.95) ? 2 : 3) : (random.chance(0.3) ? 2 : 3));
    rows.time(world.post_second[post] + static_cast<std::uint32_t>(random.unit() * random.unit() * (total_seconds - world.post_second[post]))).end();
  }
}

void tags(const World& world, const Sink& sink) {
  Rows rows(sink);
  for (std::uint32_t i = 0; i < world.scale.tags(); ++i) {
    rows.integer(i + 1).text(fmt::format("{}-{}{}", nouns[i % 20], adjectives[i / 20 % 20], i < 400 ? "" : "-care")).end();
  }
}

void post_tags(const World& world, const Sink& sink) {
  Rows rows(sink);
  Random random = stream(world, "post_tags");
  for (std::uint32_t i = 0; i < world.scale.posts(); ++i) {
    if (!random.chance(0.7)) continue;
    std::array<std::uint32_t, 3> drawn{};
    const std::uint64_t count = 1 + random.below(3);
    for (std::uint64_t k = 0; k < count; ++k) {
      const std::uint32_t tag = world.tag_zipf.rank(random) + 1;
      if (std::find(drawn.begin(), drawn.begin() + static_cast<std::ptrdiff_t>(k), tag) != drawn.begin() + static_cast<std::ptrdiff_t>(k)) continue;
      drawn[k] = tag;
      rows.integer(i + 1).integer(tag).end();
    }
  }
}

void badges(const World& world, const Sink& sink) {
  Rows rows(sink);
  Random random = stream(world, "badges");
  for (std::uint32_t i = 0; i < world.scale.badges(); ++i) {
    const std::uint32_t rank = world.user_zipf.rank(random);
    const std::uint64_t name = rank < 300 ? 6 + random.below(6) : random.below(7);  // the rare ones go to the famous
    rows.integer(i + 1).integer(world.user_by_rank[rank] + 1).text(badge_names[name]);
    rows.integer(name >= 10 ? 1 : name >= 7 ? 2 : 3).time(growing_moment(random, i, world.scale.badges())).end();
  }
}

void carts(const World& world, const Sink& sink) {
  Rows rows(sink);
  Random random = stream(world, "carts");
  for (std::uint32_t i = 0; i < world.scale.carts(); ++i) {
    rows.integer(i + 1).integer(world.customer_by_rank[world.customer_zipf.rank(random)] + 1);
    rows.integer(static_cast<std::int64_t>(random.below(9))).text("fresh").end();
  }
}

}  // namespace

std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t seed) {
  std::uint64_t hash = seed;
  while (bytes.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    hash = (hash ^ word) * 0x9FB21C651E98DF25ULL;
    hash ^= hash >> 29;
    bytes.remove_prefix(8);
  }
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  hash ^= hash >> 32;
  return hash * 0x9E3779B97F4A7C15ULL;
}

std::vector<Table> make_tables(const Scale& scale, std::uint64_t seed) {
  const auto world = std::make_shared<const World>(scale, seed);
  const auto table = [&world](std::string name, std::uint64_t rows, void (*produce)(const World&, const Sink&)) {
    return Table{std::move(name), rows, [world, produce](const Sink& sink) { produce(*world, sink); }};
  };
  // Referenced tables first.
  return {table("categories", scale.categories(), categories), table("products", scale.products(), products),
          table("customers", scale.customers(), customers),    table("orders", scale.orders(), orders),
          table("order_items", scale.orders() * 2ULL, order_items), table("reviews", scale.reviews(), reviews),
          table("users", scale.users(), users),                table("posts", scale.posts(), posts),
          table("comments", scale.comments(), comments),       table("votes", scale.votes(), votes),
          table("tags", scale.tags(), tags),                   table("post_tags", scale.posts() * 13ULL / 10, post_tags),
          table("badges", scale.badges(), badges),             table("carts", scale.carts(), carts)};
}

Digest digest(const std::vector<Table>& tables) {
  Digest result;
  for (const Table& table : tables) {
    result.checksum = hash_bytes(table.name, result.checksum);
    table.produce([&result](std::string_view block, std::uint64_t rows) {
      result.checksum = hash_bytes(block, result.checksum);
      result.rows += rows;
    });
  }
  return result;
}

}  // namespace pgsteer::workload
