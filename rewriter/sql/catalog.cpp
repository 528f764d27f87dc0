#include "rewriter/sql/catalog.hpp"

#include <algorithm>

namespace pgsteer::sql {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }

/// One name of a search_path list, starting at `position`: quoted as it stands, else folded to lower case.
std::string take_name(std::string_view text, std::size_t& position) {
  std::string name;
  if (text[position] == '"') {
    for (++position; position < text.size(); ++position) {
      if (text[position] != '"') {
        name += text[position];
      } else if (position + 1 < text.size() && text[position + 1] == '"') {
        name += text[position++];
      } else {
        ++position;
        break;
      }
    }
    return name;
  }
  for (; position < text.size() && text[position] != ',' && !is_space(text[position]); ++position) {
    const char c = text[position];
    name += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  return name;
}

}  // namespace

std::vector<std::string> split_search_path(std::string_view text, std::string_view user) {
  std::vector<std::string> schemas;
  for (std::size_t i = 0; i < text.size();) {
    if (is_space(text[i]) || text[i] == ',') {
      ++i;
      continue;
    }
    std::string name = take_name(text, i);
    if (name == "$user") name = user;
    if (!name.empty()) schemas.push_back(std::move(name));
  }
  return schemas;
}

const Column* Relation::column(std::string_view column_name) const {
  const auto found = std::ranges::find(columns, column_name, &Column::name);
  return found == columns.end() ? nullptr : &*found;
}

const Column* Relation::column(std::int16_t number) const {
  const auto found = std::ranges::find(columns, number, &Column::number);
  return found == columns.end() ? nullptr : &*found;
}

void Catalog::add(Relation relation) {
  const Oid oid = relation.oid;
  if (const auto old = relations_.find(oid); old != relations_.end()) {
    names_.erase({old->second.schema, old->second.name});
    std::erase(by_name_[old->second.name], oid);
  }
  names_[{relation.schema, relation.name}] = oid;
  by_name_[relation.name].push_back(oid);
  relations_.insert_or_assign(oid, std::move(relation));
}

namespace {

char worse_volatility(char a, char b) {
  if (a == 'v' || b == 'v') return 'v';
  return a == 's' || b == 's' ? 's' : 'i';
}

void merge(FunctionGroup& into, const FunctionGroup& other) {
  into.worst_volatility = worse_volatility(into.worst_volatility, other.worst_volatility);
  into.all_leakproof = into.all_leakproof && other.all_leakproof;
  into.all_strict = into.all_strict && other.all_strict;
  into.any_set_returning = into.any_set_returning || other.any_set_returning;
  into.any_aggregate = into.any_aggregate || other.any_aggregate;
  into.any_user_defined = into.any_user_defined || other.any_user_defined;
}

}  // namespace

void Catalog::add(FunctionGroup function) {
  const auto [by_name, new_name] = functions_by_name_.try_emplace(function.name, function);
  if (!new_name) {
    merge(by_name->second, function);
    by_name->second.schema.clear();  // of several schemas
  }
  const auto [exact, new_function] = functions_.try_emplace({function.schema, function.name}, function);
  if (!new_function) merge(exact->second, function);
}

const Relation* Catalog::by_oid(Oid oid) const {
  const auto found = relations_.find(oid);
  return found == relations_.end() ? nullptr : &found->second;
}

const Relation* Catalog::find(std::string_view schema, std::string_view name, std::string_view search_path,
                              std::string_view user) const {
  const auto lookup = [&](std::string_view in_schema) -> const Relation* {
    const auto found = names_.find(std::pair<std::string, std::string>(in_schema, name));
    return found == names_.end() ? nullptr : by_oid(found->second);
  };
  if (!schema.empty()) return lookup(schema);
  const auto path = split_search_path(search_path.empty() ? default_search_path : search_path, user);
  if (std::ranges::find(path, "pg_catalog") == path.end())
    if (const Relation* relation = lookup("pg_catalog")) return relation;
  for (const std::string& candidate : path)
    if (const Relation* relation = lookup(candidate)) return relation;
  return nullptr;
}

std::vector<const Relation*> Catalog::named(std::string_view name) const {
  std::vector<const Relation*> relations;
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return relations;
  for (const Oid oid : found->second) relations.push_back(by_oid(oid));
  return relations;
}

const FunctionGroup* Catalog::function(std::string_view schema, std::string_view name) const {
  if (schema.empty()) {
    const auto found = functions_by_name_.find(name);
    return found == functions_by_name_.end() ? nullptr : &found->second;
  }
  const auto found = functions_.find(std::pair<std::string, std::string>(schema, name));
  return found == functions_.end() ? nullptr : &found->second;
}

}  // namespace pgsteer::sql
