// Words finer than a table's. A table has its own word, moved by every write; one for writes of rows nobody can name; and a number of
// them for rows by the first column of the primary key. Each row is in one of these for as long as it has its key:
//
//   reads rows of key 5      depends on    {writes of unknown rows, rows like 5}
//   reads anything else      depends on    {the table}
//   writes rows of key 5     moves         {the table,                          rows like 5}
//   writes anything else     moves         {the table, writes of unknown rows}
//
// So a reader of key 5 misses only writes that are known to leave alone every row that has key 5 before or after.
#include <algorithm>
#include <charconv>

#include "cache/cache.hpp"
#include "cache/resolve.hpp"
#include "protocol/wire.hpp"

namespace pgsteer::cache {
namespace {

constexpr sql::Oid int8_type = 20, int2_type = 21, int4_type = 23;
constexpr std::uint64_t buckets = 4096;

bool is_integer(sql::Oid type) { return type == int8_type || type == int2_type || type == int4_type; }

/// Above the OIDs in use, and not word_everywhere.
sql::Oid word_of(sql::Oid table, std::uint64_t bucket) {
  std::uint64_t x = (std::uint64_t{table} << 32 | bucket) * 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 32)) * 0xD6E8FEB86659FD93ull;
  return 0x80000000u | static_cast<sql::Oid>((x >> 32) % 0x7FFFFFFFu);
}

/// Digits as every integer type reads them; what has another spelling is no key.
std::optional<std::int64_t> integer_of(std::string_view digits) {
  std::int64_t number = 0;
  if (digits.empty() || digits.size() > 18) return std::nullopt;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

std::optional<std::int64_t> integer_of_literal(std::string_view token) {
  if (token.size() >= 2 && token.front() == '\'' && token.back() == '\'') token = token.substr(1, token.size() - 2);
  return integer_of(token);
}

std::optional<std::int64_t> big_endian(std::string_view bytes) {
  if (bytes.size() != 2 && bytes.size() != 4 && bytes.size() != 8) return std::nullopt;
  std::uint64_t number = static_cast<signed char>(bytes.front()) < 0 ? ~std::uint64_t{0} : 0;
  for (const char byte : bytes) number = number << 8 | static_cast<unsigned char>(byte);
  return static_cast<std::int64_t>(number);
}

std::optional<std::int64_t> parameter_of(const Call& call, std::size_t index) {
  const sql::Oid type = index < call.parameter_types.size() ? call.parameter_types[index] : 0;
  if (!call.extended || (type != 0 && !is_integer(type))) return std::nullopt;  // 0: that of the column
  protocol::Reader reader(call.bind_parameters);
  const std::size_t formats = reader.int16();
  std::size_t format = 0;
  for (std::size_t i = 0; i < formats; ++i) {
    const std::size_t one = reader.int16();
    if (formats == 1 || i == index) format = one;
  }
  const std::size_t count = reader.int16();
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    const auto length = static_cast<std::int32_t>(reader.int32());
    if (length < 0) {
      if (i == index) return std::nullopt;
      continue;
    }
    const std::string_view value = reader.bytes(static_cast<std::size_t>(length));
    if (i == index && reader.ok()) return format == 0 ? integer_of(value) : big_endian(value);
  }
  return std::nullopt;
}

/// The first column of the primary key, when a row keeps it until somebody assigns it, and nothing but its own writes changes the row.
const sql::Column* key_column(const sql::Relation& relation) {
  if (relation.kind != 'r' || relation.has_children || relation.parent != 0 || relation.has_user_triggers || relation.has_rules) return nullptr;
  // ON DELETE CASCADE to itself takes rows of other keys along.
  if (std::find(relation.referencing.begin(), relation.referencing.end(), relation.oid) != relation.referencing.end()) return nullptr;
  for (const sql::Index& index : relation.indexes) {
    if (!index.primary || index.columns.empty()) continue;
    const sql::Column* column = relation.column(index.columns.front());
    return column != nullptr && is_integer(column->type) && !column->generated ? column : nullptr;
  }
  return nullptr;
}

}  // namespace

std::optional<KeyWord> key_of(const sql::Analysis& analysis, const sql::Catalog& catalog, sql::Oid table, const Call& call) {
  if (analysis.key_conditions.empty() || analysis.tables.size() != 1 || !catalog.usual_integers) return std::nullopt;
  const sql::Relation* relation = catalog.by_oid(table);
  const sql::Column* column = relation == nullptr ? nullptr : key_column(*relation);
  if (column == nullptr || std::find(analysis.assigned.begin(), analysis.assigned.end(), column->name) != analysis.assigned.end()) return std::nullopt;
  for (const auto& condition : analysis.key_conditions) {
    if (condition.column != column->name) continue;
    const auto value = condition.parameter > 0 ? parameter_of(call, static_cast<std::size_t>(condition.parameter - 1))
                                               : integer_of_literal(sql::literal_of(call.text, condition.literal));
    if (value) return KeyWord{table, word_of(table, static_cast<std::uint64_t>(*value) % buckets)};
  }
  return std::nullopt;
}

void narrow(WriteSet& writes, const sql::Analysis& analysis, const sql::Catalog& catalog, const Call& call) {
  if (analysis.kind != sql::StatementKind::update && analysis.kind != sql::StatementKind::delete_) return;
  if (!writes.writes || writes.everything || writes.relations.size() != 1) return;
  if (const auto key = key_of(analysis, catalog, writes.relations.front(), call)) {
    writes.keys = {*key};
    writes.relations.clear();
  }
}

sql::Oid unknown_rows(sql::Oid table) { return word_of(table, buckets); }

std::vector<sql::Oid> words_read(std::span<const sql::Oid> relations, const std::optional<KeyWord>& key) {
  if (key) return {unknown_rows(key->table), key->word};
  return {relations.begin(), relations.end()};
}

std::vector<sql::Oid> words_written(const WriteSet& writes) {
  std::vector<sql::Oid> words;
  if (writes.everything || (writes.relations.empty() && writes.keys.empty())) return {word_cat};  // nobody knows where: everywhere
  for (const sql::Oid relation : writes.relations) {
    words.push_back(relation);
    if (relation >= first_user_oid) words.push_back(unknown_rows(relation));
  }
  for (const KeyWord& key : writes.keys) words.insert(words.end(), {key.table, key.word});
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  return words;
}

}  // namespace pgsteer::cache
