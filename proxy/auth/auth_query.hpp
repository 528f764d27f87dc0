#pragma once
#include <memory>
#include <string>

#include "proxy/auth/secret_cache.hpp"
#include "proxy/stream.hpp"
#include "proxy/worker.hpp"

namespace pgsteer::proxy {

/// auth.query: asks the server for the secrets of users that auth.file does not have, over one connection of its own, logged in as
/// auth.query_user, which no client ever uses and on which nothing of a client but its name, as a parameter, is ever sent.
/// The connection lives in one worker's loop; look_up() may be called on any. It is closed while PAUSE holds and after a minute unused.
class AuthQuery {
 public:
  explicit AuthQuery(Worker& worker);
  ~AuthQuery();

  struct Found {
    SecretAnswer answer;
    bool failed = false;  ///< the server could not be asked; the log says why
    bool cached = false;  ///< it was asked before
  };
  /// `again`: what was cached has just turned out wrong. What is younger than a second counts as asked again, so that wrong passwords do
  /// not become load on the server. Without a deadline: the caller's login has one.
  Awaitable<Found> look_up(Worker& caller, std::string user, bool again);
  void tick();  ///< now and then, from the worker's thread

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace pgsteer::proxy
