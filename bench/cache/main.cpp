#include <cstdio>
#include <string_view>

#include "bench/cache/bench.hpp"

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "all";
  if (what != "all" && what != "parts" && what != "redis" && what != "admission") {
    std::fputs("usage: bench_cache [all|parts|redis|admission]\n", stderr);
    return 2;
  }
  if (what == "all" || what == "parts") pgsteer::bench::bench_parts();
  if (what == "all" || what == "redis") pgsteer::bench::bench_redis();
  if (what == "all" || what == "admission")
    for (const unsigned seed : {7u, 11u}) pgsteer::bench::simulate_admission(seed);
  return 0;
}
