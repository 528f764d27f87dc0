// The list of settings. Order, names and defaults are those of struct Config; conf/pgsteer.toml is its manual.
#include "proxy/config_settings.hpp"

#include <charconv>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace pgsteer::proxy {
namespace {

using policies::TomlValue;
using std::chrono::microseconds;

TomlValue text_value(const std::string& text) {
  TomlValue value;
  value.value = text;
  return value;
}

/// A bare word becomes a number where a number is due, else it stays text and is refused with it.
TomlValue integer_value(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return text_value(text);
  TomlValue value;
  value.value = number;
  return value;
}

TomlValue boolean_value(const std::string& text) {
  TomlValue value = text_value(text);
  if (text == "true" || text == "on" || text == "1") value.value = true;
  if (text == "false" || text == "off" || text == "0") value.value = false;
  return value;
}

TomlValue list_value(const std::string& text) {
  TomlValue::Array items;
  for (std::size_t start = 0; start <= text.size() && !text.empty();) {
    const auto comma = std::min(text.find(',', start), text.size());
    items.push_back(text_value(text.substr(start, comma - start)));
    start = comma + 1;
  }
  TomlValue value;
  value.value = std::move(items);
  return value;
}

template <class At>
auto keep(At at) {
  return [at](Config& to, const Config& from) { at(to) = at(from); };
}

/// `at(config)` is a reference to the member, of a constant or a mutable Config.
template <class At>
Setting text(std::string key, bool changeable, At at, bool secret = false) {
  return {std::move(key), changeable,
          [at](Config& c, const TomlValue& v) -> std::string {
            if (!v.text()) return "a text in quotes";
            at(c) = *v.text();
            return {};
          },
          text_value, [at, secret](const Config& c) { return secret ? mask_secret(at(c)) : std::string(at(c)); }, keep(at)};
}

template <class At>
Setting choice(std::string key, bool changeable, At at, std::vector<std::string> choices) {
  return {std::move(key), changeable,
          [at, choices](Config& c, const TomlValue& v) -> std::string {
            for (const auto& one : choices) {
              if (v.text() && *v.text() == one) {
                at(c) = one;
                return {};
              }
            }
            return policies::join_names(choices);
          },
          text_value, [at](const Config& c) { return std::string(at(c)); }, keep(at)};
}

template <class At>
Setting integer(std::string key, bool changeable, At at, std::int64_t least, std::int64_t most) {
  return {std::move(key), changeable,
          [at, least, most](Config& c, const TomlValue& v) -> std::string {
            if (!v.integer() || *v.integer() < least || *v.integer() > most)
              return fmt::format("a whole number from {} to {}", least, most);
            at(c) = static_cast<std::remove_reference_t<decltype(at(c))>>(*v.integer());
            return {};
          },
          integer_value, [at](const Config& c) { return fmt::format("{}", at(c)); }, keep(at)};
}

template <class At>
Setting boolean(std::string key, bool changeable, At at) {
  return {std::move(key), changeable,
          [at](Config& c, const TomlValue& v) -> std::string {
            if (!v.boolean()) return "true or false";
            at(c) = *v.boolean();
            return {};
          },
          boolean_value, [at](const Config& c) { return std::string(at(c) ? "true" : "false"); }, keep(at)};
}

/// "250ms": in the largest unit that shows it whole.
std::string show_duration(microseconds duration) {
  const auto us = duration.count();
  if (us == 0) return "0";
  if (us % 3'600'000'000 == 0) return fmt::format("{}h", us / 3'600'000'000);
  if (us % 60'000'000 == 0) return fmt::format("{}min", us / 60'000'000);
  if (us % 1'000'000 == 0) return fmt::format("{}s", us / 1'000'000);
  if (us % 1000 == 0) return fmt::format("{}ms", us / 1000);
  return fmt::format("{}us", us);
}

template <class At>
Setting duration(std::string key, bool changeable, At at, microseconds least, microseconds most) {
  return {std::move(key), changeable,
          [at, least, most](Config& c, const TomlValue& v) -> std::string {
            using Target = std::remove_reference_t<decltype(at(c))>;
            const auto read = v.text() ? policies::parse_duration(*v.text()) : std::nullopt;
            if (!read || *read < least || *read > most)
              return fmt::format("a duration from \"{}\" to \"{}\"", show_duration(least), show_duration(most));
            const auto rounded = std::chrono::duration_cast<Target>(*read);
            if (rounded != *read) return Target(1) == std::chrono::seconds(1) ? "whole seconds" : "whole milliseconds";
            at(c) = rounded;
            return {};
          },
          text_value, [at](const Config& c) { return show_duration(at(c)); }, keep(at)};
}

std::string show_bytes(std::size_t bytes) {
  if (bytes != 0 && bytes % (1u << 30) == 0) return fmt::format("{}GB", bytes >> 30);
  if (bytes != 0 && bytes % (1u << 20) == 0) return fmt::format("{}MB", bytes >> 20);
  if (bytes != 0 && bytes % 1024 == 0) return fmt::format("{}kB", bytes >> 10);
  return fmt::format("{}", bytes);
}

template <class At>
Setting bytes(std::string key, bool changeable, At at, std::size_t least, std::size_t most) {
  return {std::move(key), changeable,
          [at, least, most](Config& c, const TomlValue& v) -> std::string {
            std::optional<std::uint64_t> size;
            if (v.integer() && *v.integer() >= 0) size = static_cast<std::uint64_t>(*v.integer());
            if (v.text()) size = policies::parse_bytes(*v.text());
            if (!size || *size < least || *size > most)
              return fmt::format("a size from \"{}\" to \"{}\"", show_bytes(least), show_bytes(most));
            at(c) = *size;
            return {};
          },
          text_value, [at](const Config& c) { return show_bytes(at(c)); }, keep(at)};
}

template <class At>
Setting names(std::string key, bool changeable, At at) {
  return {std::move(key), changeable,
          [at](Config& c, const TomlValue& v) -> std::string {
            std::vector<std::string> read;
            if (!v.array()) return "a list of names such as [\"alice\", \"bob\"]";
            for (const auto& item : *v.array()) {
              if (!item.text() || item.text()->empty()) return "a list of names such as [\"alice\", \"bob\"]";
              read.push_back(*item.text());
            }
            at(c) = std::move(read);
            return {};
          },
          list_value, [at](const Config& c) { return fmt::format("{}", fmt::join(at(c), ",")); }, keep(at)};
}

template <class At>
Setting mode(std::string key, bool changeable, At at) {
  return {std::move(key), changeable,
          [at](Config& c, const TomlValue& v) -> std::string {
            const auto read = v.text() ? policies::parse_mode(*v.text()) : std::nullopt;
            if (!read) return "off, observe, suggest, canary or auto";
            at(c) = *read;
            return {};
          },
          text_value, [at](const Config& c) { return std::string(policies::to_string(at(c))); }, keep(at)};
}

}  // namespace

std::string mask_secret(const std::string& url) {
  std::string shown = url;
  const auto scheme = shown.find("://");
  if (scheme != std::string::npos) {
    // Up to the last @ it may be a password, whatever it contains: rather a host too few is shown than half of one.
    const auto at = shown.rfind('@');
    const auto colon = shown.find(':', scheme + 3);
    if (at != std::string::npos && colon < at) shown.replace(colon + 1, at - colon - 1, "***");
  }
  // "?password=x" of a URL, "password = x" or "password='x y'" of connection words.
  constexpr std::string_view name = "password";
  for (auto key = shown.find(name); key != std::string::npos; key = shown.find(name, key + name.size())) {
    auto start = shown.find_first_not_of(' ', key + name.size());
    if (start == std::string::npos || shown[start] != '=') continue;
    start = std::min(shown.find_first_not_of(' ', start + 1), shown.size());
    const bool quoted = start < shown.size() && shown[start] == '\'';
    auto end = start + (quoted ? 1 : 0);
    while (end < shown.size() && (quoted ? shown[end] != '\'' : shown[end] != '&' && shown[end] != ' ')) end += shown[end] == '\\' ? 2 : 1;
    end = std::min(end + (quoted ? 1 : 0), shown.size());
    shown.replace(start, end - start, "***");
  }
  return shown;
}

const std::vector<Setting>& settings() {
  using namespace std::chrono_literals;
#define PGSTEER_AT(member) [](auto& c) -> auto& { return c.member; }
  static const std::vector<Setting> list{
      text("listen.address", false, PGSTEER_AT(listen.address)),
      integer("listen.port", false, PGSTEER_AT(listen.port), 0, 65535),
      text("listen.unix_socket_dir", false, PGSTEER_AT(listen.unix_socket_dir)),
      integer("listen.backlog", false, PGSTEER_AT(listen.backlog), 1, 65535),
      text("upstream.url", false, PGSTEER_AT(upstream.url), true),
      duration("upstream.connect_timeout", true, PGSTEER_AT(upstream.connect_timeout), 1ms, 1h),
      duration("upstream.check_interval", true, PGSTEER_AT(upstream.check_interval), 50ms, 1h),
      text("upstream.probe_url", false, PGSTEER_AT(upstream.probe_url), true),
      text("upstream.probe_password_file", false, PGSTEER_AT(upstream.probe_password_file)),
      boolean("upstream.probe", false, PGSTEER_AT(upstream.probe)),
      choice("auth.mode", false, PGSTEER_AT(auth.mode), {"relay", "terminate"}),
      choice("auth.method", true, PGSTEER_AT(auth.method), {"scram-sha-256", "md5", "password", "cert", "trust"}),
      text("auth.file", true, PGSTEER_AT(auth.file)),
      text("auth.hba_file", true, PGSTEER_AT(auth.hba_file)),
      text("auth.query_user", true, PGSTEER_AT(auth.query_user)),
      text("auth.query_database", true, PGSTEER_AT(auth.query_database)),
      text("auth.query", true, PGSTEER_AT(auth.query)),
      duration("auth.query_cache", true, PGSTEER_AT(auth.query_cache), 0ms, 24h),
      choice("pool.mode", true, PGSTEER_AT(pool.mode), {"session", "transaction"}),
      names("pool.transaction", true, PGSTEER_AT(pool.transaction)),
      names("pool.session", true, PGSTEER_AT(pool.session)),
      integer("pool.default_pool_size", true, PGSTEER_AT(pool.default_pool_size), 1, 100000),
      integer("pool.min_pool_size", true, PGSTEER_AT(pool.min_pool_size), 0, 100000),
      integer("pool.reserve_pool", true, PGSTEER_AT(pool.reserve_pool), 0, 100000),
      duration("pool.reserve_pool_timeout", true, PGSTEER_AT(pool.reserve_pool_timeout), 0ms, 1h),
      integer("pool.max_db_connections", true, PGSTEER_AT(pool.max_db_connections), 0, 100000),
      integer("pool.max_user_connections", true, PGSTEER_AT(pool.max_user_connections), 0, 100000),
      duration("pool.query_wait_timeout", true, PGSTEER_AT(pool.query_wait_timeout), 0ms, 24h),
      duration("pool.server_lifetime", true, PGSTEER_AT(pool.server_lifetime), 0ms, 8760h),
      duration("pool.server_idle_timeout", true, PGSTEER_AT(pool.server_idle_timeout), 0ms, 8760h),
      duration("pool.idle_transaction_timeout", true, PGSTEER_AT(pool.idle_transaction_timeout), 0ms, 24h),
      duration("pool.transaction_timeout", true, PGSTEER_AT(pool.transaction_timeout), 0ms, 24h),
      duration("pool.query_timeout", true, PGSTEER_AT(pool.query_timeout), 0ms, 24h),
      integer("pool.max_prepared_statements", true, PGSTEER_AT(pool.max_prepared_statements), 1, 1000000),
      boolean("routing.read_your_writes", true, PGSTEER_AT(routing.read_your_writes)),
      duration("routing.max_lag", true, PGSTEER_AT(routing.max_lag), 0ms, 24h),
      duration("shutdown.drain_timeout", true, PGSTEER_AT(shutdown.drain_timeout), 0ms, 8760h),
      choice("tls.mode", true, PGSTEER_AT(tls.mode), {"disable", "allow", "require", "verify-ca", "verify-full"}),
      text("tls.certificate_file", true, PGSTEER_AT(tls.certificate_file)),
      text("tls.key_file", true, PGSTEER_AT(tls.key_file)),
      text("tls.client_ca_file", true, PGSTEER_AT(tls.client_ca_file)),
      integer("limits.max_client_conn", true, PGSTEER_AT(limits.max_client_conn), 1, 1000000),
      bytes("limits.max_analysed_bytes", false, PGSTEER_AT(limits.max_analysed_bytes), 0, 1u << 20),
      integer("limits.analysis_cache_entries", false, PGSTEER_AT(limits.analysis_cache_entries), 1, 10000000),
      duration("limits.login_timeout", true, PGSTEER_AT(limits.login_timeout), 100ms, 1h),
      integer("threads.count", false, PGSTEER_AT(threads.count), 0, 1024),
      mode("mode.default", true, PGSTEER_AT(mode.initial)),
      text("policies.directory", true, PGSTEER_AT(policies.directory)),
      bytes("cache.memory_bytes", false, PGSTEER_AT(cache.memory_bytes), 0, std::size_t{1} << 40),
      text("cache.redis_url", false, PGSTEER_AT(cache.redis_url), true),
      text("cache.group", false, PGSTEER_AT(cache.group)),
      duration("cache.redis_deadline", true, PGSTEER_AT(cache.redis_deadline), 100us, 1s),
      duration("cache.feed_deadline", true, PGSTEER_AT(cache.feed_deadline), 1ms, 1s),
      duration("cache.redis_min_cost", true, PGSTEER_AT(cache.redis_min_cost), 0us, 1h),
      duration("cache.fill_wait", true, PGSTEER_AT(cache.fill_wait), 0ms, 1min),
      boolean("cache.serve_old", true, PGSTEER_AT(cache.serve_old)),
      boolean("learning.enabled", false, PGSTEER_AT(learning.enabled)),
      text("learning.store_url", false, PGSTEER_AT(learning.store_url), true),
      duration("learning.flush_interval", true, PGSTEER_AT(learning.flush_interval), 10ms, 1min),
      integer("learning.max_rows", true, PGSTEER_AT(learning.max_rows), 1000, 1000000000),
      duration("learning.retrain_interval", true, PGSTEER_AT(learning.retrain_interval), 0s, 8760h),
      boolean("learning.explore", true, PGSTEER_AT(learning.explore)),
      duration("learning.explore_idle", true, PGSTEER_AT(learning.explore_idle), 0ms, 1h),
      duration("learning.explore_credit", true, PGSTEER_AT(learning.explore_credit), 0ms, 8760h),
      duration("learning.regret", true, PGSTEER_AT(learning.regret), 0ms, 8760h),
      integer("learning.seed", false, PGSTEER_AT(learning.seed), 0, std::numeric_limits<std::int64_t>::max()),
      duration("catalog.refresh_interval", true, PGSTEER_AT(catalog.refresh_interval), 100ms, 24h),
      text("console.database", false, PGSTEER_AT(console.database)),
      names("console.admin_users", true, PGSTEER_AT(console.admin_users)),
      names("console.stats_users", true, PGSTEER_AT(console.stats_users)),
      text("http.address", false, PGSTEER_AT(http.address)),
      integer("http.port", false, PGSTEER_AT(http.port), 0, 65535),
      text("http.token_file", false, PGSTEER_AT(http.token_file)),
      choice("log.level", true, PGSTEER_AT(log.level), {"trace", "debug", "info", "warn", "error"}),
      choice("log.format", false, PGSTEER_AT(log.format), {"text", "json"}),
      text("log.file", false, PGSTEER_AT(log.file)),
      duration("log.min_duration", true, PGSTEER_AT(log.min_duration), 0ms, 24h),
      text("state_dir", false, PGSTEER_AT(state_dir))};
#undef PGSTEER_AT
  return list;
}

}  // namespace pgsteer::proxy
