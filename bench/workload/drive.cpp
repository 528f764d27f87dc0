#include "bench/workload/drive.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <mutex>
#include <numbers>
#include <optional>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "bench/workload/statistics.hpp"

namespace pgsteer::workload {
namespace {

using Clock = std::chrono::steady_clock;

struct Due {
  std::uint64_t number;
  std::size_t chosen;
  Clock::time_point at;
};

/// Deals out statements to the clients: which class, when.
class Schedule {
 public:
  Schedule(const std::vector<StatementClass>& classes, const DriveOptions& options)
      : classes_(classes), options_(options), random_(derive_seed(options.seed, 1)), begin_(Clock::now()), next_at_(begin_) {}

  std::optional<Due> next() {
    const std::scoped_lock lock(mutex_);
    const auto now = Clock::now();
    if (options_.recorded) {
      if (number_ >= options_.recorded->size()) return std::nullopt;
      const Recorded& one = (*options_.recorded)[number_];
      const double at = one.seconds / options_.speed;
      if (options_.seconds > 0 && at > options_.seconds) return std::nullopt;
      return Due{number_++, one.chosen, begin_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(at))};
    }
    if (options_.seconds > 0 && seconds_since(options_.rate > 0 ? next_at_ : now) > options_.seconds) return std::nullopt;
    const std::uint64_t total = options_.each > 0 ? static_cast<std::uint64_t>(options_.each) * classes_.size() : options_.count;
    if (total > 0 && number_ >= total) return std::nullopt;
    const double share = std::fmod(seconds_since(options_.rate > 0 ? next_at_ : now) / options_.day_seconds, 1.0);
    Due due{number_, options_.each > 0 ? number_ % classes_.size() : draw_class(share), options_.rate > 0 ? next_at_ : now};
    if (options_.rate > 0) {
      const double rate = options_.rate * (options_.day_rhythm ? day_rate(share) : 1.0);
      next_at_ += std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(-std::log(1.0 - random_.unit()) / rate));
    }
    ++number_;
    return due;
  }
  double seconds_since(Clock::time_point moment) const { return std::chrono::duration<double>(moment - begin_).count(); }

 private:
  double weight(const StatementClass& c, double share) const {
    if (!options_.mix.empty()) {
      const auto found = options_.mix.find(c.name);
      return found == options_.mix.end() ? 0 : found->second;
    }
    const double light = options_.day_rhythm ? daylight(share) : 1.0;
    return c.day * light + c.night * (1 - light);
  }
  std::size_t draw_class(double share) {
    double sum = 0;
    for (const StatementClass& c : classes_) sum += weight(c, share);
    double place = random_.unit() * sum;
    for (std::size_t i = 0; i < classes_.size(); ++i) {
      place -= weight(classes_[i], share);
      if (place < 0) return i;
    }
    return classes_.size() - 1;
  }

  const std::vector<StatementClass>& classes_;
  const DriveOptions& options_;
  std::mutex mutex_;
  Random random_;
  Clock::time_point begin_, next_at_;
  std::uint64_t number_ = 0;
};

struct Collected {
  std::vector<double> latencies;
  DriveClass figures;
};

/// All that the clients share besides the schedule.
class Collector {
 public:
  explicit Collector(const std::string& out) {
    if (out.empty()) return;
    file_.reset(std::fopen(out.c_str(), "w"));
    if (!file_) throw std::runtime_error("cannot write " + out);
  }
  void add(const std::string& name, double at, double latency, const Answer& answer) {
    const std::scoped_lock lock(mutex_);
    Collected& c = classes_[name];
    c.latencies.push_back(latency);
    if (answer.error.empty()) all_.push_back(latency);
    ++c.figures.statements;
    c.figures.rows += answer.rows;
    if (!answer.error.empty()) {
      ++c.figures.errors;
      if (c.figures.first_error.empty()) c.figures.first_error = answer.error;
    }
    ++done_;
    if (file_) {
      const nlohmann::json line = {{"t", at}, {"class", name}, {"ms", latency}, {"rows", answer.rows}, {"checksum", fmt::format("{:016x}", answer.checksum)}, {"error", answer.error}};
      fmt::print(file_.get(), "{}\n", line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    }
    if (done_ % 50 == 0 && isatty(2) == 1) {
      fmt::print(stderr, "\r  {} statements, {:.0f} s ", done_, at);
      std::fflush(stderr);
    }
  }
  std::vector<double> latencies() {
    std::sort(all_.begin(), all_.end());
    return std::move(all_);
  }
  std::map<std::string, DriveClass> finish() {
    if (isatty(2) == 1) fmt::print(stderr, "\r{:50}\r", "");
    std::map<std::string, DriveClass> result;
    for (auto& [name, c] : classes_) {
      c.figures.p50 = quantile(c.latencies, 0.5);
      c.figures.p95 = quantile(c.latencies, 0.95);
      c.figures.p99 = quantile(c.latencies, 0.99);
      result[name] = c.figures;
    }
    return result;
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::mutex mutex_;
  std::map<std::string, Collected> classes_;
  std::vector<double> all_;
  std::uint64_t done_ = 0;
  std::unique_ptr<std::FILE, Close> file_;
};

void client(const std::vector<StatementClass>& classes, const DriveOptions& options, Schedule& schedule, Collector& collector) {
  Connection connection(options.url);
  while (const std::optional<Due> due = schedule.next()) {
    std::this_thread::sleep_until(due->at);
    const StatementClass& c = classes[due->chosen];
    Random random(derive_seed(options.seed, 100 + due->number));
    const Statement statement = options.recorded ? (*options.recorded)[due->number].statement : c.draw(random);
    const bool open_loop = options.rate > 0 || options.recorded;
    const auto begin = open_loop ? due->at : Clock::now();
    for (const std::string& sql : statement.before) connection.run({{sql, {}, Protocol::simple}}, false);
    const Answer answer = connection.run(statement.steps, statement.ordered);
    collector.add(c.name, schedule.seconds_since(begin), open_loop ? std::chrono::duration<double, std::milli>(Clock::now() - begin).count() : answer.milliseconds, answer);
    if (answer.error.rfind("connection:", 0) == 0) connection.reconnect();
  }
}

}  // namespace

double daylight(double share_of_day) { return 0.5 - 0.5 * std::cos(2 * std::numbers::pi * (share_of_day - 3.0 / 24)); }
double day_rate(double share_of_day) { return 0.25 + 1.5 * daylight(share_of_day); }

DriveResult drive(const std::vector<StatementClass>& classes, const DriveOptions& options) {
  if (classes.empty()) throw std::invalid_argument("run: no class");
  if (!options.recorded && options.seconds <= 0 && options.count == 0 && options.each == 0) throw std::invalid_argument("run: give --seconds, --count or --each");
  Schedule schedule(classes, options);
  Collector collector(options.out);
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::string failure;
  for (int i = 0; i < options.clients; ++i) {
    threads.emplace_back([&] {
      try {
        client(classes, options, schedule, collector);
      } catch (const std::exception& error) {
        const std::scoped_lock lock(mutex);
        failure = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (!failure.empty()) throw std::runtime_error(failure);
  DriveResult result;
  result.seconds = schedule.seconds_since(Clock::now());
  result.classes = collector.finish();
  result.latencies = collector.latencies();
  return result;
}

std::string to_table(const DriveResult& result) {
  std::string text = fmt::format("{:16} {:>10} {:>8} {:>10} {:>10} {:>10} {:>10}\n", "class", "statements", "errors", "rows", "p50 ms", "p95 ms", "p99 ms");
  std::uint64_t statements = 0, errors = 0;
  for (const auto& [name, c] : result.classes) {
    text += fmt::format("{:16} {:>10} {:>8} {:>10} {:>10.3f} {:>10.3f} {:>10.3f}{}\n", name, c.statements, c.errors, c.rows, c.p50, c.p95, c.p99,
                        c.first_error.empty() ? std::string() : fmt::format("  {}", c.first_error));
    statements += c.statements;
    errors += c.errors;
  }
  return text + fmt::format("{} statements, {} errors, {:.1f} s, {:.1f} a second\n", statements, errors, result.seconds, static_cast<double>(statements) / result.seconds);
}

}  // namespace pgsteer::workload
