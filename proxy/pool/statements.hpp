#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pgsteer::proxy {

/// A statement as pooled servers know it: exact text and parameter types. Two clients that prepare the same share it.
struct Statement {
  std::uint64_t id = 0;
  std::string text;
  std::vector<std::uint32_t> types;
  std::string server_name() const { return "pgsteer_s" + std::to_string(id); }
};
using StatementPtr = std::shared_ptr<const Statement>;

/// The one Statement for a text and its types, of this process. The key is the whole text, never a hash of it alone. `encoding` counts
/// for texts beyond ASCII: the same bytes are another text in another client_encoding. `scope`: what else its meaning depends on, for a
/// statement that no client has asked for. Thread-safe.
StatementPtr intern_statement(std::string_view text, const std::vector<std::uint32_t>& types, std::string_view encoding, std::string_view scope = {});

/// What one server connection has prepared. One thread at a time.
class ServerStatements {
 public:
  /// Sent or acknowledged, and not before its columns may have changed since; counts as a use.
  bool has(const Statement& statement, std::uint64_t catalog_epoch = 0);
  void sent(const StatementPtr& statement, std::uint64_t catalog_epoch);
  void failed(const Statement& statement) { entries_.erase(statement.id); }
  void closed(const Statement& statement) { entries_.erase(statement.id); }
  void clear() { entries_.clear(); }
  void doubt();  ///< any of them may be gone: to be sent again before it is used
  std::size_t size() const { return entries_.size(); }
  /// The one not used for longest, taken out, when there are more than `most`; the caller closes it on the server.
  StatementPtr evict(std::size_t most);

 private:
  struct Entry {
    StatementPtr statement;
    std::uint64_t used = 0;
    std::uint64_t catalog_epoch = 0;  ///< Hub::catalog_epoch when it was parsed here
    bool doubtful = false;
  };
  std::unordered_map<std::uint64_t, Entry> entries_;
  std::uint64_t uses_ = 0;
};

}  // namespace pgsteer::proxy
