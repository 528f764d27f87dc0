#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rewriter/sql/analysis.hpp"
#include "rewriter/sql/catalog.hpp"

namespace pgsteer::proxy::learning {

/// An arm that may serve, as it goes into a file: for the next start, for people to review, for another pgsteer.
struct KeptArm {
  std::string fingerprint, label;
  std::string database, search_path;  ///< "" of a person's: everywhere
  std::uint64_t plan = 0;             ///< of the default's, that it was explored against; 0: any
  std::uint64_t explored = 0;
  double explored_ms = 0, explored_default_ms = 0, worst_ratio = 0, worst_default_ms = 0, cost_low = 0, cost_high = 0;
  std::uint64_t statistics = 0;       ///< statistics_digest() when it was explored
  bool by_hand = false;               ///< a person's word (APPROVE), not measured here
};

/// state_dir/steering.json. A file of an unknown version or shape is refused and never overwritten.
class KeptFile {
 public:
  explicit KeptFile(const std::string& state_dir) : file_(state_dir + "/steering.json") {}
  /// A missing file is an empty list; nullopt with *error for one that cannot be understood.
  std::optional<std::vector<KeptArm>> read(std::string* error) const;
  bool write(const std::vector<KeptArm>& arms, std::string* error) const;

 private:
  const std::string file_;
};

/// Of what the planner knows of the tables a statement names: another number after another ANALYZE.
std::uint64_t statistics_digest(const sql::Analysis& analysis, const sql::Catalog& catalog, const std::string& search_path, const std::string& user);

/// A plan's shape as people see it, 16 hexadecimal digits; "" for 0, and back (nullopt: it is none).
std::string plan_words(std::uint64_t plan);
std::optional<std::uint64_t> parse_plan_words(const std::string& text);

}  // namespace pgsteer::proxy::learning
