#include "cache/stores/redis_words.hpp"

#include <hiredis/hiredis.h>

#include <charconv>

namespace pgsteer::cache {
namespace {

// A mark: only into the words of the generation in force, and only while they are all there.
constexpr const char* mark_script = R"(
if redis.call('GET', KEYS[1]) ~= ARGV[1] or redis.call('HEXISTS', KEYS[2], 'alive') == 0 then return false end
for i = 4, #ARGV do redis.call('HINCRBY', KEYS[2], ARGV[i], ARGV[2]) end
return redis.call('HGET', KEYS[2], ARGV[3]) or '0')";

// The end of a mark, or a bump: whatever generation is in force, the words it was made in are those that it moves. A
// catalog that changed while the write was under way (a trigger that it had to wait for) may have led it elsewhere.
constexpr const char* done_script = R"(
if redis.call('HEXISTS', KEYS[1], 'alive') == 0 then return false end
for i = 5, #ARGV do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[1]) end
if ARGV[2] ~= '' and (redis.call('HGET', KEYS[1], ARGV[2]) or '0') ~= ARGV[3] then
  redis.call('HINCRBY', KEYS[1], ARGV[4], 1048576)
end
return '0')";

// KEYS: generation, fresh words, old words or '', farewells. ARGV: expected or '0', fresh.
constexpr const char* renew_script = R"(
local now = redis.call('GET', KEYS[1])
if now and ARGV[1] ~= '0' and now ~= ARGV[1] then return now end
if #KEYS > 2 then
  local vanished = false
  for i = 3, #KEYS do vanished = vanished or redis.call('EXISTS', KEYS[i]) == 0 end
  if now and not vanished then return now end
end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('HSET', KEYS[2], 'alive', '1')
if now then redis.call('EXPIRE', ARGV[3] .. now, 600) end
return ARGV[2])";

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

timeval time_of(std::chrono::milliseconds duration) {
  return {.tv_sec = static_cast<time_t>(duration.count() / 1000), .tv_usec = static_cast<suseconds_t>(duration.count() % 1000 * 1000)};
}

}  // namespace

/// Owns what hiredis made; empty after a failure.
struct WordLink::Reply {
  struct Free {
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
  };
  std::unique_ptr<redisReply, Free> reply;
  explicit operator bool() const { return reply != nullptr; }
  bool nil() const { return reply->type == REDIS_REPLY_NIL; }
  std::string_view text() const { return {reply->str, reply->len}; }
};

std::unique_ptr<WordLink> WordLink::open(const RedisOptions& options, std::chrono::milliseconds deadline, std::string* error) {
  redisContext* context = options.unix_socket.empty() ? redisConnectWithTimeout(options.host.c_str(), options.port, time_of(deadline))
                                                      : redisConnectUnixWithTimeout(options.unix_socket.c_str(), time_of(deadline));
  if (context == nullptr || context->err != 0) {
    *error = context == nullptr ? "out of memory" : context->errstr;
    if (context != nullptr) redisFree(context);
    return nullptr;
  }
  redisSetTimeout(context, time_of(deadline));
  std::unique_ptr<WordLink> link(new WordLink(context));
  bool good = true;
  if (!options.username.empty()) good = good && link->command({"AUTH", options.username, options.password});
  else if (!options.password.empty()) good = good && link->command({"AUTH", options.password});
  if (options.database != 0) good = good && link->command({"SELECT", std::to_string(options.database)});
  // A stopped Redis accepts connections all the same: only an answer counts.
  good = good && link->command({"PING"});
  if (!good) {
    *error = link->error_;
    return nullptr;
  }
  if (const auto info = link->command({"INFO", "server"})) link->server_ = run_of(info.text());
  if (context->err != 0) {
    *error = link->error_;
    return nullptr;
  }
  link->error_.clear();  // it may not be allowed to ask
  return link;
}

WordLink::~WordLink() { redisFree(context_); }

void WordLink::set_deadline(std::chrono::milliseconds deadline) { redisSetTimeout(context_, time_of(deadline)); }

bool WordLink::append(const std::vector<std::string>& words) {
  std::vector<const char*> parts;
  std::vector<std::size_t> lengths;
  for (const auto& word : words) {
    parts.push_back(word.data());
    lengths.push_back(word.size());
  }
  return redisAppendCommandArgv(context_, static_cast<int>(parts.size()), parts.data(), lengths.data()) == REDIS_OK;
}

WordLink::Reply WordLink::next() {
  void* raw = nullptr;
  if (redisGetReply(context_, &raw) != REDIS_OK) {
    error_ = context_->errstr;
    return {};
  }
  Reply reply{std::unique_ptr<redisReply, Reply::Free>(static_cast<redisReply*>(raw))};
  if (reply.reply->type == REDIS_REPLY_ERROR) {
    error_ = reply.text();
    return {};
  }
  return reply;
}

WordLink::Reply WordLink::command(const std::vector<std::string>& words) {
  if (!append(words)) return {};
  return next();
}

std::optional<std::uint64_t> WordLink::generation(const WordKeys& keys) {
  const auto reply = command({"GET", keys.generation});
  if (!reply) return std::nullopt;
  return reply.nil() ? 0 : number(reply.text());
}

std::optional<std::uint64_t> WordLink::renew(const WordKeys& keys, std::uint64_t expected, std::uint64_t fresh, const std::vector<int>& vanished) {
  std::vector<std::string> words{"EVAL", renew_script, std::to_string(2 + vanished.size()), keys.generation, keys.words(fresh)};
  for (const int pid : vanished) words.push_back(keys.farewell(pid));
  words.insert(words.end(), {std::to_string(expected), std::to_string(fresh), keys.prefix + "words:"});
  const auto reply = command(words);
  if (!reply) return std::nullopt;
  return number(reply.text());
}

std::optional<std::vector<WordReply>> WordLink::apply(const WordKeys& keys, std::uint64_t generation, const std::vector<const WordChange*>& changes) {
  for (const WordChange* change : changes) {
    std::vector<std::string> words;
    if (change->kind == WordChange::Kind::mark)
      words = {"EVAL", mark_script, "2", keys.generation, keys.words(generation), std::to_string(generation), std::to_string(change->delta), change->picture};
    else
      words = {"EVAL", done_script, "1", keys.words(generation), std::to_string(change->delta), change->picture, change->expected, change->otherwise};
    words.insert(words.end(), change->fields.begin(), change->fields.end());
    if (!append(words)) return std::nullopt;
  }
  std::vector<WordReply> replies;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const auto reply = next();
    if (!reply) return std::nullopt;
    replies.push_back({!reply.nil(), reply.nil() ? 0 : number(reply.text())});
  }
  return replies;
}

std::optional<std::uint64_t> WordLink::word(const WordKeys& keys, std::uint64_t generation, const std::string& field) {
  const auto reply = command({"HGET", keys.words(generation), field});
  if (!reply) return std::nullopt;
  return reply.nil() ? 0 : number(reply.text());
}

bool WordLink::say_farewell(const WordKeys& keys, int server_pid) {
  return static_cast<bool>(command({"SET", keys.farewell(server_pid), "1", "EX", "60"}));
}

}  // namespace pgsteer::cache
