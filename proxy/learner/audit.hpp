#pragma once
#include <mutex>
#include <string>

namespace pgsteer::proxy::learning {

/// state_dir/audit.log: one line per learning step that changes behaviour. Appended and flushed line by line; a line
/// that cannot be written is logged instead. Thread-safe.
class Audit {
 public:
  explicit Audit(std::string state_dir) : file_(std::move(state_dir) + "/audit.log") {}
  /// `event` is one of approved, rejected, disabled, pinned, unpinned, banned, model, mismatch, evidence_void.
  void write(const std::string& event, const std::string& fingerprint, const std::string& label,
             const std::string& why);

 private:
  const std::string file_;
  std::mutex mutex_;
};

/// config.state_dir, or $XDG_STATE_HOME/pgsteer, else /var/lib/pgsteer.
std::string resolve_state_dir(const std::string& configured);

}  // namespace pgsteer::proxy::learning
