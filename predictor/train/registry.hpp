#pragma once
#include <functional>
#include <map>
#include <string>

#include "predictor/feedback.hpp"

namespace pgsteer::predictor {

/// models/<name>/ of a state directory: versions v0001, v0002 ..., the link `current`, and a lock that only a training
/// or a rollback holds. A version appears by one rename and `current` moves by another, so that a process killed at any
/// moment leaves a registry that reads as before or after, never between.
class Registry {
 public:
  Registry(const std::string& state_dir, std::string name);
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// Takes the lock and clears what a killed training left behind; false when another process has it.
  bool lock(std::string* error);
  /// The next version's name. Needs the lock.
  std::string next_version() const;
  /// Last word on the written files, by their directory, before they become a version.
  using Check = std::function<bool(const std::string& directory, std::string* error)>;
  /// Writes the files (name -> content) of a version to the disk and gives it its name; not yet current.
  bool publish(const std::string& version, const std::map<std::string, std::string>& files, const Check& check, std::string* error);
  bool make_current(const std::string& version, std::string* error);
  /// Removes the oldest versions beyond `keep`, never the current one nor the one before it.
  void prune(int keep);

  std::string current() const;                ///< version, "" when none
  std::string pinned() const;                 ///< version, "" when none
  bool pin(const std::string& version, std::string* error);  ///< "" = none. Needs the lock
  /// The version that `version` was made to replace: its metadata's parent when it is kept, else the one before it in number.
  std::string before(const std::string& version) const;
  std::vector<std::string> versions() const;  ///< ascending
  std::string directory(const std::string& version) const { return root_ + "/" + version; }

 private:
  std::string root_;
  int lock_ = -1;
};

}  // namespace pgsteer::predictor
