#include "proxy/pool/statements.hpp"

#include <algorithm>
#include <mutex>

namespace pgsteer::proxy {
namespace {

struct Book {
  std::mutex mutex;
  std::unordered_map<std::string, std::weak_ptr<const Statement>> statements;
  std::uint64_t ids = 0;
  std::size_t sweep_at = 1024;
};

Book& book() {
  static Book* the_book = new Book;  // outlives every connection, at exit too
  return *the_book;
}

}  // namespace

StatementPtr intern_statement(std::string_view text, const std::vector<std::uint32_t>& types, std::string_view encoding, std::string_view scope) {
  std::string key(text);
  key.push_back('\0');
  for (const auto type : types) key.append(reinterpret_cast<const char*>(&type), sizeof type);
  if (std::any_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x80; })) key.append(encoding);
  key.push_back('\0');
  key.append(scope);
  Book& all = book();
  const std::lock_guard lock(all.mutex);
  auto& place = all.statements[std::move(key)];
  if (auto known = place.lock()) return known;
  auto made = std::make_shared<Statement>(Statement{++all.ids, std::string(text), types});
  place = made;
  if (all.statements.size() > all.sweep_at) {
    std::erase_if(all.statements, [](const auto& entry) { return entry.second.expired(); });
    all.sweep_at = std::max<std::size_t>(1024, all.statements.size() * 2);
  }
  return made;
}

bool ServerStatements::has(const Statement& statement, std::uint64_t catalog_epoch) {
  const auto found = entries_.find(statement.id);
  if (found == entries_.end() || found->second.doubtful || found->second.catalog_epoch < catalog_epoch) return false;
  found->second.used = ++uses_;
  return true;
}

void ServerStatements::sent(const StatementPtr& statement, std::uint64_t catalog_epoch) {
  entries_[statement->id] = {statement, ++uses_, catalog_epoch};
}

void ServerStatements::doubt() {
  for (auto& [id, entry] : entries_) entry.doubtful = true;
}

StatementPtr ServerStatements::evict(std::size_t most) {
  if (entries_.size() <= most) return nullptr;
  const auto oldest = std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
    return a.second.used < b.second.used;
  });
  auto statement = oldest->second.statement;
  entries_.erase(oldest);
  return statement;
}

}  // namespace pgsteer::proxy
