#include "proxy/learner/fleet_link.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <pqxx/pqxx>

#include "proxy/config_settings.hpp"
#include "proxy/learner/connection.hpp"

namespace pgsteer::proxy::learning {

namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kStep{50}, kHurried{1000};

std::string value_of(const Target& words, std::string_view key) {
  for (const auto& [name, value] : words)
    if (name == key) return value;
  return {};
}

/// What the URL leaves open. Host and port stay libpq's own defaults.
void complete(Target& words) {
  const std::pair<const char*, const char*> defaults[] = {
      {"connect_timeout", "2"}, {"keepalives_idle", "10"}, {"keepalives_interval", "5"}, {"keepalives_count", "3"}, {"tcp_user_timeout", "10000"}};
  for (const auto& [key, value] : defaults)
    if (value_of(words, key).empty()) words.emplace_back(key, value);
  // These are not for the URL to say: texts are sent as UTF-8, and the name is what others know the connection by.
  std::erase_if(words, [](const auto& word) { return word.first.ends_with("application_name") || word.first == "client_encoding"; });
  words.emplace_back("application_name", kStoreApplication);
  words.emplace_back("client_encoding", "UTF8");
}

}  // namespace

std::optional<std::vector<std::pair<std::string, std::string>>> parse_store_url(const std::string& url, std::string* error) {
  const auto refuse = [&]() -> std::optional<Target> {
    // libpq's own words may hold the whole URL, and the password with it.
    if (error) *error = fmt::format("expected postgresql://[user[:password]@]host[:port]/database, got '{}'", mask_secret(url));
    return std::nullopt;
  };
  if (!url.starts_with("postgresql://") && !url.starts_with("postgres://")) return refuse();
  std::string libpq_says;
  auto words = read_connection_string(url, &libpq_says);
  if (!words) return refuse();
  return words;
}

struct FleetLink::Held {
  explicit Held(const std::string& words) : connection(words) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    // libpqxx 6.4 would connect anew by itself, to a server that was not looked at and by a socket that is not watched.
    connection.inhibit_reactivation(true);
#pragma GCC diagnostic pop
  }
  pqxx::connection connection;
};

FleetLink::FleetLink(const std::string& url, Hurry hurry) : hurry_(std::move(hurry)) {
  std::string error;
  auto words = parse_store_url(url, &error);
  if (!words) throw std::runtime_error(error);
  complete(*words);
  held_ = std::make_unique<Held>(connection_string(*words));
  const char* host = held_->connection.hostname();
  const char* port = held_->connection.port();
  place_ = fmt::format("{}:{}/{}", host ? host : "", port ? port : "", held_->connection.dbname());
  socket_ = ::fcntl(held_->connection.sock(), F_DUPFD_CLOEXEC, 0);
  watcher_ = std::thread([this] { watch(); });
}

FleetLink::~FleetLink() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  wake_.notify_all();
  watcher_.join();
  held_.reset();
  if (socket_ >= 0) ::close(socket_);
}

pqxx::connection_base& FleetLink::connection() { return held_->connection; }

void FleetLink::due(std::chrono::milliseconds patience) {
  {
    const std::lock_guard lock(mutex_);
    const bool armed = due_.has_value();
    due_.reset();
    if (patience.count() > 0) due_ = SteadyClock::now() + patience;
    if (armed) return;  // it looks again within a step
  }
  wake_.notify_all();
}

bool FleetLink::alive() const {
  pollfd socket{socket_, POLLRDHUP, 0};
  return ::poll(&socket, 1, 0) >= 0 && (socket.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) == 0;
}

void FleetLink::cut() {
  if (socket_ >= 0) ::shutdown(socket_, SHUT_RDWR);
}

void FleetLink::watch() {
  std::unique_lock lock(mutex_);
  while (!ended_) {
    if (!due_) {
      wake_.wait(lock, [this] { return ended_ || due_; });
      continue;
    }
    if (!hurried_ && hurry_ && hurry_()) hurried_ = SteadyClock::now() + kHurried;
    const auto end = hurried_ ? std::min(*due_, *hurried_) : *due_;
    if (SteadyClock::now() >= end) cut();
    wake_.wait_for(lock, kStep);
  }
}

}  // namespace pgsteer::proxy::learning
