#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgsteer::cache {

/// Of a reply to INFO server.
std::uint64_t run_of(std::string_view info);

struct RedisOptions {
  std::string host = "127.0.0.1";
  int port = 6379;
  std::string unix_socket;  ///< used when not empty
  std::string username, password;
  int database = 0;
  std::chrono::microseconds deadline{2000};      ///< of one look-up; a slow Redis costs a client no more
  int breaker_failures = 3;                      ///< consecutive failures that open the breaker
  std::chrono::milliseconds breaker_open{1000};  ///< then one probe
  std::size_t max_pending = 1024;
};

enum class BreakerState : unsigned char { closed, open, half_open };

/// Redis as a value store: one link per event loop, hiredis asynchronous on Asio, pipelined. Nothing Redis does (loss,
/// lies, restarts) can make an answer wrong: entries carry their own key, tags and checksum. Use from its loop only.
class RedisStore : public std::enable_shared_from_this<RedisStore> {
 public:
  static std::shared_ptr<RedisStore> create(boost::asio::io_context& loop, RedisOptions options);
  virtual ~RedisStore() = default;
  /// Value bytes; nullopt on absence, deadline, error or open breaker.
  virtual boost::asio::awaitable<std::optional<std::string>> get(std::string key) = 0;
  /// Fire and forget; ttl rounded up to milliseconds, 0 = one day.
  virtual void set(std::string key, std::string value, std::chrono::milliseconds ttl) = 0;
  virtual void erase(std::string key) = 0;
  /// Shared words and a value in one round trip. The generation is read first: what the words say holds for that instant.
  struct Words {
    std::string generation;                 ///< "" = there is none
    std::vector<std::string> words;         ///< of `fields`; "" = never moved
    std::optional<std::string> value;
  };
  virtual boost::asio::awaitable<std::optional<Words>> words(std::string generation_key, std::string words_key, std::vector<std::string> fields,
                                                             std::string value_key) = 0;  ///< "": no value is wanted
  virtual BreakerState breaker() const = 0;
  virtual bool connected() const = 0;
  /// Which process it is that answers, by its run_id; 0: it does not tell (an ACL user without INFO). Another one has another's words.
  virtual std::uint64_t server() const = 0;
  virtual void shutdown() = 0;
  struct Counters {
    std::uint64_t gets = 0, hits = 0, sets = 0, deadlines = 0, errors = 0, refused = 0, breaker_opened = 0;
  };
  virtual Counters counters() const = 0;
  /// What Redis or the system said last when something failed; "" so far so good. For people.
  virtual std::string last_error() const { return {}; }
};

}  // namespace pgsteer::cache
