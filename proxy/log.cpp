#include "proxy/log.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace pgsteer::proxy {

namespace {

bool is_key(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '.'; });
}

bool ends_value(std::string_view rest) {
  if (rest.empty()) return true;
  const auto equals = rest.find('=');
  return rest.front() == ' ' && equals != std::string_view::npos && is_key(rest.substr(1, equals - 1));
}

std::int64_t unix_us(spdlog::log_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

}  // namespace

std::vector<std::pair<std::string, std::string>> log_fields(std::string_view line) {
  std::vector<std::pair<std::string, std::string>> fields;
  std::string rest;
  while (!line.empty()) {
    const auto blank = line.find(' ');
    const auto equals = line.find('=');
    if (equals == std::string_view::npos || equals > blank || !is_key(line.substr(0, equals))) {
      if (!rest.empty()) rest += ' ';
      rest += line.substr(0, blank);
      line = blank == std::string_view::npos ? std::string_view() : line.substr(blank + 1);
      continue;
    }
    const auto key = line.substr(0, equals);
    line.remove_prefix(equals + 1);
    std::string_view value;
    if (line.starts_with('"')) {
      // A quote inside is not escaped: the one that ends the value is followed by nothing or by the next key.
      auto end = line.find('"', 1);
      while (end != std::string_view::npos && !ends_value(line.substr(end + 1))) end = line.find('"', end + 1);
      value = line.substr(1, (end == std::string_view::npos ? line.size() : end) - 1);
      line = end == std::string_view::npos ? std::string_view() : line.substr(std::min(line.size(), end + 2));
    } else {
      const auto end = line.find(' ');
      value = line.substr(0, end);
      line = end == std::string_view::npos ? std::string_view() : line.substr(end + 1);
    }
    fields.emplace_back(key, value);
  }
  if (!rest.empty()) fields.emplace_back("msg", rest);
  return fields;
}

void JsonFormatter::format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) {
  nlohmann::ordered_json object;
  const auto us = unix_us(message.time);
  object["ts"] = fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", fmt::gmtime(static_cast<std::time_t>(us / 1000000)), us % 1000000);
  const auto level = spdlog::level::to_string_view(message.level);
  object["level"] = std::string(level.data(), level.size());
  for (auto& [key, value] : log_fields({message.payload.data(), message.payload.size()})) {
    const bool number = !value.empty() && value.size() < 16 && value.find_first_not_of("0123456789") == std::string::npos &&
                        (value.size() == 1 || value[0] != '0') && key != "fingerprint" && key != "sqlstate" && key != "trace_id";
    if (number) object[key] = std::stoll(value);
    else object[key] = value;
  }
  const auto text = object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  out.append(text.data(), text.data() + text.size());
}

void EventRing::sink_it_(const spdlog::details::log_msg& message) {
  if (message.level < spdlog::level::info) return;
  const auto level = spdlog::level::to_string_view(message.level);
  events_.push_back({++last_, unix_us(message.time), std::string(level.data(), level.size()),
                     std::string(message.payload.data(), message.payload.size())});
  if (events_.size() > kMaxEvents) events_.pop_front();
}

std::vector<LogEvent> EventRing::after(std::uint64_t id, std::size_t limit) {
  const std::lock_guard lock(mutex_);
  std::vector<LogEvent> list;
  const auto newer = static_cast<std::size_t>(last_ > id ? last_ - id : 0);
  const auto count = std::min({newer, limit, events_.size()});
  list.assign(events_.end() - static_cast<std::ptrdiff_t>(count), events_.end());
  return list;
}

std::vector<LogEvent> EventRing::newest(std::size_t limit, std::size_t offset) {
  const std::lock_guard lock(mutex_);
  std::vector<LogEvent> list;
  for (auto at = events_.rbegin(); at != events_.rend() && list.size() < limit; ++at) {
    if (offset > 0) --offset;
    else list.push_back(*at);
  }
  return list;
}

std::uint64_t EventRing::last_id() {
  const std::lock_guard lock(mutex_);
  return last_;
}

std::shared_ptr<EventRing> start_logging(const Config& config) {
  std::shared_ptr<spdlog::sinks::sink> output;
  if (config.log.file.empty()) output = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  else output = std::make_shared<spdlog::sinks::basic_file_sink_mt>(config.log.file);
  auto logger = std::make_shared<spdlog::logger>("pgsteer", output);
  if (config.log.format == "json") logger->set_formatter(std::make_unique<JsonFormatter>());
  else logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %l %v");
  auto ring = std::make_shared<EventRing>();
  logger->sinks().push_back(ring);
  logger->set_level(spdlog::level::from_str(config.log.level));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
  return ring;
}

}  // namespace pgsteer::proxy
