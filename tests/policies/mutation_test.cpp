// Property: whatever is done to a policy file, it either loads or each error starts with file:line. Nothing crashes.
#include <filesystem>
#include <fstream>
#include <sstream>

#include <doctest/doctest.h>

#include "tests/policies/decide_fixture.hpp"

namespace pgsteer::policies {
namespace {

std::vector<std::string> valid_files() {
  std::vector<std::string> texts;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(PGSTEER_SOURCE_DIR) + "/conf/samples")) {
    std::ifstream stream(entry.path());
    std::ostringstream text;
    text << stream.rdbuf();
    texts.push_back(text.str());
  }
  return texts;
}

std::string mutate(std::string text, Stream& stream, const std::vector<std::string>& others) {
  static const std::vector<std::string> splinters{"[[rule]]\n", "[default]\n", "[lanes.x]\n", "\"",      "'",   "{",     "}",
                                                  "[",          "]",           "=",           "\n",      "\\",  "\0x",   "-1",
                                                  "1e999",      "nan",         "true",        "\xff",    "#",   "\"\"",  "mode = 3\n",
                                                  "a.b.c = 1\n", "2026-01-01", "9223372036854775808", "\"-\"", "[[lanes]]\n", "\t", "\r"};
  const int edits = 1 + static_cast<int>(stream.next() % 4);
  for (int i = 0; i < edits && !text.empty(); ++i) {
    const std::size_t at = stream.next() % text.size();
    const std::size_t length = stream.next() % 30;
    switch (stream.next() % 6) {
      case 0: text.erase(at, length); break;
      case 1: text.insert(at, splinters[stream.next() % splinters.size()]); break;
      case 2: text[at] = static_cast<char>(stream.next()); break;
      case 3: text.resize(at); break;
      case 4: text.insert(at, text.substr(stream.next() % text.size(), length)); break;
      default: {
        const std::string& other = others[stream.next() % others.size()];
        text.insert(at, other.substr(stream.next() % other.size(), length));
      }
    }
  }
  return text;
}

bool has_place(const std::string& error) {
  const std::string prefix = "some/file.toml:";
  if (!error.starts_with(prefix)) return false;
  const auto colon = error.find(": ", prefix.size());
  if (colon == std::string::npos || colon == prefix.size() || colon + 2 >= error.size()) return false;
  const std::string line = error.substr(prefix.size(), colon - prefix.size());
  return line.find_first_not_of("0123456789") == std::string::npos && line != "0";
}

}  // namespace

TEST_CASE("random changes of valid files load or give an error with its place") {
  const auto files = valid_files();
  REQUIRE(files.size() == 3);
  Stream stream{20240607};
  int loaded = 0, refused = 0;
  for (int i = 0; i < 4000; ++i) {
    const std::string text = mutate(files[stream.next() % files.size()], stream, files);
    std::vector<FileError> errors;
    const auto set = PolicySet::parse(text, "some/file.toml", &errors);
    REQUIRE((set == nullptr) != errors.empty());
    if (set) {
      ++loaded;
      CHECK_FALSE(set->explain().empty());
      sql::Analysis analysis;
      analysis.kind = sql::StatementKind::select;
      (void)set->resolve(analysis, {});
      continue;
    }
    ++refused;
    for (const auto& error : errors) {
      if (!has_place(error.text)) FAIL_CHECK(error.text);
    }
  }
  // Both outcomes have to occur, or the property says nothing.
  CHECK(loaded > 100);
  CHECK(refused > 1000);
}

TEST_CASE("a policy that was refused leaves no half of it behind") {
  std::vector<FileError> errors;
  CHECK(PolicySet::parse("[[rule]]\nmode = \"auto\"\n[[rule]]\nmode = \"x\"\n", "f", &errors) == nullptr);
  CHECK(PolicySet::parse("[[rule]]\nmode = \"x\"\n", "f", nullptr) == nullptr);
}

}  // namespace pgsteer::policies
