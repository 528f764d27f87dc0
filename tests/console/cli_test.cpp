// The program itself: exit codes and words of the command line.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/servers.hpp"

using pgsteer::test::run_command;

namespace {

pgsteer::test::CommandResult pgsteer_run(const std::string& arguments) {
  return run_command(std::string(PGSTEER_BINARY_DIR "/pgsteer ") + arguments + " 2>&1", 60);
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("the command line") {
  if (!std::filesystem::exists(PGSTEER_BINARY_DIR "/pgsteer")) {
    MESSAGE("SKIPPED: the program is not built");
    CHECK_MESSAGE(std::getenv("CI") == nullptr, "in CI it must be");
    return;
  }
  SUBCASE("help and version everywhere") {
    for (const char* command : {"", "run", "check", "train", "explain", "ctl", "report workload", "report model"}) {
      CAPTURE(command);
      const auto help = pgsteer_run(std::string(command) + " --help");
      CHECK(help.exit_code == 0);
      CHECK(contains(help.output, "--"));
      const auto version = pgsteer_run(std::string(command) + " --version");
      CHECK(version.exit_code == 0);
      CHECK(contains(version.output, "pgsteer " PGSTEER_VERSION));
    }
  }
  SUBCASE("bench is a program of its own") {
    const auto result = pgsteer_run("bench --x");
    CHECK((result.exit_code == 64 || contains(result.output, "pgsteer-bench: No such file")));
  }
  SUBCASE("report is a group: it names its members") {
    const auto help = pgsteer_run("report --help");
    CHECK(help.exit_code == 0);
    CHECK(contains(help.output, "workload"));
    CHECK(contains(help.output, "model"));
    CHECK(pgsteer_run("report").exit_code == 64);
    const auto wrong = pgsteer_run("report wokload");
    CHECK(wrong.exit_code == 64);
    CHECK(contains(wrong.output, "did you mean 'workload'?"));
    CHECK(pgsteer_run("report workload --since yesterday --state-dir /nonexistent").exit_code == 64);
    CHECK(pgsteer_run("report workload --state-dir /nonexistent").exit_code == 1);
  }
  SUBCASE("a wrong name gives the nearest one") {
    struct {
      const char* arguments;
      const char* near;
    } const cases[] = {{"--upstraem x", "--upstream"}, {"run --polices x", "--policies"}, {"chek", "check"}, {"report workload --untl now", "--until"},
                       {"check --statment x", "--statement"}, {"ctl --prot 5 SHOW STATS", "--port"}, {"train --max-tree 5", "--max-trees"}};
    for (const auto& c : cases) {
      CAPTURE(c.arguments);
      const auto result = pgsteer_run(c.arguments);
      CHECK(result.exit_code == 64);
      CHECK(contains(result.output, std::string("did you mean '") + c.near + "'?"));
    }
  }
  SUBCASE("check: plain words, or every error and 78") {
    pgsteer::test::TempDir dir;
    std::filesystem::create_directory(dir.path() + "/policies");
    std::ofstream(dir.path() + "/policies/a.toml") << "[[rule]]\nname = \"pages\"\nmatch = { database = \"shop\", table = \"products\" }\nmode = \"auto\"\n";
    const std::string flags = "check --state-dir " + dir.path() + " --policies " + dir.path() + "/policies";
    const auto good = pgsteer_run(flags + " --statement 'select * from products' --database shop --user web");
    CAPTURE(good.output);
    CHECK(good.exit_code == 0);
    CHECK(contains(good.output, "decides: rule \"pages\""));
    const auto other = pgsteer_run(flags + " --statement 'select * from orders' --database shop");
    CHECK(contains(other.output, "tables are orders, wanted products"));
    CHECK(contains(other.output, "decides: [default]"));
    std::ofstream(dir.path() + "/policies/b.toml") << "[[rule]]\nname = \"x\"\nmdoe = \"auto\"\n";
    const auto bad = pgsteer_run(flags);
    CAPTURE(bad.output);
    CHECK(bad.exit_code == 78);
    CHECK(contains(bad.output, "b.toml:3"));
    CHECK(contains(bad.output, "mode"));
    CHECK(pgsteer_run("check --set limits.max_client_con=5").exit_code == 78);
    CHECK(pgsteer_run("run --set no.such=5").exit_code == 78);
  }
  SUBCASE("ctl and explain say that nobody answers") {
    const auto port = std::to_string(pgsteer::test::free_port());
    CHECK(pgsteer_run("ctl --port " + port + " SHOW STATS").exit_code == 1);
    CHECK(pgsteer_run("ctl").exit_code == 64);
    CHECK(pgsteer_run("explain --url postgresql://127.0.0.1:" + port + "/x 'select 1'").exit_code == 1);
    CHECK(pgsteer_run("explain ''").exit_code == 64);
  }
}
