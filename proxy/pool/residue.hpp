#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgsteer::proxy {

/// What a session leaves on its server that can be set up again on another one. Names and values as the server spells them.
struct SessionState {
  std::map<std::string, std::string> settings;  ///< changed in the session (pg_settings.source = 'session')
  std::map<std::string, std::string> prepared;  ///< by SQL: name -> the whole PREPARE statement
  bool operator==(const SessionState&) const = default;
};
using StatePtr = std::shared_ptr<const SessionState>;

/// What the server says is left of a session after a transaction.
struct Residue {
  SessionState state;
  std::vector<std::string> leftovers;  ///< statements under names of the client's own, to be deallocated
  std::string pinned;                  ///< why no other client may have this server: temporary tables, LISTEN ...; "" = nothing
};

/// The question, one text for the simple protocol; answered by rows of three columns that read_residue() takes. `user`: who the
/// connection logged in as.
std::string residue_query(std::string_view user);
class ResidueReader {
 public:
  /// One DataRow: kind, name, value.
  void row(const std::vector<std::optional<std::string_view>>& values);
  Residue take() { return std::move(residue_); }

 private:
  Residue residue_;
};

/// The texts (each one simple query, in this order) that bring a server from one state to another; empty when they are the same.
std::vector<std::string> difference(const SessionState& from, const SessionState& to);

}  // namespace pgsteer::proxy
