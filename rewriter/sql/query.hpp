#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace pgsteer::sql {

/// Transaction status as ReadyForQuery reports it.
enum class TransactionStatus : char { idle = 'I', in_block = 'T', failed = 'E' };

/// What is known of a session when a statement arrives. Owned by the session; lives as long as it does.
struct SessionFacts {
  std::string database;
  std::string user;
  std::string application;
  std::string client_address;
  /// Settings seen in ParameterStatus, startup parameters and SET; names in lower case.
  std::map<std::string, std::string> settings;
  /// The effective search_path text as far as it can be seen on the wire; "" while it is the server's default.
  std::string search_path;
  /// A setting may have changed in a way the wire does not show (DO, CALL, a function, ROLLBACK after SET):
  /// anything that depends on settings (cache key, rewriting) must stand aside until it is known again.
  bool settings_uncertain = false;
  /// The session has created temporary objects: names may be shadowed.
  bool has_temporary_objects = false;
  /// Code that nobody saw (DO, a volatile function, a string of several statements) may have created temporary objects.
  bool objects_uncertain = false;
  /// The open transaction has run DDL or something opaque: the catalog snapshot is not this session's truth.
  bool catalog_uncertain = false;
  /// Bumped whenever `settings`, `search_path` or the flags above change, so that plans can be remembered per session.
  std::uint64_t version = 0;
};

/// One statement as it arrives: a view, valid during the current exchange only.
struct Query {
  std::string_view text;
  std::span<const std::uint32_t> parameter_types;  ///< declared OIDs of Parse; empty in the simple protocol
  bool extended = false;
  TransactionStatus transaction = TransactionStatus::idle;
  const SessionFacts* session = nullptr;  ///< never null inside the pipeline
};

}  // namespace pgsteer::sql
