#pragma once
#include <memory>
#include <string>

#include "proxy/learner/connection.hpp"
#include "rewriter/sql/catalog.hpp"

namespace pgsteer::proxy::learning {

/// What a database's catalog looks like in two short texts. Equal texts: nothing we know of has changed.
struct CatalogSignature {
  std::string structure;   ///< counts and xmin sums over pg_class, pg_attribute, pg_index, ...
  std::string statistics;  ///< row counts (in steps of about a tenth) and ANALYZE counters
  bool operator==(const CatalogSignature&) const = default;
};

/// Loads one database's sql::Catalog through libpqxx. Blocking: background threads only, one at a time. Every method
/// throws std::exception on failure (server away, no privilege); the connection is then thrown away by reset().
class CatalogLoader {
 public:
  explicit CatalogLoader(std::string connection_string);
  ~CatalogLoader();
  CatalogLoader(const CatalogLoader&) = delete;
  CatalogLoader& operator=(const CatalogLoader&) = delete;

  CatalogSignature signature();
  /// Everything in one REPEATABLE READ READ ONLY transaction together with the signature it corresponds to.
  std::unique_ptr<sql::Catalog> load(CatalogSignature* signature);
  void abandon();  ///< from any thread: what runs fails at once, and so does everything after it

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgsteer::proxy::learning
