#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "rewriter/candidate.hpp"
#include "tests/rewriter/generator.hpp"

struct pg_conn;

/// Runs originals and their rewrites against a server and compares the answers. Statements travel in batches (libpq's
/// pipeline mode, one transaction each), over two databases of different rows in turn: while the server works on one
/// batch the next is generated.
namespace pgsteer::test {

struct Tally {
  int generated = 0;        ///< distinct statements made for the rule
  int fired = 0;            ///< of these, rewritten with the rule's help
  int nonempty = 0;         ///< of these, with rows in the answer
  int original_failed = 0;  ///< of these, not compared: the original failed by itself
  std::unordered_set<std::uint64_t> pairs;  ///< distinct (original, rewrite) with this rule that were compared
};

struct Difference {
  std::string label, original, rewritten, what, where;
};

class PairRunner {
 public:
  /// The database of `url` has the schema already; a second one is made from it.
  explicit PairRunner(const std::string& url);
  ~PairRunner();
  PairRunner(const PairRunner&) = delete;
  PairRunner& operator=(const PairRunner&) = delete;

  /// New rows and another time zone for the batch that comes next; collects what that database still owed.
  void next_rows(std::uint64_t seed, const std::string& timezone);
  /// Every candidate for a statement made for `rule`. Repeated statements are left out; false then.
  bool add(const Statement& statement, const std::string& rule);
  /// Waits for all answers.
  void finish();

  const sql::Catalog& catalog() const { return catalog_; }
  std::map<std::string, Tally>& tallies() { return tallies_; }
  std::size_t distinct_pairs() const { return pairs_.size(); }
  std::size_t errors_compared() const { return errors_compared_; }
  const std::vector<Difference>& differences() const { return differences_; }

 private:
  struct Pending {
    Statement statement;
    std::string rule;
    std::vector<rewriter::Candidate> candidates;
  };
  struct Lane {
    pg_conn* connection = nullptr;
    std::string rows;  ///< which rows it holds, for messages
    std::vector<Pending> pending;
  };
  void collect(Lane& lane);
  void compare(Lane& lane, const Pending& one);
  void differs(const Lane& lane, const Pending& one, const rewriter::Candidate& candidate, std::string what);

  sql::Catalog catalog_;
  sql::SessionFacts session_;
  Lane lanes_[2];
  int current_ = 0;
  std::unordered_set<std::uint64_t> seen_, pairs_;
  std::map<std::string, Tally> tallies_;
  std::map<std::string, int> reported_;
  std::vector<Difference> differences_;
  std::size_t errors_compared_ = 0;
};

}  // namespace pgsteer::test
