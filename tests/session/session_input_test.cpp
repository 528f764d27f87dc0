#include "tests/session/session_input.hpp"

#include <doctest.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

using pgsteer::test::run_session_input;

namespace {

std::string run(const std::string& input) {
  spdlog::set_level(spdlog::level::off);
  return run_session_input(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

}  // namespace

TEST_CASE("what the fuzzer has found interesting breaks nothing") {
  int inputs = 0;
  for (const char* folder : {"corpus", "crashes"}) {
    const auto path = std::filesystem::path(PGSTEER_SOURCE_DIR) / "tests/session" / folder;
    if (!std::filesystem::exists(path)) continue;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string input{std::istreambuf_iterator<char>(file), {}};
      CAPTURE(entry.path().string());
      CHECK(run(input) == "");
      ++inputs;
    }
  }
  CHECK(inputs > 0);
}

TEST_CASE("random scripts break nothing") {
  std::mt19937 random(20260101);
  for (int round = 0; round < 3000; ++round) {
    std::string input(1 + random() % 60, '\0');
    for (char& c : input) c = static_cast<char>(random());
    CAPTURE(round);
    CHECK(run(input) == "");
  }
}
