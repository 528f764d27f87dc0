#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace pgsteer::proxy {

/// Statements or portals of the extended protocol by their names. The unnamed one, which drivers make anew for every execution, has a place of its
/// own: in the tree it was made and destroyed with two allocations each time.
template <class T>
class ByName {
 public:
  /// nullptr when there is none of that name.
  T* find(std::string_view name) {
    if (name.empty()) return unnamed_ ? &*unnamed_ : nullptr;
    const auto found = named_.find(name);
    return found == named_.end() ? nullptr : &found->second;
  }
  T& operator[](std::string_view name) {
    if (name.empty()) return unnamed_ ? *unnamed_ : unnamed_.emplace();
    if (const auto found = named_.find(name); found != named_.end()) return found->second;
    return named_[std::string(name)];
  }
  void erase(std::string_view name) {
    if (name.empty()) return unnamed_.reset();
    if (const auto found = named_.find(name); found != named_.end()) named_.erase(found);
  }
  void clear() {
    unnamed_.reset();
    if (!named_.empty()) named_.clear();
  }
  /// Erases what `gone(name, value)` says.
  template <class Gone>
  void erase_if(Gone gone) {
    if (unnamed_ && gone(std::string_view(), *unnamed_)) unnamed_.reset();
    std::erase_if(named_, [&](const auto& entry) { return gone(std::string_view(entry.first), entry.second); });
  }
  void erase_value(const T& value) {
    erase_if([&](std::string_view, const T& each) { return each == value; });
  }
  template <class See>
  void for_each(See see) const {
    if (unnamed_) see(std::string_view(), *unnamed_);
    for (const auto& [name, value] : named_) see(std::string_view(name), value);
  }

 private:
  std::optional<T> unnamed_;
  std::map<std::string, T, std::less<>> named_;
};

}  // namespace pgsteer::proxy
