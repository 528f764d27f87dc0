// One session of the proxy with both its ends in the fuzzer's hands, for clang's libFuzzer (tests/e2e/long/fuzz_session.sh); what it
// finds lies in tests/session/crashes, and a choice of what it kept in tests/session/corpus: both are replayed by the unit tests.
#include <spdlog/spdlog.h>

#include <cstdio>
#include <cstdlib>

#include "tests/session/session_input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  spdlog::set_level(spdlog::level::off);
  if (const auto wrong = pgsteer::test::run_session_input(data, size); !wrong.empty()) {
    std::fprintf(stderr, "%s\n", wrong.c_str());
    std::abort();
  }
  return 0;
}
