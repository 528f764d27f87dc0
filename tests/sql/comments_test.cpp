#include <doctest/doctest.h>

#include <string>

#include "rewriter/sql/analysis.hpp"

using namespace pgsteer::sql;

namespace {

std::string describe(const Analysis& a) {
  std::string out = "mode=" + a.directive.mode.value_or("-") + " cache=" + a.directive.cache.value_or("-");
  for (const auto& [key, value] : a.tags) out += " " + key + "=[" + value + "]";
  return out;
}

}  // namespace

TEST_CASE("comments: directives and sqlcommenter tags") {
  struct Case {
    const char* text;
    const char* expected;
  };
  const Case cases[] = {
      {"SELECT 1", "mode=- cache=-"},
      {"/* pgsteer:off */ SELECT 1", "mode=off cache=-"},
      {"/*pgsteer:off*/ SELECT 1", "mode=off cache=-"},
      {"SELECT /* pgsteer: canary */ 1", "mode=canary cache=-"},
      {"SELECT 1 /* pgsteer:{mode=observe,cache=off} */", "mode=observe cache=off"},
      {"SELECT 1 /* pgsteer:{ cache = 30s } */;", "mode=- cache=30s"},
      {"/* pgsteer:{mode=off,colour=red} */ SELECT 1", "mode=- cache=-"},
      {"/* pgsteer:{mode} */ SELECT 1", "mode=- cache=-"},
      {"/* pgsteer:off; DROP */ SELECT 1", "mode=- cache=-"},
      {"/* pgsteer: */ SELECT 1", "mode=- cache=-"},
      {"/* not pgsteer:off */ SELECT 1", "mode=- cache=-"},
      {"SELECT '/* pgsteer:off */'", "mode=- cache=-"},
      {"SELECT \"/* pgsteer:off */\" FROM t", "mode=- cache=-"},
      {"-- /* pgsteer:off */\nSELECT 1", "mode=- cache=-"},
      {"SELECT 1 /*pgsteer_mode='off',pgsteer_cache='30s'*/", "mode=off cache=30s"},
      {"SELECT 1 /*route='%2Fpolls%201',db_driver='x'*/", "mode=- cache=- db_driver=[x] route=[/polls 1]"},
      {"SELECT 1 /*pgsteer_cache='off',route='a'*/ ;", "mode=- cache=off route=[a]"},
      {"SELECT 1 /*a='it\\'s'*/", "mode=- cache=- a=[it's]"},
      {"SELECT 1 /*a='x',b='y' , c='z'*/", "mode=- cache=- a=[x] b=[y] c=[z]"},
      {"SELECT 1 /*a='%zz%4'*/", "mode=- cache=- a=[%zz%4]"},
      {"SELECT 1 /*a=''*/", "mode=- cache=- a=[]"},
      {"SELECT 1 /*a='x',b*/", "mode=- cache=-"},
      {"SELECT 1 /*a='x*/", "mode=- cache=-"},
      {"SELECT 1 /*a='x' b='y'*/", "mode=- cache=-"},
      {"SELECT 1 /* plain words */", "mode=- cache=-"},
      {"/*a='x'*/ SELECT 1", "mode=- cache=-"},
      {"SELECT 1 /*a='x'*/ + 1", "mode=- cache=-"},
      {"SELECT 1 /*traceparent='00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01'*/",
       "mode=- cache=- traceparent=[00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01]"},
      {"/* pgsteer:off */ SELEC 1 /*a='x'*/", "mode=off cache=- a=[x]"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(describe(*analyse(c.text)) == c.expected);
  }
}
