// One link to Redis for one event loop.
//
//   idle ─connect─> connecting ─> greeting (AUTH, SELECT, PING) ─> ready
//     ^______________back-off___________|____________________________|
//
// Every command carries a Cell on the heap, taken back by the one callback that hiredis promises for it: with the reply,
// or with none when the context dies. `context->data` points at the link; a dropped context has null there, so its late
// callbacks touch nothing but their own operation.
#include "cache/stores/redis.hpp"

#include <hiredis/async.h>
#include <netinet/tcp.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <span>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "cache/stores/breaker.hpp"
#include "cache/stores/hiredis_asio.hpp"

namespace pgsteer::cache {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using boost::system::error_code;

constexpr std::chrono::milliseconds first_back_off{50}, longest_back_off{2000}, connect_deadline{1000};
constexpr std::chrono::milliseconds default_ttl = std::chrono::hours(24);
constexpr std::size_t max_pending_bytes = 64u << 20;  ///< of values on their way to Redis

/// One look-up: the timer is both its deadline and what wakes its coroutine.
struct Lookup {
  enum class Outcome : unsigned char { waiting, found, absent, wrong_type, failed };
  Lookup(const asio::any_io_executor& executor, std::chrono::microseconds deadline) : timer(executor, deadline) {}
  asio::steady_timer timer;
  Outcome outcome = Outcome::waiting;
  std::string value;
  RedisStore::Words words;  ///< of a look-up in parts
};

/// What a reply belongs to. The last one of a look-up ends it.
enum class Part : unsigned char { whole, generation, words, value };

struct Cell {
  std::shared_ptr<Lookup> lookup;  ///< null for a write
  std::size_t bytes = 0;
  Part part = Part::whole;
  bool last = true;
};

std::string_view text_of(const redisReply& reply) { return {reply.str, reply.len}; }

/// hiredis writes with write(2): a peer that is gone would end the process by SIGPIPE.
void ignore_sigpipe() {
  struct sigaction current {};
  if (sigaction(SIGPIPE, nullptr, &current) == 0 && current.sa_handler == SIG_DFL) ::signal(SIGPIPE, SIG_IGN);
}

class Link final : public RedisStore {
 public:
  Link(asio::io_context& loop, RedisOptions options)
      : executor_(loop.get_executor()),
        options_(std::move(options)),
        breaker_(options_.breaker_failures, options_.breaker_open),
        timer_(executor_),
        resolver_(executor_) {}
  ~Link() override { drop(); }

  void connect();
  asio::awaitable<std::optional<std::string>> get(std::string key) override {
    return look_up(std::static_pointer_cast<Link>(shared_from_this()), std::move(key));
  }
  asio::awaitable<std::optional<Words>> words(std::string generation_key, std::string words_key, std::vector<std::string> fields,
                                              std::string value_key) override {
    return look_up_words(std::static_pointer_cast<Link>(shared_from_this()), std::move(generation_key), std::move(words_key), std::move(fields),
                         std::move(value_key));
  }
  void set(std::string key, std::string value, std::chrono::milliseconds ttl) override;
  void erase(std::string key) override;
  BreakerState breaker() const override { return breaker_.state(); }
  bool connected() const override { return phase_ == Phase::ready; }
  std::uint64_t server() const override { return server_; }
  void shutdown() override;
  Counters counters() const override {
    Counters all = counters_;
    all.breaker_opened = breaker_.times_opened();
    return all;
  }
  std::string last_error() const override { return last_error_; }

 private:
  enum class Phase : unsigned char { idle, connecting, greeting, ready, stopped };

  static asio::awaitable<std::optional<std::string>> look_up(std::shared_ptr<Link> self, std::string key);
  static asio::awaitable<std::optional<Words>> look_up_words(std::shared_ptr<Link> self, std::string generation_key, std::string words_key,
                                                             std::vector<std::string> fields, std::string value_key);
  Breaker::Pass admit();
  bool sent(bool good, Breaker::Pass pass);
  std::optional<std::string> conclude(Lookup& lookup, Breaker::Pass pass, bool cancelled);

  void open(const std::string& address);
  void greet();
  void drop();
  void retry_later();
  void fail(std::string_view why);
  void after(std::chrono::milliseconds delay, void (Link::*action)());
  void give_up_connecting();
  bool has_room(std::size_t bytes) const;
  bool send(std::span<const std::string_view> words, Cell cell);
  bool write(std::initializer_list<std::string_view> words, std::size_t bytes);

  static Link* link_of(const redisAsyncContext* context) { return static_cast<Link*>(context->data); }
  static void on_connect(const redisAsyncContext* context, int status);
  static void on_disconnect(const redisAsyncContext* context, int status);
  static void on_greeting(redisAsyncContext* context, void* reply, void* last);
  static void on_info(redisAsyncContext* context, void* reply, void* unused);
  static void on_reply(redisAsyncContext* context, void* reply, void* cell);
  void settle(const redisReply* reply, const Cell& cell);

  asio::any_io_executor executor_;
  const RedisOptions options_;
  Breaker breaker_;
  asio::steady_timer timer_;  ///< back-off while idle, deadline while connecting
  asio::ip::tcp::resolver resolver_;
  redisAsyncContext* context_ = nullptr;  ///< owned by hiredis; null once it is free or dropped
  Phase phase_ = Phase::idle;
  std::uint64_t server_ = 0;  ///< of this connection
  std::uint64_t armed_ = 0;  ///< number of the timer's current purpose: an expired wait may already be queued
  std::chrono::milliseconds back_off_ = first_back_off;
  std::size_t pending_ = 0, pending_bytes_ = 0;
  Counters counters_;
  std::string last_error_;
};

// ---- connecting

void Link::after(std::chrono::milliseconds delay, void (Link::*action)()) {
  timer_.expires_after(delay);
  timer_.async_wait([weak = weak_from_this(), action, number = ++armed_](const error_code& error) {
    const auto self = std::static_pointer_cast<Link>(weak.lock());
    if (!error && self && self->armed_ == number && self->phase_ != Phase::stopped) (self.get()->*action)();
  });
}

void Link::connect() {
  if (phase_ != Phase::idle) return;
  phase_ = Phase::connecting;
  after(connect_deadline, &Link::give_up_connecting);
  error_code not_an_address;
  asio::ip::make_address(options_.host, not_an_address);
  if (!options_.unix_socket.empty() || !not_an_address) return open(options_.host);
  // hiredis would look the name up with the loop standing still.
  resolver_.async_resolve(options_.host, std::to_string(options_.port),
                          [weak = weak_from_this(), number = armed_](const error_code& error, const auto& found) {
                            const auto self = std::static_pointer_cast<Link>(weak.lock());
                            if (!self || self->armed_ != number || self->phase_ != Phase::connecting) return;
                            if (error) return self->fail(error.message());
                            self->open(found.begin()->endpoint().address().to_string());
                          });
}

void Link::open(const std::string& address) {
  redisAsyncContext* context = options_.unix_socket.empty() ? redisAsyncConnect(address.c_str(), options_.port)
                                                            : redisAsyncConnectUnix(options_.unix_socket.c_str());
  if (context == nullptr) return fail("out of memory");
  if (context->err != 0) {
    const std::string why = context->errstr;
    redisAsyncFree(context);
    return fail(why);
  }
  context_ = context;
  context->data = this;
  attach(context, executor_);
  redisAsyncSetDisconnectCallback(context, on_disconnect);
  redisAsyncSetConnectCallback(context, on_connect);  // arms the first wait
}

void Link::on_connect(const redisAsyncContext* context, int status) {
  Link* link = link_of(context);
  if (link == nullptr) return;
  if (status != REDIS_OK) {
    link->context_ = nullptr;  // hiredis frees it when this returns
    link->fail(context->errstr != nullptr ? context->errstr : "connection refused");
    return;
  }
  if (link->options_.unix_socket.empty()) {
    const int on = 1;
    ::setsockopt(context->c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  link->greet();
}

void Link::greet() {
  phase_ = Phase::greeting;
  const auto say = [this](std::initializer_list<std::string_view> words, bool last) {
    std::vector<const char*> parts;
    std::vector<std::size_t> lengths;
    for (const auto word : words) {
      parts.push_back(word.data());
      lengths.push_back(word.size());
    }
    redisAsyncCommandArgv(context_, on_greeting, last ? this : nullptr, static_cast<int>(parts.size()), parts.data(),
                          lengths.data());
  };
  if (!options_.username.empty())
    say({"AUTH", options_.username, options_.password}, false);
  else if (!options_.password.empty())
    say({"AUTH", options_.password}, false);
  if (options_.database != 0) say({"SELECT", std::to_string(options_.database)}, false);
  server_ = 0;
  redisAsyncCommand(context_, on_info, nullptr, "INFO server");
  // A stopped Redis accepts connections all the same: only an answer makes the link ready.
  say({"PING"}, true);
}

void Link::on_info(redisAsyncContext* context, void* raw, void*) {
  Link* link = link_of(context);
  const auto* reply = static_cast<const redisReply*>(raw);
  if (link != nullptr && reply != nullptr && reply->type == REDIS_REPLY_STRING) link->server_ = run_of(text_of(*reply));
}

void Link::on_greeting(redisAsyncContext* context, void* raw, void* last) {
  Link* link = link_of(context);
  const auto* reply = static_cast<const redisReply*>(raw);
  if (link == nullptr || reply == nullptr) return;  // on_disconnect follows
  if (reply->type == REDIS_REPLY_ERROR) {
    const std::string why(text_of(*reply));
    link->drop();
    link->fail(why);
  } else if (last != nullptr) {
    link->phase_ = Phase::ready;
    link->back_off_ = first_back_off;
    ++link->armed_;
    link->timer_.cancel();
  }
}

void Link::give_up_connecting() {
  drop();
  fail("no answer to the greeting in time");
}

void Link::on_disconnect(const redisAsyncContext* context, int) {
  Link* link = link_of(context);
  if (link == nullptr) return;
  link->context_ = nullptr;
  link->pending_ = link->pending_bytes_ = 0;
  link->fail(context->errstr != nullptr && *context->errstr != '\0' ? context->errstr : "connection closed");
}

void Link::drop() {
  pending_ = pending_bytes_ = 0;
  if (redisAsyncContext* context = std::exchange(context_, nullptr)) {
    context->data = nullptr;
    redisAsyncFree(context);  // runs the pending callbacks without a reply
  }
}

void Link::fail(std::string_view why) {
  last_error_ = why;
  ++counters_.errors;
  retry_later();
}

void Link::retry_later() {
  if (phase_ == Phase::stopped) return;
  phase_ = Phase::idle;
  after(back_off_, &Link::connect);
  back_off_ = std::min(back_off_ * 2, longest_back_off);
}

void Link::shutdown() {
  phase_ = Phase::stopped;
  ++armed_;
  timer_.cancel();
  resolver_.cancel();
  drop();
}

// ---- commands

bool Link::has_room(std::size_t bytes) const {
  return phase_ == Phase::ready && pending_ < options_.max_pending && pending_bytes_ + bytes <= max_pending_bytes;
}

bool Link::send(std::span<const std::string_view> words, Cell what) {
  std::vector<const char*> parts;
  std::vector<std::size_t> lengths;
  for (const auto word : words) {
    parts.push_back(word.data());
    lengths.push_back(word.size());
  }
  const std::size_t bytes = what.bytes;
  auto cell = std::make_unique<Cell>(std::move(what));
  if (redisAsyncCommandArgv(context_, on_reply, cell.get(), static_cast<int>(parts.size()), parts.data(), lengths.data()) != REDIS_OK) return false;
  (void)cell.release();  // hiredis holds it now; on_reply takes it back
  ++pending_;
  pending_bytes_ += bytes;
  return true;
}

void Link::on_reply(redisAsyncContext* context, void* raw, void* owned) {
  const std::unique_ptr<Cell> cell(static_cast<Cell*>(owned));
  const auto* reply = static_cast<const redisReply*>(raw);
  if (Link* link = link_of(context)) {
    link->pending_ -= std::min<std::size_t>(link->pending_, 1);
    link->pending_bytes_ -= std::min(link->pending_bytes_, cell->bytes);
    link->settle(reply, *cell);
  } else if (cell->lookup) {
    cell->lookup->outcome = Lookup::Outcome::failed;
  }
  if (cell->lookup && (cell->last || cell->lookup->outcome == Lookup::Outcome::failed)) cell->lookup->timer.cancel();
}

void Link::settle(const redisReply* reply, const Cell& cell) {
  Lookup* const lookup = cell.lookup.get();
  using Outcome = Lookup::Outcome;
  Outcome outcome = Outcome::absent;
  if (reply == nullptr) {
    outcome = Outcome::failed;
  } else if (reply->type == REDIS_REPLY_ERROR) {
    last_error_ = text_of(*reply);
    outcome = last_error_.starts_with("WRONGTYPE") ? Outcome::wrong_type : Outcome::failed;
  } else if (reply->type == REDIS_REPLY_STRING) {
    outcome = Outcome::found;
  } else if (reply->type == REDIS_REPLY_ARRAY) {
    outcome = Outcome::found;
  }
  if (outcome == Outcome::failed || outcome == Outcome::wrong_type) ++counters_.errors;
  if (lookup == nullptr) return;
  if (cell.part == Part::whole) {
    lookup->outcome = outcome;
    if (outcome == Outcome::found && reply->type == REDIS_REPLY_STRING) lookup->value.assign(reply->str, reply->len);
    return;
  }
  // A value of a wrong type is no value; without the words there is no answer.
  if (outcome == Outcome::failed || (outcome == Outcome::wrong_type && cell.part != Part::value)) lookup->outcome = Outcome::failed;
  if (lookup->outcome == Outcome::failed) return;
  if (cell.last) lookup->outcome = Outcome::found;
  if (outcome != Outcome::found) return;
  if (cell.part == Part::generation) lookup->words.generation.assign(reply->str, reply->len);
  if (cell.part == Part::value) lookup->words.value.emplace(reply->str, reply->len);
  if (cell.part == Part::words && reply->type == REDIS_REPLY_ARRAY) {
    for (std::size_t i = 0; i < reply->elements; ++i)
      lookup->words.words.emplace_back(reply->element[i]->type == REDIS_REPLY_STRING ? text_of(*reply->element[i]) : std::string_view());
  }
}

/// Whether a look-up may be sent.
Breaker::Pass Link::admit() {
  ++counters_.gets;
  // Room first: a probe that the breaker grants must be sent.
  const auto pass = has_room(0) ? breaker_.ask(Clock::now()) : Breaker::Pass::no;
  if (pass == Breaker::Pass::no) ++counters_.refused;
  return pass;
}

bool Link::sent(bool good, Breaker::Pass pass) {
  if (good) return true;
  breaker_.failure(pass, Clock::now());
  ++counters_.errors;
  return false;
}

asio::awaitable<std::optional<std::string>> Link::look_up(std::shared_ptr<Link> self, std::string key) {
  const auto pass = self->admit();
  if (pass == Breaker::Pass::no) co_return std::nullopt;
  const auto lookup = std::make_shared<Lookup>(self->executor_, self->options_.deadline);
  if (!self->sent(self->send(std::array<std::string_view, 2>{"GET", key}, {lookup}), pass)) co_return std::nullopt;
  const auto [error] = co_await lookup->timer.async_wait(asio::as_tuple(asio::use_awaitable));
  co_return self->conclude(*lookup, pass, static_cast<bool>(error));
}

asio::awaitable<std::optional<RedisStore::Words>> Link::look_up_words(std::shared_ptr<Link> self, std::string generation_key, std::string words_key,
                                                                      std::vector<std::string> fields, std::string value_key) {
  const auto pass = self->admit();
  if (pass == Breaker::Pass::no) co_return std::nullopt;
  const auto lookup = std::make_shared<Lookup>(self->executor_, self->options_.deadline);
  std::vector<std::string_view> many{"HMGET", words_key};
  many.insert(many.end(), fields.begin(), fields.end());
  const bool with_value = !value_key.empty();
  bool good = self->send(std::array<std::string_view, 2>{"GET", generation_key}, {lookup, 0, Part::generation, false});
  good = good && self->send(many, {lookup, 0, Part::words, !with_value});
  if (with_value) good = good && self->send(std::array<std::string_view, 2>{"GET", value_key}, {lookup, 0, Part::value, true});
  if (!self->sent(good, pass)) co_return std::nullopt;
  const auto [error] = co_await lookup->timer.async_wait(asio::as_tuple(asio::use_awaitable));
  const bool whole = lookup->outcome == Lookup::Outcome::found && lookup->words.words.size() == fields.size();
  self->conclude(*lookup, pass, static_cast<bool>(error));
  if (!whole) co_return std::nullopt;
  co_return std::move(lookup->words);
}

std::optional<std::string> Link::conclude(Lookup& lookup, Breaker::Pass pass, bool cancelled) {
  switch (lookup.outcome) {
    case Lookup::Outcome::found:
      ++counters_.hits;
      breaker_.success(pass);
      return std::move(lookup.value);
    case Lookup::Outcome::absent:
    case Lookup::Outcome::wrong_type:  // not our value, but a Redis in good health
      breaker_.success(pass);
      return std::nullopt;
    case Lookup::Outcome::failed:
      breaker_.failure(pass, Clock::now());
      return std::nullopt;
    case Lookup::Outcome::waiting: break;
  }
  // The caller's own cancellation says nothing about Redis, but a probe must end one way or the other.
  if (cancelled && pass != Breaker::Pass::probe) return std::nullopt;
  if (!cancelled) ++counters_.deadlines;
  breaker_.failure(pass, Clock::now());
  if (pass == Breaker::Pass::probe && phase_ == Phase::ready) {
    // Whatever the old connection still owes us would only delay the next probe.
    drop();
    fail("no answer in time");
  }
  return std::nullopt;
}

bool Link::write(std::initializer_list<std::string_view> words, std::size_t bytes) {
  if (has_room(bytes) && breaker_.state() == BreakerState::closed && send({words.begin(), words.size()}, {nullptr, bytes})) return true;
  ++counters_.refused;
  return false;
}

void Link::set(std::string key, std::string value, std::chrono::milliseconds ttl) {
  if (ttl.count() < 0) return;  // over before it began
  const std::string milliseconds = std::to_string((ttl.count() == 0 ? default_ttl : ttl).count());
  if (write({"SET", key, value, "PX", milliseconds}, value.size())) ++counters_.sets;
}

void Link::erase(std::string key) { write({"DEL", key}, 0); }

}  // namespace

std::uint64_t run_of(std::string_view info) {
  const auto at = info.find("run_id:");
  if (at == info.npos) return 0;
  return std::hash<std::string_view>{}(info.substr(at, info.find_first_of("\r\n", at) - at)) | 1;
}

std::shared_ptr<RedisStore> RedisStore::create(asio::io_context& loop, RedisOptions options) {
  ignore_sigpipe();
  auto link = std::make_shared<Link>(loop, std::move(options));
  link->connect();
  return link;
}

}  // namespace pgsteer::cache
