#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pgsteer::proxy::learning {

/// What a person decided for one fingerprint, in every database.
struct Pin {
  std::string pinned;               ///< candidate label, "" for none
  std::vector<std::string> banned;  ///< candidate labels
  std::string banned_text() const;  ///< comma-separated, as Knowledge holds it
};

/// state_dir/pins.json. A file of an unknown version or shape is refused and never overwritten.
class PinFile {
 public:
  explicit PinFile(const std::string& state_dir) : file_(state_dir + "/pins.json") {}
  /// A missing file is an empty map; nullopt with *error for one that cannot be understood.
  std::optional<std::map<std::string, Pin>> read(std::string* error) const;
  bool write(const std::map<std::string, Pin>& pins, std::string* error) const;

 private:
  const std::string file_;
};

/// The full label of what a user calls it ("no_nestloop", "arm:no_nestloop", "as-is", "rewrite:x+y"); nullopt with
/// *error naming the nearest one.
std::optional<std::string> candidate_label(const std::string& text, std::string* error);

}  // namespace pgsteer::proxy::learning
