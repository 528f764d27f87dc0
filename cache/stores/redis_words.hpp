#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/stores/redis.hpp"

struct redisContext;

namespace pgsteer::cache {

/// Names of what a group keeps in Redis; one hash tag, so that a cluster keeps it on one node. 2: members of before do not move words of
/// rows (key_words.cpp), so that they and these must not take each other for one group.
struct WordKeys {
  explicit WordKeys(const std::string& group) : prefix("pgsteer:2:{" + group + "}:"), generation(prefix + "generation") {}
  /// The words of one generation: a hash, so that they are there all or none. A field that is missing is a word that
  /// nobody has moved, 0. `alive` is in it from the start.
  std::string words(std::uint64_t of_generation) const { return prefix + "words:" + std::to_string(of_generation); }
  std::string farewell(int server_pid) const { return prefix + "bye:" + std::to_string(server_pid); }
  std::string prefix, generation;
};
inline constexpr std::string_view alive_field = "alive";

/// One change of shared words.
struct WordChange {
  enum class Kind : unsigned char { mark, done, bump } kind = Kind::mark;
  std::vector<std::string> fields;
  std::int64_t delta = 0;       ///< added to every field
  std::string picture;          ///< done: this field is compared ...
  std::string expected;         ///< ... with this, and where it has moved ...
  std::string otherwise;        ///< ... this field gets an epoch too
};
/// What became of a mark.
struct WordReply {
  bool stands = false;          ///< false: the generation is another one by now
  std::uint64_t picture = 0;    ///< its word
};

/// Blocking Redis connection of the one thread that changes shared words. Any failure ends it: what was sent may or may
/// not have been done, and only another generation makes that harmless.
class WordLink {
 public:
  static std::unique_ptr<WordLink> open(const RedisOptions& options, std::chrono::milliseconds deadline, std::string* error);
  ~WordLink();
  WordLink(const WordLink&) = delete;
  WordLink& operator=(const WordLink&) = delete;

  /// 0: there is none.
  std::optional<std::uint64_t> generation(const WordKeys& keys);
  /// Makes `fresh` the generation, if `expected` is it (0: whatever it is; absent counts as any) and, where `vanished`
  /// names members, one of them left without a farewell. What is in force after that.
  std::optional<std::uint64_t> renew(const WordKeys& keys, std::uint64_t expected, std::uint64_t fresh, const std::vector<int>& vanished);
  /// In order, in one round trip. nullopt: some may have been done.
  std::optional<std::vector<WordReply>> apply(const WordKeys& keys, std::uint64_t generation, const std::vector<const WordChange*>& changes);
  std::optional<std::uint64_t> word(const WordKeys& keys, std::uint64_t generation, const std::string& field);
  void set_deadline(std::chrono::milliseconds deadline);
  std::uint64_t server() const { return server_; }  ///< as RedisStore::server()
  bool say_farewell(const WordKeys& keys, int server_pid);
  const std::string& error() const { return error_; }

 private:
  explicit WordLink(redisContext* context) : context_(context) {}
  struct Reply;
  Reply command(const std::vector<std::string>& words);
  bool append(const std::vector<std::string>& words);
  Reply next();
  redisContext* context_;
  std::string error_;
  std::uint64_t server_ = 0;
};

}  // namespace pgsteer::cache
