#include <CLI/CLI.hpp>
#include <chrono>
#include <exception>
#include <string>

#include <fmt/format.h>

#include "bench/workload/loader.hpp"

using namespace pgsteer::workload;

int main(int argc, char** argv) {
  CLI::App app{"pgsteer-workload: sample data, statement classes and measurements"};
  app.require_subcommand(1);
  std::string url;
  std::uint64_t seed = 1;
  Scale scale;
  CLI::App* load_command = app.add_subcommand("load", "generate and load the shop-and-forum data");
  load_command->add_option("--url", url)->required();
  load_command->add_option("--seed", seed);
  load_command->add_option("--scale", scale.factor);
  CLI11_PARSE(app, argc, argv);
  try {
    const auto begin = std::chrono::steady_clock::now();
    const Digest digest = load(url, scale, seed);
    fmt::print("{} rows, checksum {:016x}, {:.1f} s\n", digest.rows, digest.checksum, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  } catch (const std::exception& error) {
    fmt::print(stderr, "pgsteer-workload: {}\n", error.what());
    return 1;
  }
}
