#pragma once
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace pgsteer::proxy::learning {

/// state_dir/audit.log: one line per learning step that changes behaviour. Appended and flushed line by line; a line
/// that cannot be written is logged instead. Thread-safe.
class Audit {
 public:
  explicit Audit(std::string state_dir) : file_(std::move(state_dir) + "/audit.log") {}
  /// `event` is one of approved, rejected, disabled, canary, serving, promoted, stopped, rolled_back, held, released, policy_held,
  /// policy_resumed, pinned, unpinned, banned, model, mismatch, evidence_void, rule_banned, rule_unbanned.
  /// `more`: further key=value pairs for the file alone (they may hold statements, which the log must not).
  void write(const std::string& event, const std::string& fingerprint, const std::string& label, const std::string& why,
             const std::vector<std::pair<std::string, std::string>>& more = {});

 private:
  const std::string file_;
  std::mutex mutex_;
};

}  // namespace pgsteer::proxy::learning
