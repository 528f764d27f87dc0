#include "proxy/feed/decoded.hpp"

#include <doctest.h>

using namespace pgsteer::proxy::feed;

namespace {

Commit commit_of(std::initializer_list<const char*> lines) {
  Decoder decoder;
  std::optional<Commit> commit;
  for (const char* line : lines) {
    REQUIRE_FALSE(commit);
    commit = decoder.add(line);
  }
  REQUIRE(commit);
  return *commit;
}

using Names = std::vector<std::pair<std::string, std::string>>;

}  // namespace

TEST_CASE("the relations of a transaction are each named once") {
  const Commit commit = commit_of({"BEGIN 745", "table public.t: INSERT: id[integer]:1 note[text]:'a: b'", "table public.t: INSERT: id[integer]:2",
                                   "table s.u: UPDATE: id[integer]:1", "table public.t: DELETE: (no-tuple-data)", "COMMIT 745"});
  CHECK(commit.xid == 745);
  CHECK_FALSE(commit.everything);
  CHECK_FALSE(commit.own);
  CHECK(commit.relations == Names{{"public", "t"}, {"s", "u"}});
}

TEST_CASE("names that need quotes") {
  const Commit commit = commit_of({"BEGIN 1", R"(table "Odd.One"."we: ""ird"", x": INSERT: a[integer]:1)", "COMMIT 1"});
  CHECK_FALSE(commit.everything);
  CHECK(commit.relations == Names{{"Odd.One", "we: \"ird\", x"}});
}

TEST_CASE("TRUNCATE names several") {
  const Commit commit = commit_of({"BEGIN 1", R"(table public.a, public."b c", s.d: TRUNCATE: restart_seqs cascade)", "COMMIT 1"});
  CHECK(commit.relations == Names{{"public", "a"}, {"public", "b c"}, {"s", "d"}});
  CHECK_FALSE(commit.everything);
}

TEST_CASE("a transaction without a change has changed a catalog") {
  CHECK(commit_of({"BEGIN 9", "COMMIT 9"}).everything);
  CHECK(commit_of({"BEGIN 9", "message: transactional: 1 prefix: audit, sz: 2 content:xy", "COMMIT 9"}).everything);
}

TEST_CASE("messages: ours is no write, an event trigger's is a write of everything") {
  const Commit own = commit_of({"BEGIN 9", "message: transactional: 1 prefix: pgsteer, sz: 0 content:", "COMMIT 9"});
  CHECK(own.own);
  CHECK_FALSE(own.everything);
  CHECK(commit_of({"BEGIN 9", "table public.t: INSERT: id[integer]:1", "message: transactional: 1 prefix: pgsteer_ddl, sz: 0 content:", "COMMIT 9"})
            .everything);
}

TEST_CASE("what is not understood is a write of everything") {
  CHECK(commit_of({"BEGIN 9", "something new", "COMMIT 9"}).everything);
  CHECK(commit_of({"BEGIN 9", "table public.t", "COMMIT 9"}).everything);
  CHECK(commit_of({"BEGIN 9", R"(table public."t: INSERT: 1)", "COMMIT 9"}).everything);
  CHECK(commit_of({"BEGIN 9", "table t: INSERT: 1", "COMMIT 9"}).everything);
  CHECK(commit_of({"BEGIN 9", "table public.t: INSERT: 1", "COMMIT x"}).everything);
  CHECK(commit_of({"BEGIN 9", "table public.a, : TRUNCATE: (no-flags)", "COMMIT 9"}).everything);
}

TEST_CASE("a transaction begins anew") {
  Decoder decoder;
  decoder.add("BEGIN 1");
  decoder.add("table public.t: INSERT: 1");
  decoder.add("BEGIN 2");
  CHECK(decoder.add("COMMIT 2")->everything);
  decoder.add("BEGIN 3");
  decoder.add("table public.t: INSERT: 1");
  CHECK(decoder.add("COMMIT 3 (at 2026-01-01 00:00:00+00)")->relations == Names{{"public", "t"}});
}

TEST_CASE("who is visible in a snapshot") {
  const auto none = ServerSnapshot::parse("100:100:");
  REQUIRE(none);
  CHECK_FALSE(none->in_progress(99));
  CHECK(none->in_progress(100));
  CHECK(none->in_progress(101));
  const auto some = ServerSnapshot::parse("4294967290:4294967300:4294967290,4294967298");  // across the lower half's end
  REQUIRE(some);
  CHECK(some->under_way.size() == 2);
  CHECK(some->in_progress(4294967290u));
  CHECK_FALSE(some->in_progress(4294967291u));
  CHECK(some->in_progress(2));
  CHECK_FALSE(some->in_progress(1));
  CHECK(some->in_progress(4));
  for (const char* wrong : {"", "1", "1:2", "a:2:", "1:b:", "1:2:x", "1:2:3,,4"}) CHECK_FALSE(ServerSnapshot::parse(wrong));
}

TEST_CASE("positions in the WAL") {
  CHECK(parse_lsn("16/B374D848") == 0x16B374D848u);
  CHECK(parse_lsn("0/0") == 0u);
  for (const char* wrong : {"", "16", "16/", "/1", "16/x", "1/2/3"}) CHECK_FALSE(parse_lsn(wrong));
  CHECK(reached(100, 100));
  CHECK_FALSE(reached(99, 100));
  CHECK(reached(8192, 8192 + 24));
  CHECK_FALSE(reached(8191, 8192 + 24));
  CHECK_FALSE(reached(8192, 8192 + 48));
}
