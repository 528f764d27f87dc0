#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "cache/cache.hpp"

using namespace pgsteer::cache;
namespace sql = pgsteer::sql;

namespace {

/// A request, changed one thing at a time.
struct Request {
  sql::SessionFacts session;
  std::uint64_t generation = 1;
  sql::Oid database = 5;
  std::string text = "select v from tb";
  std::vector<std::uint32_t> types;
  std::string parameters, formats;
  Key key() const {
    return make_key({.session = session_key(session), .generation = generation, .database_oid = database, .text = text,
                     .parameter_types = types, .bind_parameters = parameters, .result_formats = formats});
  }
};

template <class Change>
Key with(Change change) {
  Request request;
  request.session.database = "b";
  request.session.user = "app";
  request.session.settings = {{"timezone", "UTC"}, {"application_name", "x"}};
  change(request);
  return request.key();
}

Entry sample() {
  Entry entry;
  entry.key_material = "key material";
  entry.tag = {{0, 5ull << 20}, {16400, 0xFEDCBA9876543ull << 20}};
  entry.row_description = "Tdescription";
  entry.rows = std::string("D\0\0\0\x0b\0\x01\xff\xff\xff\xff", 11);
  entry.complete = "CSELECT 1";
  entry.row_count = 1;
  entry.asked_unix_us = 1'700'000'000'000'000;
  entry.expires_unix_us = -1;
  entry.cost_ms = 12.5;
  entry.fingerprint = "0123456789abcdef";
  return entry;
}

bool same(const Entry& a, const Entry& b) {
  return a.key_material == b.key_material && a.tag == b.tag && a.row_description == b.row_description &&
         a.rows == b.rows && a.complete == b.complete && a.row_count == b.row_count &&
         a.asked_unix_us == b.asked_unix_us && a.expires_unix_us == b.expires_unix_us && a.cost_ms == b.cost_ms &&
         a.fingerprint == b.fingerprint;
}

}  // namespace

TEST_CASE("key: the same request gives the same key, settings outside the key do not matter") {
  const Key key = with([](auto&) {});
  CHECK(key.material == with([](auto&) {}).material);
  CHECK(key.hash == with([](auto&) {}).hash);
  CHECK(key.material == with([](auto& r) { r.session.settings["application_name"] = "y"; }).material);
  CHECK(key.material == with([](auto& r) { r.session.application = "psql"; }).material);
  CHECK(key.hash != std::array<std::uint64_t, 2>{});
}

TEST_CASE("key: whatever can change an answer changes the key") {
  std::set<std::string> materials;
  std::set<std::array<std::uint64_t, 2>> hashes;
  std::size_t requests = 0;
  const auto add = [&](auto change) {
    const Key key = with(change);
    materials.insert(key.material);
    hashes.insert(key.hash);
    ++requests;
  };
  add([](auto&) {});
  add([](auto& r) { r.generation = 2; });
  add([](auto& r) { r.database = 6; });
  add([](auto& r) { r.session.database = "bb"; r.text = "select v from t"; });  // pgpool's mixed-up databases
  add([](auto& r) { r.session.database = "bb"; });
  add([](auto& r) { r.session.user = "ap"; });
  add([](auto& r) { r.session.search_path = "other"; });
  add([](auto& r) { r.text = "select v from  tb"; });
  add([](auto& r) { r.text = "select v from tb/* x */"; });
  add([](auto& r) { r.text = "SELECT v from tb"; });
  add([](auto& r) { r.types = {0}; });
  add([](auto& r) { r.types = {23}; });
  add([](auto& r) { r.types = {25}; });
  add([](auto& r) { r.types = {23, 0}; });
  add([](auto& r) { r.parameters = std::string("\0\0\0\x02\0\0\0\1a\0\0\0\2bc", 15); });
  add([](auto& r) { r.parameters = std::string("\0\0\0\x02\0\0\0\2ab\0\0\0\1c", 15); });
  add([](auto& r) { r.parameters = std::string("\0\0\0\x01\0\0\0\0", 8); });              // ''
  add([](auto& r) { r.parameters = std::string("\0\0\0\x01\xff\xff\xff\xff", 8); });      // NULL
  add([](auto& r) { r.parameters = std::string("\0\1\0\1\0\x01\0\0\0\0", 10); });         // '' in binary
  add([](auto& r) { r.formats = std::string("\0\1\0\0", 4); });
  add([](auto& r) { r.formats = std::string("\0\1\0\1", 4); });
  add([](auto& r) { r.formats = std::string("\0\0", 2); });
  add([](auto& r) { r.text += '\0'; });
  for (const auto name : key_settings()) {
    if (name != "timezone") add([&](auto& r) { r.session.settings[std::string(name)]; });  // set to ""
    add([&](auto& r) { r.session.settings[std::string(name)] = "1"; });
    add([&](auto& r) { r.session.settings[std::string(name)] = "2"; });
  }
  add([](auto& r) { r.session.settings.erase("timezone"); });
  CHECK(materials.size() == requests);
  CHECK(hashes.size() == requests);
}

TEST_CASE("key: fields do not run into each other") {
  const auto pair = [](std::string a, std::string b) {
    return with([&](auto& r) { r.parameters = a; r.formats = b; }).material;
  };
  CHECK(pair("ab", "c") != pair("a", "bc"));
  CHECK(pair("", "abc") != pair("abc", ""));
  KeyInput no_session;
  no_session.text = "x";
  CHECK(make_key(no_session).material != with([](auto& r) { r.text = "x"; }).material);
  CHECK(std::is_sorted(key_settings().begin(), key_settings().end()));
}

TEST_CASE("entry: stored and read back") {
  CHECK(same(*deserialize(serialize(sample())), sample()));
  CHECK(same(*deserialize(serialize(Entry{})), Entry{}));
  Entry large = sample();
  large.rows.assign(3'000'000, 'x');
  for (sql::Oid oid = 1; oid < 1000; ++oid) large.tag.emplace_back(oid, oid);
  CHECK(same(*deserialize(serialize(large)), large));
  CHECK(large.bytes() > 3'000'000);
  CHECK(large.bytes() < 3'100'000);
}

TEST_CASE("entry: every truncation, every flipped bit, anything behind is refused") {
  const std::string good = serialize(sample());
  REQUIRE(deserialize(good));
  for (std::size_t size = 0; size < good.size(); ++size) CHECK_FALSE(deserialize(std::string_view(good).substr(0, size)));
  for (std::size_t at = 0; at < good.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
      CHECK_FALSE(deserialize(bad));
    }
  CHECK_FALSE(deserialize(good + '\0'));
  CHECK_FALSE(deserialize(good + good));
  CHECK_FALSE(deserialize(good.substr(1)));
  CHECK_FALSE(deserialize(std::string(1000, '\0')));
  CHECK_FALSE(deserialize("PGSE"));
}
