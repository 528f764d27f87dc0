#pragma once
#include <spdlog/formatter.h>
#include <spdlog/sinks/base_sink.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/config.hpp"

namespace pgsteer::proxy {

/// The words of a log line: key=value and key="value with blanks", in order; words without a key are joined under "msg".
std::vector<std::pair<std::string, std::string>> log_fields(std::string_view line);

/// log.format = "json": one object a line: ts, level, then the line's own fields (event, session, fingerprint, trace_id ...).
class JsonFormatter : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override;
  std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<JsonFormatter>(); }
};

/// One line of the log as /api/v1/log shows it.
struct LogEvent {
  std::uint64_t id = 0;  ///< grows by one with each
  std::int64_t unix_us = 0;
  std::string level, text;
};

/// The newest lines of the log (info and above), for those who cannot read the file. Thread-safe.
class EventRing : public spdlog::sinks::base_sink<std::mutex> {
 public:
  static constexpr std::size_t kMaxEvents = 2000;
  std::vector<LogEvent> after(std::uint64_t id, std::size_t limit);   ///< the newest `limit` of them, oldest first
  std::vector<LogEvent> newest(std::size_t limit, std::size_t offset);  ///< newest first
  std::uint64_t last_id();

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}

 private:
  std::deque<LogEvent> events_;
  std::uint64_t last_ = 0;
};

/// Sets up the log as configured; what it returns sees every line from now on.
std::shared_ptr<EventRing> start_logging(const Config& config);

}  // namespace pgsteer::proxy
