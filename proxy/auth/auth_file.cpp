#include "proxy/auth/auth_file.hpp"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <optional>

#include "protocol/scram.hpp"

namespace pgsteer::proxy {
namespace {

/// Takes one quoted word off the front.
std::optional<std::string> quoted(std::string_view& line) {
  while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
  if (line.empty() || line.front() != '"') return std::nullopt;
  std::string word;
  for (std::size_t i = 1; i < line.size(); ++i) {
    if (line[i] != '"') {
      word += line[i];
    } else if (i + 1 < line.size() && line[i + 1] == '"') {
      word += line[i++];
    } else {
      line.remove_prefix(i + 1);
      return word;
    }
  }
  return std::nullopt;
}

}  // namespace

std::shared_ptr<const AuthFile> AuthFile::parse(std::string_view text, std::string* error) {
  auto file = std::make_shared<AuthFile>();
  for (int number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == text.npos ? std::string_view() : text.substr(end + 1);
    const auto begin = line.find_first_not_of(" \t\r");
    if (begin == line.npos || line[begin] == ';' || line[begin] == '#') continue;
    auto name = quoted(line), secret = quoted(line);
    if (!name || !secret || name->empty()) {
      *error = fmt::format("line {}: expected \"name\" \"secret\"", number);
      return nullptr;
    }
    file->keeps_scram_ = file->keeps_scram_ || protocol::secret_kind(*secret) == protocol::SecretKind::scram;
    if (!file->secrets_.emplace(std::move(*name), std::move(*secret)).second) {
      *error = fmt::format("line {}: this user was there before", number);
      return nullptr;
    }
  }
  return file;
}

std::shared_ptr<const AuthFile> AuthFile::load(const std::string& path, std::string* error) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    *error = fmt::format("expected a readable file, got '{}'", path);
    return nullptr;
  }
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  return parse(text, error);
}

const std::string* AuthFile::secret(std::string_view user) const {
  const auto found = secrets_.find(user);
  return found == secrets_.end() ? nullptr : &found->second;
}

}  // namespace pgsteer::proxy
