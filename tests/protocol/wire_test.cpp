#include <doctest.h>

#include "protocol/wire.hpp"

using namespace pgsteer::protocol;
using namespace std::string_literals;

namespace {

std::string body(std::string message) { return message.substr(kHeaderBytes); }

/// Every proper beginning, and the whole with one byte more, must be refused by `read`.
template <class Read>
void refuses_all_cuts(const std::string& whole, Read read) {
  CHECK(read(whole).has_value());
  for (std::size_t n = 0; n < whole.size(); ++n) {
    CAPTURE(n);
    CHECK_FALSE(read(std::string_view(whole).substr(0, n)).has_value());
  }
  CHECK_FALSE(read(whole + "x").has_value());
}

std::string bind(std::string_view portal, std::string_view statement, std::vector<int> formats,
                 std::vector<std::optional<std::string>> values, std::vector<int> results) {
  std::string out;
  {
    Message m(out, 'B');
    m.cstring(portal).cstring(statement).int16(static_cast<std::uint16_t>(formats.size()));
    for (const int f : formats) m.int16(static_cast<std::uint16_t>(f));
    m.int16(static_cast<std::uint16_t>(values.size()));
    for (const auto& v : values) {
      if (v) m.int32(static_cast<std::uint32_t>(v->size())).bytes(*v);
      else m.int32(0xffffffffu);
    }
    m.int16(static_cast<std::uint16_t>(results.size()));
    for (const int f : results) m.int16(static_cast<std::uint16_t>(f));
  }
  return out;
}

}  // namespace

TEST_CASE("a reader stops at the first field that does not fit, and stays stopped") {
  const std::string bytes = "\0\1\0\0\0\2abc\0x"s;
  Reader r(bytes);
  CHECK(r.int16() == 1);
  CHECK(r.int32() == 2);
  CHECK(r.cstring() == "abc");
  CHECK(r.int32() == 0);
  CHECK_FALSE(r.ok());
  CHECK(r.int8() == 0);  // the byte is there, but nothing is read after a failure
  CHECK(Reader("abc").cstring().empty());
  Reader huge("abc");
  CHECK(huge.bytes(std::size_t(-1)).empty());
  CHECK_FALSE(huge.ok());
}

TEST_CASE("a message carries its own length") {
  std::string out = "before";
  { Message(out, 'D').int8(1).int16(0x0203).int32(0x04050607).cstring("x").bytes("yz"); }
  CHECK(out == "beforeD\0\0\0\x0f\1\2\3\4\5\6\7x\0yz"s);
}

TEST_CASE("a header needs five bytes") {
  const std::string bytes = "Q\0\0\1\2"s;
  for (std::size_t n = 0; n < 5; ++n) CHECK_FALSE(peek_header(bytes.substr(0, n)).has_value());
  CHECK(peek_header(bytes)->type == 'Q');
  CHECK(peek_header(bytes)->length == 258);
  CHECK(peek_header(bytes)->total() == 259);
  CHECK(peek_header("Q\xff\xff\xff\xff"s)->total() == 0x100000000ull);  // does not wrap around
}

TEST_CASE("headers a server would not accept") {
  struct Row {
    char type;
    std::uint32_t length;
    bool violates;
  };
  const Row rows[] = {
      {'Q', 4, false},          {'Q', 3, true},           {'Q', 0, true},           {'Q', 0x3ffffffe, false}, {'Q', 0x3fffffff, true},
      {'Q', 0x80000000u, true}, {'Q', 0xffffffffu, true}, {'P', 1u << 29, false},   {'B', 1u << 29, false},   {'d', 1u << 29, false},
      {'F', 1u << 29, false},   {'S', 4, false},          {'S', 10000, false},      {'S', 10001, true},       {'E', 10001, true},
      {'D', 10001, true},       {'C', 10001, true},       {'H', 10001, true},       {'X', 10001, true},       {'c', 10001, true},
      {'f', 10001, true},       {'p', 60000, false},      {'!', 4, true},           {'\0', 4, true},          {'Z', 4, true},
      {'R', 8, true},
  };
  for (const auto& row : rows) {
    CAPTURE(row.type);
    CAPTURE(row.length);
    CHECK(violates_protocol({row.type, row.length}) == row.violates);
  }
}

TEST_CASE("Parse") {
  std::string out;
  append_parse(out, "s1", "select $1", {23, 0xffffffffu});
  const auto parse = read_parse(std::string_view(out).substr(kHeaderBytes));
  REQUIRE(parse);
  CHECK(parse->name == "s1");
  CHECK(parse->text == "select $1");
  CHECK(parse->parameter_types == std::vector<std::uint32_t>{23, 0xffffffffu});
  refuses_all_cuts(body(out), read_parse);
  CHECK_FALSE(read_parse("\0select 1\0\xff\xff"s).has_value());  // 65535 types that are not there
}

TEST_CASE("Bind") {
  const auto message = bind("p", "s", {1, 0}, {"abc", std::nullopt, ""}, {1});
  const std::string whole = body(message);
  const auto read = read_bind(whole);
  REQUIRE(read);
  CHECK(read->portal == "p");
  CHECK(read->statement == "s");
  CHECK(read->result_formats == "\0\1\0\1"s);
  CHECK("p\0s\0"s + std::string(read->parameters) + std::string(read->result_formats) == whole);
  refuses_all_cuts(whole, read_bind);
  struct Row {
    const char* name;
    std::string bytes;
  };
  const Row wrong[] = {
      {"a value longer than the message", "\0\0\0\0\0\1\0\0\0\5abc\0\0"s},
      {"a value of 2 GB", "\0\0\0\0\0\1\x7f\xff\xff\xff" "abc\0\0"s},
      {"a length of -2", "\0\0\0\0\0\1\xff\xff\xff\xfe" "abc\0\0"s},
      {"formats beyond the end", "\0\0\xff\xff\0\0\0\0"s},
      {"values beyond the end", "\0\0\0\0\xff\xff\0\0"s},
      {"result formats beyond the end", "\0\0\0\0\0\0\xff\xff"s},
      {"no end of the name", "abc"s},
  };
  for (const auto& row : wrong) {
    CAPTURE(row.name);
    CHECK_FALSE(read_bind(row.bytes).has_value());
  }
  std::string ours;
  append_bind_text(ours, "set", {"name", "value"});
  CHECK(body(ours) == body(bind("", "set", {}, {"name", "value"}, {})));
}

TEST_CASE("Describe, Close and Execute") {
  std::string close, execute;
  append_close_statement(close, "s");
  refuses_all_cuts(body(close), read_target);
  CHECK(read_target("Pname\0"s)->name == "name");
  CHECK_FALSE(read_target("Xname\0"s).has_value());
  append_execute(execute, "p");
  refuses_all_cuts(body(execute), read_execute);
  CHECK(read_execute("p\0\0\0\0\7"s)->max_rows == 7);
}

TEST_CASE("DataRow") {
  const std::string row = "\0\3\0\0\0\2ab\xff\xff\xff\xff\0\0\0\0"s;
  const auto values = read_data_row(row);
  REQUIRE(values);
  REQUIRE(values->size() == 3);
  CHECK((*values)[0] == "ab");
  CHECK_FALSE((*values)[1].has_value());
  CHECK((*values)[2] == "");
  refuses_all_cuts(row, read_data_row);
  CHECK_FALSE(read_data_row("\xff\xff"s).has_value());
}

TEST_CASE("fields of an error, and its position moved back") {
  std::string error;
  append_error(error, {.severity = "ERROR", .sqlstate = "42703", .message = "no column", .detail = "d", .hint = "h"});
  CHECK(error_field(body(error), 'C') == "42703");
  CHECK(error_field(body(error), 'M') == "no column");
  CHECK(error_field(body(error), 'P').empty());
  for (std::size_t n = 0; n < body(error).size(); ++n) error_field(body(error).substr(0, n), 'P');  // ends, at any cut
  CHECK(error_field("", 'C').empty());
  CHECK(error_field("C4270", 'C').empty());  // cut in the value
  const std::string positioned = "SERROR\0C42703\0Mx\0P30\0Ff.c\0\0"s;
  CHECK(error_field(body(with_shifted_position(positioned, 20)), 'P') == "10");
  CHECK(error_field(body(with_shifted_position(positioned, 20)), 'F') == "f.c");
  CHECK(error_field(body(with_shifted_position(positioned, 30)), 'P').empty());
  CHECK(error_field(body(with_shifted_position(positioned, -1)), 'P').empty());
  const auto cut = with_shifted_position("SERROR\0C42703\0Mx"s, 5);
  CHECK(peek_header(cut)->total() == cut.size());
  CHECK(cut.back() == '\0');
}
