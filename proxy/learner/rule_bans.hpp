#pragma once
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "proxy/hub.hpp"
#include "proxy/learner/audit.hpp"
#include "proxy/learner/learner.hpp"

namespace pgsteer::proxy::learning {

/// The rewrite rules that no statement may use any more, in every database: one of their answers was not the original's, or
/// somebody said BAN RULE. Kept in state_dir/rules.json with the newest differences, so that a restart forgets neither; a
/// file of an unknown version or shape is refused and never overwritten (the bans then hold for this process only).
/// Published as Snapshot::banned_rules. Thread-safe.
class RuleBans {
 public:
  static constexpr std::size_t kMaxMismatches = 200;
  RuleBans(Hub& hub, Audit& audit, const std::string& state_dir)
      : hub_(hub), audit_(audit), file_(state_dir + "/rules.json") {}

  void load();
  /// Bans every rule that made the text (which of several is to blame is for a person to find out), drops what is cached
  /// (an answer of theirs may be among it), writes both texts to the audit log and raises an error in the log.
  void mismatch(MismatchRecord record);
  /// Empty = done, else what is wrong.
  std::string ban(const std::string& rule, const std::string& why);
  std::string unban(const std::string& rule);

  std::vector<MismatchRecord> mismatches() const;  ///< newest first
  std::map<std::string, std::string> banned() const;  ///< rule -> why
  std::string health() const;

 private:
  void publish();        ///< with mutex_ held
  void save();           ///< with mutex_ held
  Hub& hub_;
  Audit& audit_;
  const std::string file_;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> banned_;
  std::deque<MismatchRecord> mismatches_;
  std::string error_;    ///< of the file
  bool writable_ = true; ///< false: the file is not ours to overwrite
};

}  // namespace pgsteer::proxy::learning
