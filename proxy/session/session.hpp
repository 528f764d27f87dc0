#pragma once
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/cache.hpp"
#include "cache/flights.hpp"
#include "cache/ledger.hpp"
#include "protocol/reply_tracker.hpp"
#include "protocol/startup.hpp"
#include "protocol/wire.hpp"
#include "proxy/execution.hpp"
#include "proxy/hosts/hosts.hpp"
#include "proxy/lanes.hpp"
#include "proxy/pool/pools.hpp"
#include "proxy/session/by_name.hpp"
#include "proxy/session/outbox.hpp"
#include "proxy/session/write_tracker.hpp"
#include "proxy/stream.hpp"
#include "proxy/worker.hpp"

namespace pgsteer::proxy {

/// An answer being copied on its way to the client, to be stored when it turns out whole and fresh.
struct Fill {
  cache::Key key;
  std::shared_ptr<cache::Entry> entry;
  std::size_t max_bytes = 0;
  cache::Flights::Lead lead;  ///< others may be waiting for it
  bool spoiled = false;       ///< too large, a notice, an error: the copy is dropped
  bool too_large = false;
  void spoil();
};

/// Counts a statement as being at the server for as long as it lives.
class InFlight {
 public:
  InFlight() = default;
  explicit InFlight(int& count) : count_(&count) { ++count; }
  ~InFlight() { end(); }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(InFlight&& other) noexcept {
    std::swap(count_, other.count_);
    return *this;
  }
  void end() {
    if (count_) --*std::exchange(count_, nullptr);
  }

 private:
  int* count_ = nullptr;
};

/// What a changed statement runs behind inside the client's transaction block, so that it can be tried and taken back.
inline constexpr std::string_view kSavepoint = "_pgsteer_";

struct Prepared;
struct ServerRefusal;

/// What a plan made for this session depends on besides its text and parameter types.
struct PlanStamp {
  std::uint64_t snapshot = 0, facts = 0;
  char transaction = 0;
  bool settings_uncertain = false, temporary_objects = false, catalog_uncertain = false,
       objects_uncertain = false;
  std::optional<policies::Mode> mode;
  bool operator==(const PlanStamp&) const = default;
};

/// One execution under way.
struct Exec : Counted {
  std::shared_ptr<Prepared> prepared;  ///< what a held group bound
  InFlight in_flight;
  LanePlace place;                   ///< given back when the statement has ended
  std::shared_ptr<const Plan> plan;  ///< null when the statement could not be looked at
  Execution execution;
  std::unique_ptr<Fill> fill;
  int hidden_completes = 0;      ///< CommandCompletes of our own SAVEPOINT and SET LOCAL prefix, still to be swallowed
  bool savepoint = false;        ///< runs behind one of ours, inside the client's transaction block
  std::uint64_t patience_ns = 0; ///< at the server; then the server ends it, and the original is sent
  bool answered = false;         ///< its CommandComplete was seen: what follows in the same string is ours
  int position_shift = 0;        ///< characters we put before the text; < 0: positions mean nothing to the client
  bool reported = false;
  // A changed statement that the server refuses before any row is sent again as it came (DESIGN.md 6):
  bool fallback_armed = false, fallback_due = false;
  std::uint64_t catalog_epoch = 0;  ///< that its rewrite was proved under
  bool on_standby = false;          ///< what fails there before any row is asked of the primary, as if it had not been
  bool distrusted = false;          ///< DDL came in between: the answer is thrown away and the original sent
  std::shared_ptr<Repeated> repeated;  ///< its text comes again and again without being prepared,
  bool reused = false;                 ///< and is run by a prepared statement of ours
  std::string held_back;         ///< replies kept from the client until it is clear that no fallback is needed
  std::string original;          ///< bytes to send then
  std::vector<protocol::Request> original_requests;

  /// The values of its Bind, raw, where its text is kept.
  void called_with(const std::vector<std::uint32_t>& types, std::string_view values) {
    if (execution.text.empty()) return;
    execution.parameter_types = types;
    execution.bind = values;
  }
};

long patience_of(const Plan& plan);

/// A server-side prepared statement as the client knows it.
struct Prepared {
  std::string name, text;
  std::vector<std::uint32_t> parameter_types;
  std::shared_ptr<const Plan> plan;
  PlanStamp stamp;  ///< when `plan` was made
  std::uint64_t number = 0;        ///< in the order in which the client has prepared them
  std::uint64_t parsed_epoch = 0;  ///< Hub::catalog_epoch when it was parsed: DDL since then shows
  std::uint64_t catalog_version = 0;  ///< under which the server was last seen to run it: its columns may change with DDL
  std::string unsent;  ///< the Parse message, while only the cache has answered: the server has not seen it
  bool local = false;  ///< EXPLAIN (PGSTEER): answered here
  StatementPtr statement;  ///< transaction pooling: what the servers know it as
  bool unkept = false;     ///< too large to be prepared again elsewhere
  bool noisy = false;    ///< a notice was raised when it was parsed: whoever sends its text anew is told again
  bool dropped = false;  ///< closed, or destroyed by a simple query, before its ParseComplete arrived
};

struct Portal {
  std::shared_ptr<Prepared> statement;
  std::string parameters = {};  ///< raw, of a SELECT, which the background may run again, or of a write of one key
  std::uint64_t bound_in = 0;  ///< serial of its Unit: an Execute in front of the same Sync is of these parameters: had the Bind failed it would be skipped
};

/// How a client came here, and which servers it may use.
struct Lending {
  std::shared_ptr<Pool> pool;  ///< null: auth.mode = relay, the server given to the session is its own
  PoolMode mode = PoolMode::session;
};

/// One client and its server connection, its own or lent for a transaction (pooled.cpp), on one thread. Called back when one of them can be read or
/// written; what can be done at once is done in the call, what takes waiting in a coroutine, one at a time. Everything that is not understood is
/// relayed byte for byte. Kept alive by its worker until it is finished.
///
/// Files: session.cpp (life, loops, buffers), client_messages.cpp (client -> server), planning.cpp, simple_query.cpp,
/// prepared.cpp (the extended protocol), held_group.cpp (one execution of it as a unit), reuse.cpp (what repeats unprepared), server_messages.cpp (server ->
/// client), caching.cpp (look-up and fill), admission.cpp (lanes and limits), routing.cpp (reading from standbys),
/// reporting.cpp (what is counted and learned).
class Session final : public std::enable_shared_from_this<Session>, private Watcher {
 public:
  /// Without a pool: `server` is connected, and the startup packet its first bytes. With one: the client is authenticated.
  Session(Worker& worker, Stream client, std::unique_ptr<ServerConnection> server, Lending lending,
          protocol::Startup startup, std::string startup_packet, std::string client_address);
  ~Session();

  /// Runs both directions until either side ends.
  void start();
  void outlive();  ///< one that failed: whether its server is done; now and then while worker.failed_sessions is not 0
  void close(bool with_fatal_error);  ///< from the worker's thread: KILL, shutdown
  Awaitable<void> cancel();              ///< of what is under way, by the client's key
  void check_timeouts(Clock::time_point now);  ///< every 50 ms or so, from the worker's thread
  bool idle() const { return ready_ && tracker_.empty() && status_ == 'I'; }
  /// Nothing is under way at a server, and nothing can begin while PAUSE holds.
  bool resting() const { return pooled() && !server_ ? true : idle() && !client_busy_ && (!pooled() || !pin_.empty()); }
  bool holds_pooled_server() const { return server_ && lending_.pool; }
  void look_again() { notify(); }  ///< PAUSE is over
  void host_changed();  ///< a host is not any more what sessions want: who cannot change servers unseen ends as soon as nothing is under way
  std::uint64_t id() const { return info_.id; }
  void cancel_in_line(int server_pid, std::uint32_t key);  ///< a CancelRequest: only what waits here is ours to end

 private:
  /// What a request of ours is for.
  enum class Purpose : unsigned char { none, settings, replay, residue, plan };
  /// Is none where it was moved from.
  class Purposed {
   public:
    Purposed(Purpose purpose = Purpose::none) : purpose_(purpose) {}
    Purposed(const Purposed&) = default;
    Purposed& operator=(const Purposed&) = default;
    Purposed(Purposed&& other) noexcept : purpose_(std::exchange(other.purpose_, Purpose::none)) {}
    Purposed& operator=(Purposed&& other) noexcept {
      purpose_ = std::exchange(other.purpose_, Purpose::none);
      return *this;
    }
    operator Purpose() const { return purpose_; }

   private:
    Purpose purpose_;
  };
  struct Context {
    Ref<Exec> exec;
    Ref<Unit> unit;          ///< on query and sync: what ends with its ReadyForQuery
    std::shared_ptr<Prepared> prepared;  ///< on parse: known from ParseComplete on
    StatementPtr statement = nullptr;    ///< on parse: under the name that pooled servers know it by
    Purposed purpose{};
  };
  using Tracker = protocol::ReplyTracker<Context>;
  /// One call as it can be explained: its text, and with the extended protocol its types and the values of its Bind, raw.
  struct Called {
    std::string_view text;
    std::span<const std::uint32_t> types = {};
    std::string_view values = {};
    bool extended = false;
  };
  struct Held {
    std::string raw;
    std::vector<protocol::Request> requests;
    std::shared_ptr<Prepared> parse;      ///< a Parse is part of the group
    std::shared_ptr<Prepared> statement;  ///< what is bound
    std::string bind;                     ///< whole Bind message
    std::shared_ptr<Repeated> repeated;   ///< its text, if that may be reused
    bool describe = false, execute = false;
    bool active() const { return !requests.empty(); }
  };

  // --- session.cpp ---
  void begin();                          ///< start(), unguarded
  void on_ready(Stream& stream, bool writable) override;
  void client_readable();
  void client_writable();
  void server_readable();
  void server_writable();
  void after_client_bytes();
  void read_on();
  void client_ended(bool orderly);
  void server_ended();
  bool client_waits() const;
  void let_speak();
  void call_back(bool for_server);
  bool held_by_pause() const;
  void wait_with_client_bytes();
  void serve_slowly(Awaitable<void> step);
  Awaitable<void> served(std::shared_ptr<Session> self, Awaitable<void> step);
  Awaitable<void> finish_client_bytes();
  std::size_t spare_capacity() const;
  bool write_to_client();
  bool write_to_server();
  void push_to_client();
  void mark_granted();
  void push_to_server();
  Awaitable<void> drain_to_client();
  Awaitable<void> drain_to_server();
  Awaitable<void> quiet();               ///< until no request is in flight
  Awaitable<bool> our_turn();            ///< quiet; false when a server would not answer here (it skips to Sync)
  Awaitable<void> login_gate();          ///< until the server waits for the client to speak
  void start_login_deadline();
  bool marked() const;                   ///< a marked write may still commit
  void client_lost();
  void notify() { event_.cancel(); }     ///< whatever waits here looks again
  void lose_tracking(const char* why);   ///< from here on: bytes only
  void marked_again();                   ///< what was forwarded unknown to `words` is over
  void unmarked_work();                  ///< something was forwarded that `words` does not know of
  void fatal(const char* sqlstate, const std::string& message);
  void publish(const char* state) { info_.live_state->store(state, std::memory_order_relaxed); }
  void finish();

  // --- failure.cpp ---
  static Awaitable<void> guarded(std::shared_ptr<Session> self, Awaitable<void> loop);
  void failed(const char* why) noexcept;
  /// A step that the loop takes with a session: what it throws ends the session.
  template <class Step>
  void take_step(Step&& step) noexcept {
    try {
      step();
    } catch (const std::exception& failure) {
      failed(failure.what());
    }
  }
  bool over() const { return closing_ || failed_; }

  // --- pooled.cpp ---
  bool own_notification(std::string_view message);
  bool between_transactions() const;
  bool pooled() const { return lending_.mode == PoolMode::transaction; }
  Awaitable<void> greet();               ///< the login's end, as the server would say it
  std::vector<std::pair<std::string, std::string>> own_startup() const;
  enum class Obtained : unsigned char { server, refused, over };
  Awaitable<Obtained> obtain(Pool* from, ServerRefusal* refusal);
  Awaitable<bool> attach();              ///< false: no server is to be had; the client has been told, the message is done with
  Awaitable<void> wait_for_host();       ///< that is what upstream.url asks for: until it is worth another try
  bool attach_at_once();                 ///< the same without waiting; false: it takes attach()
  void stand_by();                       ///< in line for a server, which is all that the message at hand takes
  void stand_in_pool(std::shared_ptr<Pool> pool);
  void look_at_line();
  bool fits_as_it_is();
  bool take(std::unique_ptr<ServerConnection> server);  ///< false: it was dead
  void give_up_waiting();                ///< cancelled by the client: an error in the place of what it asked for
  Awaitable<bool> adopt();               ///< brings the server to this session's state
  void report_parameters();
  void settle();                         ///< between two messages: hands the server back if nothing ties it to us
  bool rested() const;                   ///< the server has answered all that it was asked; nothing of ours is half done
  bool lendable() const { return rested() && server_size_ == 0 && server_passing_ == 0; }  ///< nor of its own
  /// The server may be given to the next client as it is.
  bool returnable() const { return !failed_ && pooled() && server_ && lendable() && !residue_unknown_ && pin_.empty(); }
  void ask_residue();
  void on_residue();
  void pin(const std::string& reason);
  void note_residue(const Plan* plan);   ///< whether a statement may leave something behind
  void judge_residue(const Plan* plan);
  bool unclean() const;                  ///< another client has left what cannot be listed
  void leave_server();
  bool parameter_changed(std::string_view name, std::string_view value);  ///< true: news to the client

  // --- routing.cpp ---
  bool may_read_elsewhere(const Plan& plan) const;  ///< a policy sends it to a standby, as far as the plan can tell
  Hosts::Reading choose_host(const Plan& plan) const;
  Awaitable<bool> query_on_standby(std::shared_ptr<const Plan> plan, std::string_view message, Clock::time_point arrival);
  Awaitable<bool> held_on_standby(std::shared_ptr<const Plan> plan, std::string_view sync, Clock::time_point arrival);
  Awaitable<Obtained> attach_standby();
  const std::shared_ptr<Pool>& pool_for_reading(int host);
  void begin_reading(const Ref<Exec>& exec);
  Awaitable<bool> read_to_the_end(Ref<Exec> exec);
  void leave_standby();
  bool lost_standby();                   ///< its end is no news to the client: nothing of its answer was passed on
  void hand_back();
  void note_write(const Plan* plan);
  void note_written(const Unit& unit, char status);

  // --- pooled_statements.cpp ---
  void ensure_prepared(const std::shared_ptr<Prepared>& prepared);
  void forward_parse(const std::shared_ptr<Prepared>& prepared, std::string_view message);
  void forward_bind(const std::shared_ptr<Prepared>& prepared, std::string_view message);
  void forward_target(const std::shared_ptr<Prepared>& prepared, char type, std::string_view message);
  void statement_sent(const StatementPtr& statement);
  void forward_held(const Held& held);
  void prepare_own_name(std::string_view name, bool simple);
  void prepare_own_names(bool simple);
  void on_statement_names(const Plan& plan, std::string_view text, bool simple);  ///< EXECUTE, DEALLOCATE of what the protocol prepared

  // --- client_messages.cpp ---
  bool on_client_bytes();
  Awaitable<void> go_on_with_client_bytes();
  void client_bytes_done();
  bool pass_on();
  bool on_client_message(char type, std::string_view message);
  bool on_message(char type, std::string_view message);
  Awaitable<void> finish_client_message(char type, std::string_view message);
  Awaitable<void> break_up_held(char type, std::string_view message);
  /// What to forward in the place of its beginning; "": as it came.
  std::string on_large_client_message(char type, std::string_view beginning);
  void forward(std::string_view message) {
    const bool here = lending_bytes_ && message.data() >= client_buffer_.get() && message.data() < client_buffer_.get() + kBufferBytes;
    if (here) to_server_.lend(message);
    else to_server_ += message;
  }
  bool take_client_bytes();
  bool expect(protocol::Request kind, Context context, bool hidden = false) { return tracker_.expect(kind, hidden, std::move(context)); }
  bool expect(protocol::Request kind) { return tracker_.expect(kind, false); }

  // --- planning.cpp ---
  std::shared_ptr<const Plan> make_plan(std::string_view text, std::span<const std::uint32_t> types, bool extended);
  std::shared_ptr<const Plan> make_plan(const Called& called, const Circumstances& now);
  /// The plan of a statement that was not looked at: as it came, may write anything.
  std::shared_ptr<const Plan> opaque_plan(sql::WhyNot why_not = sql::WhyNot::too_long) const;
  static std::shared_ptr<const Plan> as_it_came(std::shared_ptr<const Plan> plan);
  const std::shared_ptr<const Plan>& refreshed_plan(Prepared& prepared);
  Ref<Exec> make_exec(std::shared_ptr<const Plan> plan, std::string_view text);
  cache::WriteSet writes_of(const Plan& plan) const;
  void track_writes(const Plan* plan, bool fresh, const cache::Call& call = {});
  PlanStamp stamp() const;
  bool catalog_moving() const;
  const sql::Catalog* catalog();    ///< of the session's database
  std::uint64_t picture();          ///< that it was read under
  void look_at_catalog();
  std::shared_ptr<const Plan> extended_plan(std::string_view text, std::span<const std::uint32_t> types,
                                            const PlanStamp& now);
  bool standard_strings();
  bool could_act(const Plan& plan) const;
  bool takes_waiting(const Plan& plan) const;  ///< in front of the server, the cache aside
  bool bytes_only() const { return !tracking_ || worker_.snapshot().panic; }
  bool undisturbed() const { return at_rest() && status_ == 'I'; }
  /// Nothing is under way and the server would run what it is sent: idle, or inside a transaction block that has not failed.
  bool at_rest() const { return tracker_.empty() && !tracker_.skipping() && status_ != 'E'; }
  bool in_block() const { return status_ == 'T'; }
  /// There is a server, in this session's state: what is forwarded goes there.
  bool attached() const { return server_ && (adopted_ || !lending_.pool); }

  // --- default_plan.cpp ---
  std::shared_ptr<const Plan> with_known_plan(std::shared_ptr<const Plan> plan, const Called& called);
  Awaitable<std::shared_ptr<const Plan>> with_asked_plan(std::shared_ptr<const Plan> plan, Called called);
  std::shared_ptr<const Plan> plan_again(const Called& called, std::shared_ptr<const predictor::PlanFacts> facts);
  void send_explain(const Called& called);

  // --- simple_query.cpp ---
  bool query_at_once(std::string_view message);
  struct Lookup;
  Awaitable<void> on_query(std::string_view message);
  void answer_query_from(const std::shared_ptr<const Plan>& plan, const Lookup& found, Clock::time_point arrival);
  Ref<Exec> run_query(std::shared_ptr<const Plan> plan, std::string_view message, Clock::time_point arrival,
                 std::unique_ptr<Fill> fill);
  void send_query(Ref<Exec> exec, std::string_view message);
  Awaitable<void> answer_locally(std::string_view text, bool simple);
  Awaitable<void> refresh_settings();

  // --- prepared.cpp ---
  std::shared_ptr<Prepared> read_statement(std::string_view message);
  void on_parse(std::string_view message);
  // False: it concerns a statement that is answered here, by answer_here().
  bool on_bind(std::string_view message);
  bool on_describe(std::string_view message);
  bool on_execute(std::string_view message);
  void execute_now(std::string_view message, Portal* portal);  ///< null: of no portal that is known
  bool on_close(std::string_view message);
  Awaitable<void> answer_here(char type, std::string_view message);
  void forget(const protocol::TargetMessage& target, const std::shared_ptr<Prepared>& statement);
  std::shared_ptr<Prepared> find_prepared(std::string_view name);
  std::shared_ptr<Prepared> target_statement(const protocol::TargetMessage& target);
  bool bound_as_today(const Prepared& prepared) const;
  void send_unsent(const std::shared_ptr<Prepared>& prepared);
  void forget_unnamed();                       ///< a simple query destroys the unnamed statement
  void drop_stale_unnamed(std::string_view name);
  static bool lists_statements(const Plan& plan, std::string_view text);
  void hide_own_statements(const Plan& plan, std::string_view text, bool simple);
  void forget_dropped_by(const Plan& plan, std::string_view text);

  // --- held_group.cpp ---
  bool worth_holding(const Plan& plan) const;
  bool try_hold(char type, std::string_view message);  ///< true: the message was taken into the group
  std::shared_ptr<const Plan> held_plan();
  void release_held();                                  ///< forward the group as it came
  bool held_gone(std::string_view sync);
  bool resolve_held_at_once(std::string_view sync);
  Awaitable<void> resolve_held(std::string_view sync);
  bool answer_held(const std::shared_ptr<const Plan>& plan, Lookup& found, Clock::time_point arrival);
  Ref<Exec> send_held(std::shared_ptr<const Plan> plan, std::unique_ptr<Fill> fill, Clock::time_point arrival, std::string_view sync);
  void forward_sync(std::string_view sync);
  void send_hidden(const Ref<Exec>& exec, std::string_view what);
  void send_held_changed(Ref<Exec> exec, std::string_view sync);
  void answer_held_from(const cache::Entry& entry);
  void prepare_behind(const std::shared_ptr<Prepared>& prepared);
  /// Server-side name of a statement of ours, prepared in front of its first use.
  std::string variant(const std::string& text, const std::vector<std::uint32_t>& types, Ref<Exec> exec);
  std::string prepared_here(const StatementPtr& statement, const Ref<Exec>& exec);

  // --- reuse.cpp ---
  std::shared_ptr<Repeated> repeated(const Plan& plan, std::string_view text, std::span<const std::uint32_t> types);
  bool reuse_turn(const std::shared_ptr<Repeated>& repeated, const Plan& plan);
  bool may_be_reused() const;
  bool run_held_reused(std::string_view sync);
  bool run_query_reused(const std::shared_ptr<Repeated>& repeated, std::shared_ptr<const Plan> plan, std::string_view text, Clock::time_point arrival);
  Ref<Exec> reused_exec(const std::shared_ptr<Repeated>& repeated, std::shared_ptr<const Plan> plan, const cache::Call& call);
  void on_bound(Exec& exec);
  void take_back_reuse(Exec& exec, std::string_view sqlstate);

  // --- caching.cpp ---
  struct Lookup {
    std::shared_ptr<const cache::Entry> entry;  ///< a hit
    std::unique_ptr<Fill> fill;                 ///< or leave to fill
    Source source = Source::server;
    std::optional<cache::Miss> miss = cache::Miss::absent;  ///< why neither is there, or only a leave; none: nothing was looked up
    bool old = false;                           ///< a hit that a write has overtaken
    bool cancelled = false;                     ///< while it waited: refusal_ says what the client gets
  };
  Awaitable<bool> feed_has_come();
  /// What is looked for: by which key, and which words its answer must have been read under.
  struct Sought {
    cache::Key key;
    std::vector<sql::Oid> read;
    std::uint64_t generation = 0;
  };
  std::optional<Sought> sought(const Plan& plan, std::string_view text, std::span<const std::uint32_t> types, std::string_view parameters, std::string_view formats);
  std::optional<Lookup> look_up_at_once(const Plan& plan, std::string_view text, std::span<const std::uint32_t> types, std::string_view parameters,
                                        std::string_view formats, bool need_description);
  Awaitable<Lookup> look_up(std::shared_ptr<const Plan> plan, std::string_view text,
                            std::span<const std::uint32_t> types, std::string_view parameters,
                            std::string_view formats, bool need_description);
  Lookup look_in_memory(const Plan& plan, const cache::Key& key, std::span<const sql::Oid> read, bool need_description);
  Awaitable<std::shared_ptr<const cache::Entry>> look_in_redis(cache::Key key, bool need_description);
  Awaitable<bool> other_fill(cache::Key key, Clock::time_point deadline);
  bool still_judged(const Plan& plan) const;
  bool worth_redis(const Plan& plan) const;
  bool worth_keeping(const Plan& plan, const cache::Key& key) const;
  void missed(const Plan& plan, const Lookup& result);
  bool may_be_old(const Plan& plan, const cache::Entry& entry) const;
  bool wants_refresh(const Plan& plan, const cache::Entry& entry, bool current);
  Awaitable<Lookup> look_up_shared(std::shared_ptr<const Plan> plan, cache::Key key, std::vector<sql::Oid> read, std::uint64_t generation,
                                   bool need_description);
  std::unique_ptr<Fill> leave_to_fill(const Plan& plan, cache::Key key, cache::Words::Tag tag) const;
  const std::string& session_key();
  void store(Exec& exec);
  void report_hit(const std::shared_ptr<const Plan>& plan, const Lookup& found, Clock::time_point arrival);

  // --- reporting.cpp ---
  void report(Exec& exec);
  void meter(const Exec& exec, std::uint64_t server_ns);
  void log_slow(const Exec& exec, std::uint64_t server_ns);

  // --- admission.cpp ---
  /// What a client is told whose statement may not go on.
  struct Refusal {
    std::shared_ptr<const Plan> plan;
    protocol::ErrorFields error;
  };
  struct Line {
    Lanes& lanes;
    const Lanes::Waiter& waiter;
    ~Line() { lanes.leave(waiter, false); }
  };
  bool restrained(const Plan& plan) const;
  Awaitable<bool> admit(std::shared_ptr<const Plan> plan, bool* waited);
  template <class Over>
  Awaitable<bool> stand_in_line(std::shared_ptr<const Plan> plan, std::shared_ptr<boost::asio::steady_timer> timer,
                                Clock::time_point deadline, Over over);
  bool exceeded(const Plan& plan, policies::ReasonCode reason, const char* limit, const std::string& what, bool* in_line);
  std::optional<std::chrono::nanoseconds> book_rates(const Plan& plan, bool may_wait);
  void refuse(const Plan& plan, policies::ReasonCode reason, const char* limit, protocol::ErrorFields error);
  void refuse_with(const Plan& plan, policies::ReasonCode reason, protocol::ErrorFields error);
  void refuse_cancelled(const Plan& plan);
  void refuse_query();
  void refuse_execute();
  Awaitable<void> on_restrained_execute(std::string_view message);
  Awaitable<void> release_restrained();
  Awaitable<void> refuse_held(std::string_view sync);
  void release_held_refused();

  // --- server_messages.cpp ---
  enum class Fate : unsigned char { relay, swallow };
  void on_server_bytes();
  Exec* plain_rows();
  Fate on_server_message(char type, std::string_view message, bool whole);
  Fate on_login_message(char type, std::string_view message);
  Fate on_reply(char type, std::string_view message, bool whole, const Tracker::Result& result);
  Fate on_notice(const Tracker::Expected& asked, std::string_view message, bool whole);
  Fate on_error(std::string_view message, bool whole, const Tracker::Result& result);
  Fate on_ready(char status, const Tracker::Result& result);
  void time_block(char status);
  void join_swallowed(Tracker::Result& result);
  void on_hidden(char type, std::string_view message, const Context& context);
  void on_finished(Exec& exec);
  void apply_settings(const Plan& plan);
  void forget_statements(const sql::Analysis& analysis);
  void doubt_settings();
  void doubt_objects();
  bool proof_void(const Exec& exec) const;
  bool out_of_patience(const Exec& exec, std::string_view sqlstate) const;
  void send_original(Exec& exec);
  void roll_back_to_savepoint(const Exec& failed);
  static std::uint64_t since(Clock::time_point start) { return between(start, Clock::now()); }
  static std::uint64_t between(Clock::time_point start, Clock::time_point end) { return end > start ? static_cast<std::uint64_t>(std::chrono::nanoseconds(end - start).count()) : 0; }
  /// When the loop told what is being dealt with: the clock is read once for each event.
  Clock::time_point now() const { return told_at_ == Clock::time_point() ? Clock::now() : told_at_; }

  Worker& worker_;
  Stream client_;
  std::unique_ptr<ServerConnection> server_;  ///< null between two transactions of a pooled session
  Lending lending_;
  protocol::Startup startup_;
  std::string startup_packet_;
  ClientInfo info_;
  sql::SessionFacts facts_;
  std::optional<policies::Mode> session_mode_;
  WriteTracker writes_;

  Tracker tracker_;
  bool ready_ = false;           ///< login is over
  bool login_answer_due_ = false;  ///< the server asked for a password or the like
  bool tracking_ = true;
  bool unmarked_ = false;        ///< counted in hub.unmarked_sessions
  cache::Words::Mark unmarked_mark_;  ///< in a group: that of everything, as long
  bool closing_ = false;
  bool failed_ = false;          ///< something was thrown
  bool leaving_ = false;         ///< Terminate was sent: the end of the connection is no news
  bool outdated_ = false;        ///< its host is not what is wanted any more
  bool client_slow_ = false;     ///< a coroutine is at what the client said last
  bool server_missing_ = false;  ///< on_client_bytes() has stopped for nothing else
  bool standing_by_ = false;     ///< no coroutine is at it, look_at_line() is
  bool client_silent_ = false;   ///< has said all it will
  bool server_dying_ = false;    ///< the one between two transactions has said so
  bool server_gone_ = false;     ///< only its last words are still to be delivered
  bool client_gone_ = false;     ///< only the fate of what is under way is still awaited
  char status_ = 'I';            ///< of the last ReadyForQuery
  bool server_known_ = false;    ///< asked for its start on this connection
  bool settings_changed_in_block_ = false;
  bool group_open_ = false;      ///< extended messages were forwarded since the last Sync
  bool unnamed_stale_ = false;   ///< the server still has an unnamed statement that the client's messages have destroyed
  bool touched_ = false;         ///< the transaction has run something: it may hold locks

  Ref<Unit> unit_;   ///< being filled by what the client sends now
  ByName<std::shared_ptr<Prepared>> prepared_;  ///< acknowledged by the server, or unsent
  ByName<std::shared_ptr<Prepared>> parsing_;   ///< Parse under way
  ByName<Portal> portals_;
  std::shared_ptr<Prepared> parse_at_hand_;      ///< read by try_hold(), for on_parse()
  Held held_;
  LanePlace place_;                              ///< of the statement about to be sent
  std::uint64_t queued_ns_ = 0;                  ///< and how long it stood in line
  std::unique_ptr<Refusal> refusal_;
  std::shared_ptr<boost::asio::steady_timer> line_timer_;  ///< not null while standing in line
  bool line_cancelled_ = false;
  std::uint32_t server_key_ = 0;                 ///< that the server has given its client for cancel requests
  struct {
    std::shared_ptr<const Plan> plan;
    Clock::time_point arrival;
  } begun_query_;                                ///< by query_at_once(), for on_query()
  Ref<Exec> fallback_;               ///< failed, its original is to be sent at ReadyForQuery
  Ref<Exec> reusing_;                ///< until the server has taken its Bind: whatever follows waits for that
  std::string session_key_;               ///< cache::session_key() …
  std::uint64_t session_key_version_ = ~std::uint64_t{0};  ///< … of facts_ of this version
  std::int64_t seen_unix_us_ = 0;         ///< how things stood then this session knows, or later: an older answer would go back in time
  std::uint64_t reuse_scope_ = 0, reuse_scope_version_ = ~std::uint64_t{0};  ///< and facts_.version by which it was read
  std::vector<std::string> settings_reply_;
  std::string plan_reply_;                ///< of an EXPLAIN of ours
  Circumstances drawn_;                   ///< of the statement at hand: planned again it is still the same execution
  Clock::time_point cancelled_at_{};      ///< when the client last asked for the end of what it had sent

  // Of sessions with a pool:
  std::shared_ptr<Waiter> waiter_;
  StatePtr state_;                       ///< what this session has set, as the server spells it
  Parameters view_;                      ///< ParameterStatus as the client knows it
  ResidueReader residue_;
  std::string pin_;                      ///< why the server may not be handed back
  std::string replay_error_;
  bool residue_unknown_ = false;         ///< something forwarded may have left traces on the server
  bool custom_settings_ = false;         ///< may have set some: no view of the server lists them
  bool unseen_code_ = false;             ///< has run what may have done so, out of sight
  bool client_busy_ = false;             ///< in the middle of the client's messages
  bool greeted_ = false;
  bool adopted_ = false;                 ///< the attached server is in this session's state
  char attaching_for_ = 0;               ///< type of the message that needs a server; 0: one of which a part is with us already
  bool waiting_cancelled_ = false, skip_to_sync_ = false;
  const bool several_hosts_;
  Hosts::Reading reading_;               ///< where the statement at hand is to be read
  std::vector<std::shared_ptr<Pool>> standby_pools_;  ///< by host, once used
  Ref<Exec> reader_;         ///< under way on a standby
  bool on_standby_ = false;              ///< the server attached, or being attached, is one that is only read from
  bool block_wrote_ = false;             ///< the transaction under way may have written
  std::optional<Clock::time_point> wrote_at_;  ///< when the last write was acknowledged; none: standbys have it
  bool awaiting_host_ = false;           ///< there is a place in the pool, but no host to connect to
  std::uint64_t statements_ = 0;         ///< that the client has prepared under a name
  bool unkept_ = false;                  ///< one of them was too large to be kept
  bool names_probed_ = false;            ///< the residue tells which of the client's statements are still there
  int cancels_ = 0;                      ///< cancel requests under way: until they are over nobody else gets this server
  std::string cancel_key_;               ///< process id and key as the client was told them
  Clock::time_point told_at_;            ///< while on_ready() is at it
  Clock::time_point last_activity_, transaction_start_, query_start_;
  Clock::time_point block_start_;        ///< of the transaction block under way, for the counters
  Counters* counters_;                   ///< of no database until the client has logged in

  std::unique_ptr<char[]> client_buffer_, server_buffer_;
  std::size_t client_size_ = 0, server_size_ = 0;
  std::size_t client_at_ = 0;            ///< of client_size_: how far we are
  bool unfinished_ = false;              ///< the message there was begun, and takes waiting
  std::uint64_t client_passing_ = 0, server_passing_ = 0;  ///< bytes of a large message still to be passed on
  std::uint64_t said_to_nobody_ = 0;                       ///< bytes from the server since its client is gone
  Fate passing_fate_ = Fate::relay;
  Ref<Exec> passing_exec_;
  Outbox to_client_, to_server_;
  bool sighted_ = false;                 ///< the cache has seen the statement in hand
  bool lending_bytes_ = false;           ///< what is forwarded lies in client_buffer_, which stays as it is for now
  std::string looked_text_;                       ///< of the last plan for the extended protocol: drivers that send
  std::vector<std::uint32_t> looked_types_;       ///< Parse for every execution repeat themselves
  PlanStamp looked_stamp_;
  std::shared_ptr<const Plan> looked_plan_;
  struct {
    std::uint64_t snapshot = 0;                   ///< version of the one they were found in
    const sql::Catalog* catalog = nullptr;
    std::uint64_t picture = 0;
  } looked_up_;
  std::uint64_t strings_version_ = ~std::uint64_t{0};  ///< facts_.version by which standard_strings_ was read
  bool standard_strings_ = true;
  boost::asio::steady_timer event_, login_deadline_;
};

}  // namespace pgsteer::proxy
