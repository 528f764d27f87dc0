#include "proxy/server.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdio>
#include <functional>
#include <thread>

#include "proxy/auth/auth_query.hpp"
#include "proxy/auth/proof.hpp"
#include "proxy/http/server.hpp"
#include "proxy/hosts/hosts.hpp"
#include "proxy/hosts/watch.hpp"
#include "proxy/feed/feed.hpp"
#include "proxy/group/members.hpp"
#include "proxy/hub.hpp"
#include "proxy/lanes.hpp"
#include "proxy/learner/learner.hpp"
#include "proxy/listener.hpp"
#include "proxy/log.hpp"
#include "proxy/pool/pools.hpp"
#include "proxy/process.hpp"
#include "proxy/redis_url.hpp"
#include "proxy/reload.hpp"
#include "proxy/session/session.hpp"
#include "proxy/stats_period.hpp"
#include "proxy/survive.hpp"
#include "proxy/systemd.hpp"
#include "proxy/takeover.hpp"
#include "proxy/worker.hpp"

namespace pgsteer::proxy {

namespace asio = boost::asio;

namespace {

constexpr int kConfigError = 78;  // EX_CONFIG
constexpr std::size_t kStackBytes = 64u << 20;  ///< parsing recurses; only touched pages cost memory
constexpr auto kDrainTime = std::chrono::seconds(10);

/// A thread with a large stack: std::thread cannot be told its stack size.
class LoopThread {
 public:
  explicit LoopThread(std::function<void()> body) : body_(std::move(body)) {
    pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    ::pthread_attr_setstacksize(&attributes, kStackBytes);
    started_ = ::pthread_create(&thread_, &attributes, &LoopThread::enter, this) == 0;
    ::pthread_attr_destroy(&attributes);
    if (!started_) throw std::runtime_error("cannot start a thread");
  }
  ~LoopThread() {
    if (started_) ::pthread_join(thread_, nullptr);
  }
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

 private:
  static void* enter(void* self) {
    static_cast<LoopThread*>(self)->body_();
    return nullptr;
  }
  std::function<void()> body_;
  pthread_t thread_{};
  bool started_ = false;
};

/// Shutdown in order: no new clients; idle sessions end at once, busy ones get kDrainTime; then the loops stop. A process that was
/// replaced begins it when the last client has left, or when shutdown.drain_timeout is over.
class Shutdown {
 public:
  Shutdown(std::vector<std::unique_ptr<Worker>>& workers, Listener& listener) : workers_(workers), listener_(listener) {}

  void begin() {
    if (begun_.exchange(true)) return force();
    spdlog::info("event=shutdown_begin");
    if (!lingered_) notify_supervisor("STOPPING=1");  // the service goes on, in another process
    asio::post(workers_[0]->loop, [this] { listener_.stop(); });
    deadline_ = Clock::now() + kDrainTime;
    for (auto& worker : workers_) asio::post(worker->loop, [this, w = worker.get()] { drain(*w); });
  }

  void force() {
    deadline_ = Clock::now();
  }
  bool begun() const { return begun_; }

  /// From worker 0's thread: nothing more is accepted.
  void when_empty(std::chrono::milliseconds limit) {
    occupied_ = workers_.size();
    for (auto& worker : workers_) asio::post(worker->loop, [this, w = worker.get(), until = Clock::now() + limit] { linger(*w, until); });
  }

 private:
  /// Which loop is empty stays empty; the last one begins.
  void linger(Worker& worker, Clock::time_point until) {
    if (begun_) return;
    const bool empty = worker.sessions.empty() && worker.arriving == 0;
    if (Clock::now() >= until || (empty && occupied_.fetch_sub(1) == 1)) {
      if (!lingered_.exchange(true)) begin();
      return;
    }
    if (empty) return;
    worker.hub.drain();  // nobody learns from it any more
    auto timer = std::make_shared<asio::steady_timer>(worker.loop, std::chrono::milliseconds(50));
    timer->async_wait([this, timer, w = &worker, until](boost::system::error_code) { linger(*w, until); });
  }

  void drain(Worker& worker) {
    const bool late = Clock::now() >= deadline_.load();
    std::vector<std::shared_ptr<Session>> live;
    for (const auto& [id, session] : worker.sessions) live.push_back(session);
    for (const auto& session : live) {
      if (late || session->idle()) session->close(true);
    }
    if (worker.sessions.empty() || late) {
      if (worker.redis) worker.redis->shutdown();
      worker.loop.stop();
      return;
    }
    auto timer = std::make_shared<asio::steady_timer>(worker.loop, std::chrono::milliseconds(50));
    timer->async_wait([this, timer, w = &worker](boost::system::error_code) { drain(*w); });
  }

  std::vector<std::unique_ptr<Worker>>& workers_;
  Listener& listener_;
  std::atomic<bool> begun_{false};
  std::atomic<std::size_t> occupied_{0};  ///< loops with clients, of a process that was replaced
  std::atomic<bool> lingered_{false};
  std::atomic<Clock::time_point> deadline_{Clock::time_point::max()};
};

asio::awaitable<void> cancel_session(std::shared_ptr<Session> session, std::function<void()> done) {
  co_await session->cancel();
  done();
}

/// Time-outs: of sessions by their own worker, of the pools by the first one, which looks at the minute of SHOW STATS too.
struct Ticker {
  asio::steady_timer timer;
  bool armed = false;
};
void tick(Ticker& ticker, Worker& worker, Pools* pools) {
  if (ticker.armed) return;
  ticker.timer.expires_after(std::chrono::milliseconds(50));
  ticker.timer.async_wait([&ticker, &worker, pools](boost::system::error_code ec) {
    ticker.armed = false;
    if (ec) return;
    tick(ticker, worker, pools);  // first: what follows may throw
    // A snapshot's message is lost when there is no memory for it.
    if (auto current = worker.hub.snapshot(); current.get() != &worker.snapshot()) worker.set_snapshot(std::move(current));
    worker.deliveries.open();
    if (pools) {
      pools->tick();
      worker.hub.auth_query->tick();
      worker.hub.stats_period->tick(unix_us(), [&worker] { return worker.hub.totals_by_database(); });
    }
    const auto& limits = worker.snapshot().config->pool;
    if (worker.failed_sessions > 0 || (limits.query_timeout + limits.transaction_timeout + limits.idle_transaction_timeout).count() > 0) {
      std::vector<std::shared_ptr<Session>> live;
      for (const auto& [id, session] : worker.sessions) live.push_back(session);
      for (const auto& session : live) {
        session->check_timeouts(Clock::now());
        session->outlive();
      }
    }
  });
  ticker.armed = true;
}

/// What another primary holds may lack the last commits of the one before, and have another catalog.
void primary_changed(Hub& hub) {
  hub.server_started("");
  for (const auto& [database, catalog] : hub.snapshot()->catalogs) hub.catalog_changed(database);
}

void wait_for_signals(asio::signal_set& signals, Hub& hub, Shutdown& shutdown, std::function<void()> start_successor) {
  signals.async_wait([&, start_successor](boost::system::error_code ec, int number) {
    if (ec) return;
    wait_for_signals(signals, hub, shutdown, start_successor);  // first: what follows may throw
    if (number == SIGHUP) {
      if (const auto error = hub.reload()) spdlog::error("event=reload_refused error=\"{}\"", *error);
      else spdlog::info("event=reloaded");
    } else if (number == SIGUSR1) {
      hub.update([](Snapshot& next) { next.panic = true; });
      spdlog::warn("event=panic by=SIGUSR1");
    } else if (number == SIGUSR2) {
      start_successor();
    } else {
      shutdown.begin();
    }
  });
}

/// False: it was asked for and cannot be had.
bool start_http(Hub& hub, const Config& config, const std::string& token, std::unique_ptr<HttpServer>& http) {
  http = std::make_unique<HttpServer>(hub, token);
  const std::string status = http->start(config.http.address, static_cast<std::uint16_t>(config.http.port));
  hub.set_http_status(status);
  if (status.starts_with("listens")) {
    spdlog::info("event=http_ready listen={}:{}", config.http.address, config.http.port);
  } else if (config.given("http.port") || config.given("http.address")) {
    spdlog::error("event=start_failed error=\"http: {}\"", status);
    std::fprintf(stderr, "pgsteer: http: cannot listen on %s\n", status.c_str());
    return false;
  } else {
    spdlog::warn("event=http_off error=\"{}\" hint=\"http.port names another port, 0 means none\"", status);
  }
  return true;
}

}  // namespace

int run_server(const RunOptions& options) {
  // OpenSSL writes with write(2): without this, one client that reset its encrypted connection would end the process.
  std::signal(SIGPIPE, SIG_IGN);
  prepare_process();
  auto loaded = load_all(options.config_file, options.overrides);
  if (!loaded.error.empty()) {
    std::fprintf(stderr, "%s\n", loaded.error.c_str());
    return kConfigError;
  }
  const Config& config = *loaded.config;
  std::string error;
  if (!parse_upstreams(config.upstream.url, &error)) {
    std::fprintf(stderr, "upstream.url: %s\n", error.c_str());
    return kConfigError;
  }
  cache::RedisOptions redis;
  if (!config.cache.redis_url.empty() && !parse_redis_url(config.cache.redis_url, &redis, &error)) {
    std::fprintf(stderr, "cache.redis_url: %s\n", error.c_str());
    return kConfigError;
  }
  std::string token;
  if (error = http_problem(config, &token); !error.empty()) {
    std::fprintf(stderr, "%s\n", error.c_str());
    return kConfigError;
  }
  redis.deadline = config.cache.redis_deadline;
  const auto events = start_logging(config);
  std::optional<Takeover> predecessor;
  if (options.replace) {
    predecessor = Takeover::begin(state_directory(config), &error);
    if (!predecessor && !error.empty()) {
      spdlog::error("event=start_failed error=\"{}\"", error);
      std::fprintf(stderr, "pgsteer: %s\n", error.c_str());
      return 1;
    }
    if (!predecessor) spdlog::info("event=nothing_to_replace");
  }

  std::unique_ptr<Members> group;  // outlives every mark
  Hub hub(loaded.config, loaded.policies);
  if (!config.cache.group.empty()) {
    group = std::make_unique<Members>(hub, redis, config.cache.group);
    hub.group = group.get();
    hub.words.join(&group->words());
  }
  Feeds feeds(hub);
  hub.feeds = &feeds;
  Pools pools(hub);
  hub.pools = &pools;
  hub.overrides = options.overrides;
  hub.events = events;
  const int threads = config.threads.count > 0 ? config.threads.count
                                               : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  std::vector<std::unique_ptr<Worker>> workers;
  for (int i = 0; i < threads; ++i) {
    workers.push_back(std::make_unique<Worker>(hub, i));
    if (!config.cache.redis_url.empty()) workers.back()->redis = cache::RedisStore::create(workers.back()->loop, redis);
  }
  std::vector<Worker*> all_workers;
  for (auto& worker : workers) all_workers.push_back(worker.get());
  pools.serve_on(std::move(all_workers));
  hub.subscribe([&workers](std::shared_ptr<const Snapshot> snapshot) {
    for (auto& worker : workers) {
      asio::post(worker->loop, [w = worker.get(), snapshot] { w->set_snapshot(snapshot); });
    }
  });

  AuthQuery auth_query(*workers[0]);
  hub.auth_query = &auth_query;
  if (config.auth.mode == "terminate") keep_mock_salts(state_directory(config));
  Listener listener(workers, config);
  try {
    listener.start(predecessor ? &predecessor->sockets() : nullptr);
  } catch (const std::exception& e) {
    spdlog::error("event=start_failed error=\"{}\"", e.what());
    std::fprintf(stderr, "pgsteer: %s\n", e.what());
    return 1;
  }
  if (group) group->start();
  Learner learner(hub, options.executable);
  hub.learner = &learner;
  Shutdown shutdown(workers, listener);
  hub.on_shutdown = [&shutdown](int) { shutdown.begin(); };
  hub.on_kill = [&workers](std::uint64_t id) {
    for (auto& worker : workers) {
      asio::post(worker->loop, [w = worker.get(), id] {
        const auto found = w->sessions.find(id);
        if (found == w->sessions.end()) return;
        const auto session = found->second;  // it leaves the list
        session->close(true);
      });
    }
  };
  hub.on_cancel_here = [&workers, &predecessor](std::string key, std::function<void()> done) {
    auto without = std::make_shared<std::atomic<std::size_t>>(workers.size());
    for (auto& worker : workers) {
      asio::post(worker->loop, [&predecessor, w = worker.get(), key, done, without] {
        const auto found = w->cancel_keys.find(key);
        auto session = found == w->cancel_keys.end() ? nullptr : found->second.lock();
        if (!session && without->fetch_sub(1) == 1) {
          if (predecessor) predecessor->cancel(key);
          done();
        }
        if (session) asio::co_spawn(w->loop, cancel_session(session, done), asio::detached);
      });
    }
  };
  hub.look_for_rest = [&workers] {
    auto rest = std::make_shared<Hub::Rest>();
    rest->loops_left = workers.size();
    for (auto& worker : workers) {
      asio::post(worker->loop, [w = worker.get(), rest] {
        for (const auto& [id, session] : w->sessions) {
          if (!session->resting()) ++rest->busy;
          else if (session->holds_pooled_server()) ++rest->held;
        }
        --rest->loops_left;
      });
    }
    return rest;
  };
  hub.on_resume = [&workers] {
    for (auto& worker : workers) {
      asio::post(worker->loop, [w = worker.get()] {
        for (const auto& [id, session] : w->sessions) session->look_again();
      });
    }
  };
  hub.hosts->on_change = [&hub, &pools, &workers](const Hosts::Change& change) {
    for (const auto* list : {&change.unfit, &change.moved})
      for (const int host : *list) pools.reconnect(host);
    if (change.primary) primary_changed(hub);
    if (change.unfit.empty()) return;
    for (auto& worker : workers) {
      asio::post(worker->loop, [w = worker.get()] {
        std::vector<std::shared_ptr<Session>> live;
        for (const auto& [id, session] : w->sessions) live.push_back(session);
        for (const auto& session : live) session->host_changed();
      });
    }
  };
  HostWatch host_watch(hub);
  host_watch.start();
  std::vector<std::unique_ptr<Ticker>> tickers;
  for (auto& worker : workers) {
    tickers.push_back(std::unique_ptr<Ticker>(new Ticker{asio::steady_timer(worker->loop)}));  // clang 14 has no other way
    tick(*tickers.back(), *worker, worker->index == 0 ? &pools : nullptr);
  }
  hub.on_cancel = [&workers](int server_pid, std::uint32_t key) {
    for (auto& worker : workers) {
      asio::post(worker->loop, [w = worker.get(), server_pid, key] {
        for (const auto& [id, session] : w->sessions) session->cancel_in_line(server_pid, key);
      });
    }
  };
  hub.ping_loops = [&workers] {
    std::vector<std::shared_ptr<std::atomic<bool>>> flags;
    for (auto& worker : workers) {
      flags.push_back(std::make_shared<std::atomic<bool>>(false));
      asio::post(worker->loop, [flag = flags.back()] { flag->store(true); });
    }
    return flags;
  };
  std::unique_ptr<HttpServer> http;
  // What two processes cannot have at once. False: the configuration asks for what is not to be had.
  const auto start_background = [&] {
    if (config.http.port != 0 && !start_http(hub, config, token, http)) return false;
    learner.start();
    return true;
  };
  std::atomic<bool> predecessor_lives{predecessor.has_value()};
  if (predecessor) {
    // Its clients write, and we do not hear of it: until they have gone nothing is answered from the cache.
    hub.unmarked_sessions.fetch_add(1);
  } else if (!start_background()) {
    return 1;
  }
  const auto become_replaceable = [&] {
    return std::make_unique<Succession>(*workers[0], state_directory(config), Succession::Steps{
        .refusal = [&] { return std::string(hub.paused.load() ? "PAUSE is in force" : shutdown.begun() ? "it is shutting down"
                                            : predecessor_lives.load() ? "clients of the process before it are still there" : ""); },
        .sockets = [&] { return listener.sockets(); },
        .stop_accepting = [&] {
          listener.forget();
          // The catalog is no longer followed, and the other process's writes are not seen: nothing is changed or answered from now on.
          hub.update([](Snapshot& next) { next.console_mode = policies::Mode::observe; });
        },
        .release = [&] {
          http.reset();
          learner.stop();
        },
        .released = [&](pid_t successor) {
          notify_supervisor(fmt::format("MAINPID={}", successor));
          shutdown.when_empty(workers[0]->snapshot().config->shutdown.drain_timeout);
        },
        .cancel = [&](std::string key) { hub.on_cancel_here(std::move(key), [] {}); }});
  };
  std::unique_ptr<Succession> succession;
  if (!predecessor) succession = become_replaceable();
  asio::signal_set signals(workers[0]->loop, SIGINT, SIGTERM, SIGHUP);
  signals.add(SIGUSR1);
  signals.add(SIGUSR2);
  const auto start_successor = [&] {
    if (succession) succession->start_successor(options.executable);
  };
  wait_for_signals(signals, hub, shutdown, start_successor);

  spdlog::info("event=ready version={} listen={}:{} upstream={} threads={} mode={} state_dir={}", PGSTEER_VERSION,
               config.listen.address, config.listen.port, config.upstream.url.substr(config.upstream.url.find('@') + 1),
               threads, policies::to_string(config.mode.initial), state_directory(config));
  if (!predecessor) notify_supervisor("READY=1");
  {
    std::vector<std::unique_ptr<LoopThread>> loops;
    for (auto& worker : workers) {
      loops.push_back(std::make_unique<LoopThread>([&, w = worker.get()] {
        const auto guard = asio::make_work_guard(w->loop);
        run_loop(w->loop, "worker", [&] {
          tick(*tickers[static_cast<std::size_t>(w->index)], *w, w->index == 0 ? &pools : nullptr);
          if (w->index == 0) listener.accept();
        });
      }));
    }
    if (predecessor) {
      if (!predecessor->ready()) spdlog::warn("event=predecessor_lost");
      predecessor->watch(*workers[0], [&hub, &predecessor_lives] {
        hub.words.flush();
        hub.unmarked_sessions.fetch_sub(1);
        predecessor_lives = false;
        spdlog::info("event=predecessor_gone");
      });
      if (!start_background()) spdlog::error("event=http_off error=\"{}\"", hub.http_status());
      auto replaceable = become_replaceable();
      asio::post(workers[0]->loop, [&succession, made = std::make_shared<std::unique_ptr<Succession>>(std::move(replaceable))] { succession = std::move(*made); });
      notify_supervisor("READY=1");
    }
  }
  succession.reset();  // what it stops is stopped
  hub.lanes->close();
  http.reset();  // it reads the learner
  pools.shut_down();
  host_watch.stop();
  learner.stop();
  feeds.stop();
  if (group) group->stop();
  hub.learner = nullptr;
  spdlog::info("event=stopped");
  return 0;
}

}  // namespace pgsteer::proxy
