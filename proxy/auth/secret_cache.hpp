#pragma once
#include <chrono>
#include <cstddef>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace pgsteer::proxy {

/// What the server said of one user.
struct SecretAnswer {
  std::optional<std::string> secret;                               ///< none: no such user, or one without a password
  double ends_unix = std::numeric_limits<double>::infinity();      ///< VALID UNTIL
  bool expired(double now_unix) const { return now_unix >= ends_unix; }
  bool operator==(const SecretAnswer&) const = default;
};

/// Answers of auth.query for a while, those that say "nobody" among them. Bounded: names come from whoever connects, so those of
/// nobody are kept apart, and a flood of them pushes out no user. Not locked.
class SecretCache {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::size_t kMostUsers = 20000, kMostStrangers = 5000;

  /// Not older than `age`; nullptr: to be asked.
  const SecretAnswer* find(std::string_view user, Time now, std::chrono::milliseconds age) const {
    for (const auto* part : {&users_, &strangers_}) {
      const auto found = part->find(user);
      if (found != part->end()) return now - found->second.asked < age ? &found->second.answer : nullptr;
    }
    return nullptr;
  }
  void put(const std::string& user, SecretAnswer answer, Time now) {
    users_.erase(user);
    strangers_.erase(user);
    auto& part = answer.secret ? users_ : strangers_;
    if (part.size() >= (answer.secret ? kMostUsers : kMostStrangers)) part.clear();
    part.emplace(user, Entry{std::move(answer), now});
  }
  void clear() {
    users_.clear();
    strangers_.clear();
  }
  std::size_t size() const { return users_.size() + strangers_.size(); }

 private:
  struct Entry {
    SecretAnswer answer;
    Time asked;
  };
  using Part = std::map<std::string, Entry, std::less<>>;
  Part users_, strangers_;
};

}  // namespace pgsteer::proxy
