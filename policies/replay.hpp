#pragma once
#include <span>
#include <string>
#include <vector>

#include "policies/policy.hpp"
#include "predictor/feedback.hpp"

namespace pgsteer::policies {

/// One way to set the learner, and what it would have come to.
struct Variant {
  std::string name;          ///< "as it is", "without hash_only", "min_gain 35 %" ...
  SteerAction bounds;
  std::size_t rounds = 0;    ///< of exploration that a statement gets at most; 0: all there were
};

struct Evaluation {
  std::string name;
  double ratio = 1, low = 1, high = 1;        ///< time of the served executions over what the originals would have taken; 90 % interval
  double against = 0, against_low = 0, against_high = 0;  ///< ratio less that of the first variant, with its interval
  double explored_ms = 0;                     ///< what its exploring would have cost
  double supported = 0;                       ///< share of that time in which what it would do had been tried on clients; the rest is the explorer's word
  int steered = 0, worse = 0;                 ///< statements; those of them above 1.2 times the original's time
  bool better = false;                        ///< than the first variant, by 1 % at least and beyond chance
};

/// The variants worth asking about, the present settings first.
std::vector<Variant> variants(const SteerAction& present);

/// Off-policy evaluation of each from what was explored and served (in time order): exploring and the guard are played again on the recorded
/// measurements, and what would have been served is valued doubly robustly (Dudik, Langford, Li: "Doubly Robust Policy Evaluation and
/// Learning"): the explorer's figure, corrected by the clients' executions in which it was done, weighed by one over their logged probability.
/// Statements are told apart by fingerprint and database alone, not by plan. Intervals: the statements drawn again 400 times, by `seed`.
std::vector<Evaluation> evaluate(std::span<const predictor::Feedback> feedback, std::span<const Variant> variants, std::uint64_t seed);

}  // namespace pgsteer::policies
