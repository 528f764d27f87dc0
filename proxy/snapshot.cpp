#include "proxy/snapshot.hpp"

namespace pgsteer::proxy {

const sql::Catalog* Snapshot::catalog(std::string_view database) const {
  const auto found = catalogs.find(database);
  return found == catalogs.end() ? nullptr : found->second.get();
}

}  // namespace pgsteer::proxy
