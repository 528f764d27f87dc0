#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <optional>

namespace pgsteer::policies {

/// Changed executions against concurrent ones of a control group, in pairs of one stratum (a statement under one plan of PostgreSQL's own).
/// May be looked at after every pair: if the change made no difference the two of a pair could be exchanged, ln(control / changed) would be
/// symmetric about nothing, and no way of betting on its sign could be expected to win. A fortune of 1 / alpha is therefore reached with
/// probability alpha at most, whenever one looks (Ville's inequality; betting as in Waudby-Smith and Ramdas, "Estimating means of bounded
/// random variables by betting"). What one bets is bounded, so neither skew nor a single absurd time matters.
class Experiment {
 public:
  enum class Side : std::uint8_t { changed, control };

  /// Pairs are of neighbours in time: of several of one side in a row the last one counts. Returns ln(control / changed) of a new pair.
  std::optional<double> add(Side side, double ms);
  void add_pair(double log_gain);

  std::uint64_t pairs() const { return pairs_; }
  double p_better() const;  ///< always valid: that so much speaks for a gain although there is none
  double p_worse() const;

  /// As shares of the control's time gained; a loss is negative. The interval holds at all times together with probability 1 - alpha.
  struct Effect {
    double gain = 0, low = 0, high = 0;
  };
  Effect effect(double alpha) const;

 private:
  static constexpr std::array<double, 6> stakes{0.0625, 0.125, 0.25, 0.5, 0.75, 0.95};
  using Fortunes = std::array<double, stakes.size()>;  ///< logarithms

  double fortune_if(double true_log_gain, bool better) const;

  std::optional<std::pair<Side, double>> waiting_;
  std::uint64_t pairs_ = 0;
  Fortunes better_{}, worse_{};
  double best_better_ = 0, best_worse_ = 0;        ///< highest logarithm of the mean fortune so far
  std::map<std::int16_t, std::uint32_t> steps_;    ///< how often each log gain came, in steps of 1/64
};

}  // namespace pgsteer::policies
