#include <doctest.h>

#include <algorithm>

#include "protocol/startup.hpp"

using namespace pgsteer::protocol;
using namespace std::string_literals;

namespace {

std::string int32(std::uint32_t v) {
  return {static_cast<char>(v >> 24), static_cast<char>(v >> 16), static_cast<char>(v >> 8), static_cast<char>(v)};
}
std::string packet(std::uint32_t code, const std::string& rest = {}) {
  return int32(static_cast<std::uint32_t>(8 + rest.size())) + int32(code) + rest;
}

}  // namespace

TEST_CASE("lengths of a first packet") {
  struct Row {
    std::uint32_t length;
    bool good;
  };
  for (const auto& [length, good] : {Row{8, true}, {16, true}, {10000, true}, {7, false}, {4, false}, {0, false}, {10001, false},
                                     {0x7fffffff, false}, {0x80000000u, false}, {0xffffffffu, false}}) {
    CAPTURE(length);
    CHECK(first_packet_bytes(int32(length)).has_value() == good);
  }
  for (std::size_t n = 0; n < 4; ++n) CHECK_FALSE(first_packet_bytes(int32(8).substr(0, n)).has_value());
}

TEST_CASE("kinds of a first packet") {
  struct Row {
    const char* name;
    std::string bytes;
    FirstPacket kind;
    const char* why;
  };
  const std::string user = "user\0u\0"s;
  const Row rows[] = {
      {"SSLRequest", packet(kSslRequest), FirstPacket::ssl_request, ""},
      {"GSSENCRequest", packet(kGssEncRequest), FirstPacket::gssenc_request, ""},
      {"CancelRequest", packet(kCancelRequest, int32(1) + int32(2)), FirstPacket::cancel_request, ""},
      {"CancelRequest with a long key", packet(kCancelRequest, int32(1) + std::string(32, 'k')), FirstPacket::cancel_request, ""},
      {"CancelRequest, cut", packet(kCancelRequest, int32(1)), FirstPacket::malformed, ""},
      {"3.0", packet(kProtocol3, user + "\0"s), FirstPacket::startup, ""},
      {"3.2", packet(kProtocol3 + 2, user + "_pq_.x\0y\0"s + "\0"s), FirstPacket::startup, ""},
      {"2.0", packet(2 << 16, user + "\0"s), FirstPacket::malformed, "unsupported frontend protocol 2.0"},
      {"4.0", packet(4 << 16, user + "\0"s), FirstPacket::malformed, "unsupported frontend protocol 4.0"},
      {"no user", packet(kProtocol3, "database\0d\0"s + "\0"s), FirstPacket::malformed, "no PostgreSQL user name"},
      {"nothing", packet(kProtocol3), FirstPacket::malformed, "invalid startup packet layout"},
      {"no terminator", packet(kProtocol3, user), FirstPacket::malformed, "invalid startup packet layout"},
      {"a name without a value", packet(kProtocol3, user + "database\0"s), FirstPacket::malformed, "invalid startup packet layout"},
      {"bytes behind the terminator", packet(kProtocol3, user + "\0more"s), FirstPacket::malformed, "invalid startup packet layout"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.name);
    const auto startup = read_startup(row.bytes);
    CHECK(startup.kind == row.kind);
    CHECK(startup.why.find(row.why) != std::string::npos);
  }
}

TEST_CASE("every truncation of a startup packet is malformed, never read beyond") {
  const auto whole = packet(kProtocol3, "user\0alice\0database\0d\0options\0-c a=b\0\0"s);
  CHECK(read_startup(whole).kind == FirstPacket::startup);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    CAPTURE(n);
    CHECK(read_startup(std::string_view(whole).substr(0, n)).kind == FirstPacket::malformed);
  }
}

TEST_CASE("what a startup packet says") {
  const auto s = read_startup(packet(kProtocol3, "user\0alice\0application_name\0app\0DateStyle\0German\0"
                                                 "options\0-c Search-Path=a\\ b --work_mem=5MB -cjit=off\0replication\0database\0\0"s));
  REQUIRE(s.kind == FirstPacket::startup);
  CHECK(s.user == "alice");
  CHECK(s.database == "alice");
  CHECK(s.application == "app");
  CHECK(s.replication == "database");
  CHECK(s.options_understood);
  using Setting = std::pair<std::string, std::string>;
  const auto has = [&](const Setting& x) { return std::find(s.settings.begin(), s.settings.end(), x) != s.settings.end(); };
  CHECK(has({"datestyle", "German"}));
  CHECK(has({"search_path", "a b"}));
  CHECK(has({"work_mem", "5MB"}));
  CHECK(has({"jit", "off"}));
}

TEST_CASE("options") {
  struct Row {
    const char* options;
    std::vector<std::string> words;
    bool understood;
  };
  const Row rows[] = {
      {"", {}, true},
      {"  ", {}, true},
      {"-c a=b", {"-c", "a=b"}, true},
      {" -c  a=\\ x\\\\y ", {"-c", "a= x\\y"}, true},
      {"-c", {"-c"}, false},
      {"-c a", {"-c", "a"}, false},
      {"-c =a", {"-c", "=a"}, false},
      {"--a", {"--a"}, false},
      {"-B 100", {"-B", "100"}, false},
      {"a\\", {"a\\"}, false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.options);
    CHECK(split_options(row.options) == row.words);
    CHECK(read_startup(packet(kProtocol3, "user\0u\0options\0"s + row.options + "\0\0"s)).options_understood == row.understood);
  }
}
