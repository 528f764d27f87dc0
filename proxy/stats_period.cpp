#include "proxy/stats_period.hpp"

#include <algorithm>

namespace pgsteer::proxy {

StatsPeriod::Span StatsPeriod::last(const std::string& database, const Totals& now, std::int64_t now_us) const {
  const std::lock_guard lock(mutex_);
  const auto of = [&](const ByDatabase& counted) {
    const auto found = counted.find(database);
    return found == counted.end() ? Totals{} : found->second;
  };
  const Totals from = of(begin_), until = whole_ ? of(end_) : now;
  Span span{{}, static_cast<double>(std::max<std::int64_t>(1'000'000, (whole_ ? end_us_ : now_us) - begin_us_)) / 1e6};
  for (const auto& [name, member] : totals_members) span.totals.*member = until.*member - from.*member;
  return span;
}

}  // namespace pgsteer::proxy
