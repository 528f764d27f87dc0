#include "predictor/watch.hpp"

#include <algorithm>

namespace pgsteer::predictor {
namespace {

constexpr std::uint64_t free_rows = 16;       // of a statement, before its share is looked at
constexpr std::uint64_t largest_share = 4;    // one in four, where there are eight statements or more
constexpr std::size_t max_statements = 20'000;
constexpr double margin = 0.02;               // log: 2 % worse is not worth a rollback
constexpr double tolerated_misses = 0.15;     // nominal is 0.10
constexpr double tolerated_foreign = 0.05;

/// A bet of `stake` on x (mean at most 0 while all is well, x >= -1); never below its start, so that it is always awake.
double bet(double wealth, double stake, double x) { return std::max(1.0, wealth) * (1 + stake * x); }

}  // namespace

bool ModelWatch::heard_enough(std::string_view fingerprint) {
  if (heard_.size() >= max_statements) heard_.clear();
  std::uint64_t& mine = heard_[std::string(fingerprint)];
  const std::uint64_t parts = std::clamp<std::uint64_t>(heard_.size() / 2, 1, largest_share);
  if (mine >= free_rows && mine * parts > rows_) return true;
  ++mine;
  return false;
}

ModelWatch::Verdict ModelWatch::add(const Row& row) {
  if (!std::isfinite(row.log_ms) || heard_enough(row.fingerprint)) return Verdict::holds;
  ++rows_;
  const double error = std::isfinite(row.predicted) ? std::abs(row.predicted - row.log_ms) : 10;
  const bool missed = error > row.half_width;
  missed_ += missed;
  error_ += error;
  if (std::isfinite(row.before)) {
    const double before = std::abs(row.before - row.log_ms);
    ++compared_;
    error_before_ += before;
    worse_ = bet(worse_, 0.5, std::clamp(error - before, -1.0, 1.0) - margin);
  }
  drifted_ = bet(drifted_, 2.0, double(missed) - tolerated_misses);
  foreign_ = bet(foreign_, 2.0, double(row.foreign) - tolerated_foreign);
  if (worse_ >= alarm) return Verdict::worse_than_before;
  if (drifted_ >= alarm) return Verdict::residuals_drifted;
  return foreign_ >= alarm ? Verdict::inputs_drifted : Verdict::holds;
}

std::string_view to_string(ModelWatch::Verdict verdict) {
  switch (verdict) {
    case ModelWatch::Verdict::holds: return "holds";
    case ModelWatch::Verdict::worse_than_before: return "worse than the version before";
    case ModelWatch::Verdict::residuals_drifted: return "its intervals no longer cover";
    case ModelWatch::Verdict::inputs_drifted: return "statements are unlike those it was trained on";
  }
  return "?";
}

}  // namespace pgsteer::predictor
