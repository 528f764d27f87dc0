#include "proxy/console/words.hpp"

#include <doctest/doctest.h>

using namespace pgsteer::proxy::console;

TEST_CASE("a command is words, whatever stands around them") {
  struct {
    const char* text;
    const char* joined;
  } const cases[] = {
      {"show stats", "show stats"},
      {"  SHOW\tSTATS ;  ; ", "SHOW STATS"},
      {"-- hello\nSHOW STATS -- bye", "SHOW STATS"},
      {"/* a /* nested */ b */ show/**/stats;", "show stats"},
      {"PIN '50fde20626009aba' TO 'arm:no_nestloop'", "PIN '50fde20626009aba' TO 'arm:no_nestloop'"},
      {"PIN 50fde20626009aba to arm:no_nestloop;", "PIN 50fde20626009aba to arm:no_nestloop"},
      {"BAN 'it''s' \"b\"\"c\"", "BAN 'it's' 'b\"c'"},
      {"set mode=auto", "set mode = auto"},
      {"SELECT 'a;b'", "SELECT 'a;b'"},
      {"", ""},
      {";", ""},
      {"-- only a comment", ""},
      {"/* not closed", ""},
      {"SHOW 'not closed", "SHOW 'not closed'"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.text);
    CHECK(join_words(split_words(c.text), 1000) == c.joined);
  }
}

TEST_CASE("a quoted word is never a keyword") {
  CHECK(split_words("off")[0].is("OFF"));
  CHECK_FALSE(split_words("'off'")[0].is("OFF"));
}

TEST_CASE("a long or odd text stays short and whole UTF-8 in a message") {
  const auto joined = join_words(split_words("SHOW " + std::string(59, 'x') + "\xc3\xa4\xc3\xa4"), 60);
  CHECK(joined.size() <= 64);
  CHECK(joined.ends_with("x..."));
}
