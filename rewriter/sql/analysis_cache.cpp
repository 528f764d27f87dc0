#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <string>
#include <unordered_map>
#include <vector>

#include "rewriter/sql/analysis.hpp"
#include "rewriter/sql/text_scan.hpp"

namespace pgsteer::sql {

/// Entries sit in one array and are linked twice: into the chain of their bucket and into the order of use. Indices
/// instead of pointers, so that no hit allocates.
struct AnalysisCache::Impl {
  static constexpr std::uint32_t none = 0xFFFFFFFF;

  struct Entry {
    std::uint64_t hash = 0;
    std::string text;
    std::shared_ptr<const Analysis> analysis;
    std::uint32_t chain = none;          ///< next in the bucket
    std::uint32_t newer = none, older = none;
  };

  Impl(std::size_t most_entries, std::size_t most_bytes, const Limits& l)
      : max_entries(std::clamp<std::size_t>(most_entries, 1, none - 1)), max_bytes(most_bytes), limits(l),
        buckets(std::bit_ceil(max_entries), none) {}

  std::uint32_t& bucket(std::uint64_t hash) { return buckets[hash & (buckets.size() - 1)]; }

  std::uint32_t find(std::uint64_t hash, std::string_view text) {
    for (std::uint32_t i = bucket(hash); i != none; i = entries[i].chain)
      if (entries[i].hash == hash && entries[i].text == text) return i;
    return none;
  }

  void unlink(std::uint32_t i) {
    const Entry& e = entries[i];
    (e.newer == none ? newest : entries[e.newer].older) = e.older;
    (e.older == none ? oldest : entries[e.older].newer) = e.newer;
  }

  void link_newest(std::uint32_t i) {
    entries[i].newer = none;
    entries[i].older = newest;
    (newest == none ? oldest : entries[newest].newer) = i;
    newest = i;
  }

  void evict_oldest() {
    const std::uint32_t i = oldest;
    unlink(i);
    std::uint32_t* link = &bucket(entries[i].hash);
    while (*link != i) link = &entries[*link].chain;
    *link = entries[i].chain;
    bytes -= entries[i].text.size();
    entries[i].text = {};
    entries[i].analysis.reset();
    free_entries.push_back(i);
    --used;
  }

  void insert(std::uint64_t hash, std::string_view text, std::shared_ptr<const Analysis> analysis) {
    if (text.size() > max_bytes) return;
    while (used > 0 && (used >= max_entries || bytes + text.size() > max_bytes)) evict_oldest();
    std::uint32_t i = static_cast<std::uint32_t>(entries.size());
    if (free_entries.empty()) {
      entries.emplace_back();
    } else {
      i = free_entries.back();
      free_entries.pop_back();
    }
    Entry& e = entries[i];
    e.hash = hash;
    e.text = text;
    e.analysis = std::move(analysis);
    e.chain = bucket(hash);
    bucket(hash) = i;
    link_newest(i);
    bytes += text.size();
    ++used;
  }

  /// The second level: what only differs in literals nobody reads says the same (pgbench in simple protocol, ORMs that print
  /// their parameters). A scan of the tokens instead of a parse.
  std::shared_ptr<const Analysis> analyse_or_share(std::string_view text) {
    const TextScan scan = scan_text(text, limits);
    if (scan.why != WhyNot::none || !scan.shape_decides) return analyse_scanned(text, scan, limits);
    const Shape key{scan.shape.high, scan.shape.low ^ scan.read_literals};
    if (const auto known = by_shape.find(key); known != by_shape.end()) return known->second;
    auto analysis = analyse_scanned(text, scan, limits);
    const bool plain = analysis->kind == StatementKind::select || analysis->kind == StatementKind::insert ||
                       analysis->kind == StatementKind::update || analysis->kind == StatementKind::delete_;
    if (plain && analysis->why_not == WhyNot::none && analysis->settings.empty()) {
      if (by_shape.size() >= max_entries) by_shape.clear();
      by_shape.emplace(key, analysis);
    }
    return analysis;
  }

  const std::size_t max_entries, max_bytes;
  const Limits limits;
  std::vector<std::uint32_t> buckets;
  std::vector<Entry> entries;
  std::vector<std::uint32_t> free_entries;
  std::uint32_t newest = none, oldest = none;
  std::size_t bytes = 0, used = 0;
  std::unordered_map<Shape, std::shared_ptr<const Analysis>, ShapeHash> by_shape;
};

AnalysisCache::AnalysisCache(std::size_t max_entries, std::size_t max_text_bytes, Limits limits)
    : impl_(std::make_unique<Impl>(max_entries, max_text_bytes, limits)) {}
AnalysisCache::~AnalysisCache() = default;

std::size_t AnalysisCache::size() const { return impl_->used; }

std::shared_ptr<const Analysis> AnalysisCache::get(std::string_view text) {
  const std::uint64_t hash = XXH3_64bits(text.data(), text.size());
  if (const std::uint32_t i = impl_->find(hash, text); i != Impl::none) {
    ++hits_;
    if (i != impl_->newest) {
      impl_->unlink(i);
      impl_->link_newest(i);
    }
    return impl_->entries[i].analysis;
  }
  ++misses_;
  auto analysis = impl_->analyse_or_share(text);
  impl_->insert(hash, text, analysis);
  return analysis;
}

}  // namespace pgsteer::sql
