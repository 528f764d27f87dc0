#include <algorithm>
#include <random>

#include "tests/rewriter/schema.hpp"

// Tables beside the shop for the differential test only: every type whose equal values may look different, collations that
// are not the default, and keys that are none (partial, deferrable, NOT VALID, over expressions, over nullable columns).
namespace pgsteer::test {

std::string odd_ddl() {
  return R"sql(
CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE COLLATION czech (provider = icu, locale = 'cs-CZ');
CREATE TABLE odd (id int PRIMARY KEY, ci text COLLATE blind, cc text COLLATE "C", cz text COLLATE czech, ch char(5), vc varchar(10),
                  n numeric, n2 numeric(6,2), f float8, r real, iv interval, d date, t time, tt timetz, u uuid, by bytea,
                  b boolean, i2 smallint, i8 bigint, z timestamptz, s timestamp);
CREATE TABLE odd_nn (id bigint PRIMARY KEY, ci text COLLATE blind NOT NULL UNIQUE, cc text COLLATE "C" NOT NULL, n numeric NOT NULL,
                     f float8 NOT NULL, i2 smallint NOT NULL, i8 bigint NOT NULL, b boolean NOT NULL, d date NOT NULL, z timestamptz NOT NULL,
                     vc varchar(10) NOT NULL, iv interval NOT NULL, UNIQUE (n));
CREATE TABLE keys (id int NOT NULL, a int, b int, c int NOT NULL, d int NOT NULL, w text NOT NULL);
CREATE UNIQUE INDEX keys_partial ON keys (c) WHERE d > 0;
CREATE UNIQUE INDEX keys_expression ON keys (d, lower(w));
CREATE UNIQUE INDEX keys_nullable ON keys (a);
CREATE UNIQUE INDEX keys_one_null ON keys (b) NULLS NOT DISTINCT;
CREATE TABLE clash (w text COLLATE blind NOT NULL, v int, k int NOT NULL);
CREATE UNIQUE INDEX clash_w ON clash (w COLLATE "C");
CREATE TABLE refs (id int PRIMARY KEY, c int NOT NULL REFERENCES customers);
CREATE TABLE refs_more () INHERITS (refs);
ALTER TABLE dogs ALTER legs DROP NOT NULL;
CREATE TABLE pairs (x int NOT NULL, y int NOT NULL, k int, m text, PRIMARY KEY (x, y));
CREATE TABLE kids (id int PRIMARY KEY, x int, y int, c int NOT NULL, o int NOT NULL, late int NOT NULL, own int REFERENCES kids,
                   FOREIGN KEY (x, y) REFERENCES pairs, FOREIGN KEY (late) REFERENCES customers DEFERRABLE);
ALTER TABLE kids ADD FOREIGN KEY (c) REFERENCES customers NOT VALID;
CREATE INDEX ON orders (parent_id DESC, note);
CREATE INDEX ON orders (shipped) WHERE flag;
CREATE INDEX ON customers (name COLLATE "C");
CREATE INDEX ON customers USING hash (region);
CREATE INDEX ON items (price);
CREATE INDEX ON products (category);
CREATE INDEX ON bare (a);
CREATE INDEX ON parts (v);
CREATE INDEX ON animals (legs);
CREATE INDEX ON odd (ci);
CREATE INDEX ON odd (cc, id);
CREATE INDEX ON odd (ch);
CREATE INDEX ON odd (n2);
CREATE INDEX ON odd (d);
CREATE INDEX ON odd_nn (i2);
CREATE INDEX ON odd_nn (vc);
CREATE INDEX ON odd_nn (z);
CREATE INDEX ON odd_nn (f);
CREATE INDEX ON odd_nn (iv);
CREATE INDEX ON odd_nn (b);
)sql";
}

std::string odd_rows(std::uint64_t seed) {
  std::mt19937_64 random(seed ^ 0x5bd1e995);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<std::uint64_t>(n)); };
  const auto rows = [&](int most) { return below(8) == 0 ? 0 : 1 + below(most); };
  // Skew: now and then a column has one value throughout.
  const auto one_of = [&](const std::vector<std::string>& list, bool nullable = true) {
    if (nullable && below(100) < 25) return std::string("NULL");
    return list[static_cast<std::size_t>(below(std::min(seed % 5 == 0 ? 2 : 99, static_cast<int>(list.size()))))];
  };
  const std::vector<std::string> words{"'a'", "'A'", "'b'", "''", "'a '", "'5'", "'chata'", "'é'", "E'e\\u0301'", "'B'"},
      numbers{"1.0", "1", "0", "-0.00", "2.50", "5", "'NaN'", "-3.5"}, floats{"0", "-0.0", "1", "'NaN'", "'Infinity'", "2.5", "5"},
      intervals{"'1 day'", "'24 hours'", "'1 month'", "'30 days'", "'0'"}, days{"'2021-11-07'", "'2020-02-29'", "'infinity'", "'2021-01-01'", "'0044-03-15 BC'"},
      times{"'00:00'", "'12:00'", "'24:00'"}, zoned{"'12:00+00'", "'13:00+01'", "'00:00-05'"},
      uuids{"'00000000-0000-0000-0000-000000000001'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"}, bytes{"'\\x'", "'\\x00'", "'\\x61'"},
      flags{"true", "false"}, smalls{"0", "1", "2", "5", "-1", "32767", "-32768"}, larges{"0", "1", "2", "5", "9223372036854775807", "-9223372036854775808"},
      moments{"'2021-11-07 00:30:00-04'", "'2021-11-07 00:30:00-05'", "'2021-11-06 23:30:00-04'", "'2020-12-31 23:59:59.999999+00'", "'infinity'",
              "'-infinity'", "'2021-01-01 00:00:00+00'", "'0044-03-15 12:00:00+00 BC'"},
      integers{"0", "1", "2", "3", "5", "-1"};
  std::string sql = "TRUNCATE odd, odd_nn, keys, clash, refs, pairs, kids;\n";
  const auto insert = [&](const std::string& table, const std::vector<std::string>& values) {
    sql += "INSERT INTO " + table + " VALUES (";
    for (std::size_t i = 0; i < values.size(); ++i) sql += (i ? ", " : "") + values[i];
    sql += ") ON CONFLICT DO NOTHING;\n";
  };
  for (int i = rows(10); i > 0; --i)
    insert("odd", {std::to_string(i), one_of(words), one_of(words), one_of(words), one_of({"'a'", "'a '", "'b'", "''"}), one_of(words), one_of(numbers),
                   one_of({"1", "1.00", "0", "-3.5", "2.50"}), one_of(floats), one_of(floats), one_of(intervals), one_of(days), one_of(times), one_of(zoned),
                   one_of(uuids), one_of(bytes), one_of(flags), one_of(smalls), one_of(larges), one_of(moments), one_of(moments)});
  for (int i = rows(10); i > 0; --i)
    insert("odd_nn", {std::to_string(i), one_of(words, false), one_of(words, false), one_of(numbers, false), one_of(floats, false), one_of(smalls, false),
                      one_of(larges, false), one_of(flags, false), one_of(days, false), one_of(moments, false), one_of(words, false), one_of(intervals, false)});
  for (int i = rows(8); i > 0; --i)
    insert("keys", {std::to_string(below(4)), one_of(integers), one_of(integers), one_of(integers, false), one_of(integers, false),
                    one_of({"'a'", "'A'", "'b'"}, false)});
  for (int i = rows(9); i > 0; --i) insert("clash", {one_of({"'a'", "'A'", "'b'", "'B'", "'é'"}, false), one_of(integers), one_of(integers, false)});
  for (int i = rows(3); i > 0; --i) sql += "INSERT INTO dogs VALUES (" + std::to_string(i) + ", " + one_of({"NULL", "4"}) + ");\n";
  for (int i = rows(9); i > 0; --i) insert("pairs", {one_of({"0", "1", "2"}, false), one_of({"0", "1", "2"}, false), one_of(integers), one_of(words)});
  // What a deferrable constraint allows until commit, and a NOT VALID one for ever: checks off, and rows without a parent.
  sql += "SET LOCAL session_replication_role = replica;\n";
  for (int i = rows(5); i > 0; --i) insert("refs_more", {std::to_string(i), one_of({"0", "1", "77"}, false)});
  for (int i = rows(9); i > 0; --i)
    insert("kids", {std::to_string(i), one_of({"(SELECT max(x) FROM pairs)"}), one_of({"(SELECT max(y) FROM pairs WHERE x = (SELECT max(x) FROM pairs))"}),
                    one_of(integers, false), one_of(integers, false), one_of(integers, false), "NULL"});
  for (int i = rows(4); i > 0; --i)
    sql += "INSERT INTO weak SELECT " + std::to_string(100 + i) + ", " + std::to_string(below(40)) + ";\nINSERT INTO late VALUES (1, " +
           std::to_string(below(3)) + ");\n";
  sql += "UPDATE kids SET own = (SELECT max(id) FROM kids k WHERE k.id < kids.id) WHERE id % 3 > 0;\n";
  return sql;
}

}  // namespace pgsteer::test
