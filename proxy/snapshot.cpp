#include "proxy/snapshot.hpp"

#include "cache/group.hpp"

namespace pgsteer::proxy {

const sql::Catalog* Snapshot::catalog(std::string_view database) const {
  const auto found = catalogs.find(database);
  return found == catalogs.end() ? nullptr : found->second.get();
}

std::string Snapshot::held(const std::string& rule) const {
  for (const auto& name : {rule, std::string()})
    if (const auto found = held_policies.find(name); found != held_policies.end()) return found->second;
  return {};
}

std::uint64_t Snapshot::picture(std::string_view database) const {
  const auto found = pictures.find(database);
  return found == pictures.end() ? cache::no_picture : found->second;
}

}  // namespace pgsteer::proxy
