// `pgsteer bench`: another program, so that the proxy itself carries no benchmark.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "proxy/cli/cli.hpp"

namespace pgsteer::proxy::cli {

std::function<int()> add_bench(CLI::App& app, const std::string& executable) {
  app.prefix_command();
  app.set_help_flag();  // its own --help is the other program's
  app.set_version_flag();
  return [&app, executable] {
    const auto program = std::filesystem::path(executable).parent_path() / "pgsteer-bench";
    auto words = app.remaining();
    std::vector<char*> argv{const_cast<char*>("pgsteer bench")};
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    ::execv(program.c_str(), argv.data());
    std::cerr << "pgsteer bench: " << program.string() << ": " << std::strerror(errno) << "\n";
    return exit_failure;
  };
}

}  // namespace pgsteer::proxy::cli
