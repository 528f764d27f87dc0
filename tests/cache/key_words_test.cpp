#include <doctest/doctest.h>

#include <set>

#include "cache/cache.hpp"
#include "protocol/wire.hpp"

using namespace pgsteer;
using cache::Call, cache::KeyWord;
using sql::Oid;

namespace {

constexpr Oid table = 20000, int8 = 20, int2 = 21, int4 = 23, text = 25, numeric = 1700, float8 = 701;

/// t(k <type> primary key, v int4).
sql::Relation relation(Oid type = int4) {
  sql::Relation r;
  r.oid = table;
  r.schema = "public";
  r.name = "t";
  sql::Column k, v;
  k.name = "k";
  k.number = 1;
  k.type = type;
  v.name = "v";
  v.number = 2;
  v.type = int4;
  r.columns = {k, v};
  sql::Index primary;
  primary.columns = {1};
  primary.primary = primary.unique = primary.valid = true;
  r.indexes = {primary};
  return r;
}

sql::Catalog catalog_of(sql::Relation r) {
  sql::Catalog catalog;
  catalog.usual_integers = true;
  catalog.add(std::move(r));
  return catalog;
}

std::optional<KeyWord> key(std::string_view statement, const sql::Catalog& catalog) {
  return cache::key_of(*sql::analyse(statement), catalog, table, {statement, {}, {}, false});
}
std::optional<KeyWord> key(std::string_view statement) { return key(statement, catalog_of(relation())); }

/// Bind's parameter section with one value.
std::string bound(std::string_view value, int format) {
  std::string bytes;
  const auto int16 = [&](int n) { bytes.append({static_cast<char>(n >> 8), static_cast<char>(n)}); };
  int16(1);
  int16(format);
  int16(1);
  protocol::append_int32(bytes, static_cast<std::uint32_t>(value.size()));
  return bytes.append(value);
}
std::optional<KeyWord> key_bound(std::string_view statement, std::string_view value, int format, std::vector<std::uint32_t> types = {}) {
  const auto bytes = bound(value, format);
  return cache::key_of(*sql::analyse(statement), catalog_of(relation()), table, {statement, types, bytes, true});
}

}  // namespace

TEST_CASE("equal integers have one word, however they are spelt; other spellings have none") {
  using namespace std::string_view_literals;
  const auto five = key("select v from t where k = 5");
  REQUIRE(five);
  CHECK(five->table == table);
  CHECK(five->word != table);
  for (const char* same : {"select v from t where k = 05", "select v from t where k = '5'", "select v from t where k='005'", "delete from t where k = 5",
                           "update t set v = v + 1 where k = 5", "select * from t x where x.k = 5 and v > 3", "select v from t where v = 7 and (k = 5 and v > 1)",
                           "select sum(v), count(*) from public.t where t.k = 5 group by k having count(*) > 1 order by 1 limit 1",
                           "update t as x set v = 1 where x.k = 5 returning k", "select 1, 'a', 2.5 from t where k = 5 and v = 6"}) {
    CAPTURE(same);
    CHECK(key(same) == five);
  }
  for (const Oid type : {0u, int2, int4, int8}) {
    CAPTURE(type);
    CHECK(key_bound("select v from t where k = $1", "5", 0, {type}) == five);
    CHECK(key_bound("select v from t where k = $1", "05", 0, {type}) == five);
    CHECK(key_bound("select v from t where k = $1", "\0\0\0\5"sv, 1, {type}) == five);
    CHECK(key_bound("select v from t where k = $1", "\0\5"sv, 1, {type}) == five);
    CHECK(key_bound("update t set v = 1 where k = $1", "\0\0\0\0\0\0\0\5"sv, 1, {type}) == five);
  }
  CHECK(key_bound("select v from t where k = $1", "-5", 0) == key_bound("select v from t where k = $1", "\xff\xff\xff\xfb"sv, 1));
  CHECK(key("select v from t where k = '-5'") == key_bound("select v from t where k = $1", "-5", 0));
  CHECK(key("select v from t where k = 6") != five);
  for (const char* value : {"+5", " 5", "5 ", "5.0", "5e0", "", "0x5", "1234567890123456789", "five", "--5"}) {
    CAPTURE(value);
    CHECK_FALSE(key_bound("select v from t where k = $1", value, 0));
  }
  for (const auto value : {""sv, "\5"sv, "\0\0\5"sv, "\0\0\0\0\0"sv}) CHECK_FALSE(key_bound("select v from t where k = $1", value, 1));
  for (const Oid type : {text, numeric, float8}) CHECK_FALSE(key_bound("select v from t where k = $1", "5", 0, {type}));
}

TEST_CASE("what is no condition on the key of every row has no word") {
  for (const char* statement :
       {"select v from t", "select v from t where v = 5", "select v from t where k > 5", "select v from t where k = 5 or v = 1", "select v from t where not k = 5",
        "select v from t where k = 5.0", "select v from t where k = 5::int", "select v from t where k = - 5", "select v from t where k + 0 = 5", "select v from t where k = v",
        "select v from t where k = e'5'", "select v from t where k = U&'5'", "select v from t where k = $$5$$", "select v from t where (k = 5) is not true",
        "select v from t where (k = 5) = false", "select v from t where k operator(pg_catalog.=) 5", "select v from t where k <> 5", "select v from t where k = null",
        "select v from t where k in (5)", "select v from t where k = any('{5}')", "select v from t, t b where t.k = 5", "select t.v from t join t b on true where t.k = 5",
        "select v from t where k = 5 and v = (select max(v) from t)", "select (select max(v) from t) from t where k = 5", "select v from t where k = 5 and exists (select 1)",
        "with x as (select 1) select v from t where k = 5", "select v from t where k = 5 union select 1", "select v from (select * from t) t where k = 5",
        "select v from t tablesample system (100) where k = 5", "select v from t x where t.k = 5", "select v from t where public.t.k = 5",
        "select v from t, generate_series(1, 2) where k = 5", "update t set v = 1", "update t set k = 6 where k = 5", "update t set (v, k) = (1, 2) where k = 5",
        "update t set v = b.v from t b where t.k = 5", "delete from t using t b where t.k = 5", "with x as (delete from t) update t set v = 1 where k = 5",
        "update t set v = (select max(v) from t) where k = 5", "insert into t values (5, 5)", "insert into t values (5, 5) on conflict (k) do update set v = 1 where t.k = 5",
        "explain analyze update t set v = 1 where k = 5", "update t set v = 1 where k = 5; update t set v = 2 where k = 6"}) {
    CAPTURE(statement);
    CHECK_FALSE(key(statement));
  }
  // A parameter that stands elsewhere too may have its type from there.
  CHECK_FALSE(key_bound("select v from t where $1::float4 > 0 and k = $1", "16777217", 0));
  CHECK_FALSE(key_bound("select v, $1::numeric from t where k = $1", "5", 0));
  CHECK_FALSE(key_bound("select v from t where k = $2", "5", 0));
  CHECK_FALSE(cache::key_of(*sql::analyse("select v from t where k = $1"), catalog_of(relation()), table, {"select v from t where k = $1", {}, {}, true}));
}

TEST_CASE("the n-th literal is that of this text, whichever text of the shape was analysed first") {
  const auto catalog = catalog_of(relation());
  sql::AnalysisCache analyses;
  const auto of = [&](std::string_view statement) { return cache::key_of(*analyses.get(statement), catalog, table, {statement, {}, {}, false}); };
  const auto first = of("select 'x', 3 from t where v = 4 and k = 5");
  const auto second = of("select 'a longer one', 33 from t where v = 44 and k = 6");
  CHECK(first == key("select v from t where k = 5"));
  CHECK(second == key("select v from t where k = 6"));
  CHECK(analyses.get("select 'x', 3 from t where v = 4 and k = 5") == analyses.get("select 'q', 4 from t where v = 5 and k = 7"));  // else this shows nothing
}

TEST_CASE("tables whose rows may change beside a write of their key have no words of rows") {
  struct Case {
    const char* name;
    void (*change)(sql::Relation&);
  };
  const Case cases[] = {{"children", [](sql::Relation& r) { r.has_children = true; }},
                        {"a parent", [](sql::Relation& r) { r.parent = 1; }},
                        {"triggers", [](sql::Relation& r) { r.has_user_triggers = true; }},
                        {"rules", [](sql::Relation& r) { r.has_rules = true; }},
                        {"a view", [](sql::Relation& r) { r.kind = 'v'; }},
                        {"partitioned", [](sql::Relation& r) { r.kind = 'p'; }},
                        {"a foreign key to itself", [](sql::Relation& r) { r.referencing = {table}; }},
                        {"a generated key", [](sql::Relation& r) { r.columns[0].generated = true; }},
                        {"no primary key", [](sql::Relation& r) { r.indexes[0].primary = false; }},
                        {"another key", [](sql::Relation& r) { r.indexes[0].columns = {2, 1}; }},
                        {"a text key", [](sql::Relation& r) { r.columns[0].type = text; }},
                        {"a numeric key", [](sql::Relation& r) { r.columns[0].type = numeric; }},
                        {"a key of a domain", [](sql::Relation& r) { r.columns[0].type = 20001; }}};
  for (const auto& one : cases) {
    CAPTURE(one.name);
    auto r = relation();
    one.change(r);
    CHECK_FALSE(key("select v from t where k = 5", catalog_of(std::move(r))));
  }
  auto composite = relation();
  composite.indexes[0].columns = {1, 2};
  CHECK(key("select v from t where k = 5", catalog_of(composite)) == key("select v from t where k = 5"));
  auto own_operator = catalog_of(relation());
  own_operator.usual_integers = false;
  CHECK_FALSE(key("select v from t where k = 5", own_operator));
}

TEST_CASE("who moves what, and who depends on it") {
  const auto five = key("select v from t where k = 5"), six = key("select v from t where k = 6");
  REQUIRE(five);
  REQUIRE(six);
  const std::vector<Oid> relations{table};
  const auto analysis = sql::analyse("update t set v = 1 where k = 5");
  cache::WriteSet of_five{true, false, relations};
  cache::narrow(of_five, *analysis, catalog_of(relation()), {"update t set v = 1 where k = 5", {}, {}, false});
  CHECK(of_five.relations.empty());
  CHECK(of_five.keys == std::vector{*five});
  const cache::WriteSet anywhere{true, false, relations}, everything{true, true, {}};
  struct Case {
    const char* name;
    cache::WriteSet writes;
    bool five_stays, six_stays, table_stays;
  };
  const Case cases[] = {{"a write of five", of_five, false, true, false}, {"a write of any rows", anywhere, false, false, false}, {"of everything", everything, false, false, false}};
  for (const auto& one : cases) {
    CAPTURE(one.name);
    cache::Words words;
    const auto read_five = words.read("d", cache::words_read(relations, five)), read_six = words.read("d", cache::words_read(relations, six)),
               read_table = words.read("d", cache::words_read(relations, std::nullopt));
    auto mark = words.mark("d", one.writes);
    CHECK(words.unchanged("d", *read_five) == one.five_stays);
    CHECK(words.unchanged("d", *read_six) == one.six_stays);
    CHECK(words.unchanged("d", *read_table) == one.table_stays);
    CHECK(words.read("d", cache::words_read(relations, six)).has_value() == one.six_stays);
    mark.done(false);
    CHECK(words.unchanged("d", *read_five) == one.five_stays);
    CHECK(words.unchanged("d", *read_six) == one.six_stays);
    CHECK(words.unchanged("d", *read_table) == one.table_stays);
  }
  cache::Words words;
  const auto read_five = words.read("d", cache::words_read(relations, five));
  words.bump("d", relations);  // FLUSH CACHE t
  CHECK_FALSE(words.unchanged("d", *read_five));
  // Only an UPDATE or DELETE of that one table is narrowed.
  cache::WriteSet two{true, false, {table, table + 1}};
  cache::narrow(two, *analysis, catalog_of(relation()), {"update t set v = 1 where k = 5", {}, {}, false});
  CHECK(two.keys.empty());
  cache::WriteSet other{true, false, relations};
  cache::narrow(other, *sql::analyse("select v from t where k = 5"), catalog_of(relation()), {"select v from t where k = 5", {}, {}, false});
  CHECK(other.keys.empty());
}

TEST_CASE("words of rows are many, and none is that of all databases") {
  std::set<Oid> words;
  for (int k = 0; k < 4096; ++k) words.insert(key("select v from t where k = " + std::to_string(k))->word);
  CHECK(words.size() > 4090);
  CHECK_FALSE(words.contains(cache::word_everywhere));
  CHECK(*words.begin() >= 0x80000000u);
}
