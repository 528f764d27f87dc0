#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pgsteer::proxy::feed {

/// A committed transaction, as PostgreSQL's test_decoding tells it.
struct Commit {
  std::uint32_t xid = 0;
  std::vector<std::pair<std::string, std::string>> relations;  ///< schema, name; each once
  bool everything = false;  ///< it changed a catalog (DDL, GRANT, REFRESH, ANALYZE), or says something we do not understand
  bool own = false;         ///< of this feed itself: it writes nothing
};

/// Puts the lines of test_decoding (options include-xids on, skip-empty-xacts off) together. Total: what it does not understand
/// is a write of everything.
class Decoder {
 public:
  /// Prefixes of pg_logical_emit_message(): ours, and the one by which an event trigger may tell of DDL.
  static constexpr std::string_view own_prefix = "pgsteer", ddl_prefix = "pgsteer_ddl";
  /// One change, or the begin or end of a transaction, with which it returns it.
  std::optional<Commit> add(std::string_view line);

 private:
  void table(std::string_view rest);
  Commit current_;
  bool told_ = false;       ///< something that is not a change of a catalog
  std::string last_;        ///< the relations' names as they came with the change before
};

/// pg_current_snapshot(): who is not visible in it.
struct ServerSnapshot {
  std::uint64_t xmin = 0, xmax = 0;
  std::vector<std::uint64_t> under_way;
  static std::optional<ServerSnapshot> parse(std::string_view text);
  /// Of a transaction of the last two thousand million, by its number's lower half.
  bool in_progress(std::uint32_t xid) const;
};

/// A pg_lsn as text, "16/B374D848".
std::optional<std::uint64_t> parse_lsn(std::string_view text);

/// Whether a reader of the WAL that has come to `position` has seen all that lies before `insert_position`: that one may stand
/// behind the header of a page on which nothing is yet.
bool reached(std::uint64_t position, std::uint64_t insert_position);

}  // namespace pgsteer::proxy::feed
