// SHOW AUDIT: the end of audit.log, newest first: what changed how statements are treated, and who or what did it.
#include <algorithm>
#include <charconv>
#include <fstream>

#include "proxy/console/command.hpp"
#include "proxy/console/result.hpp"
#include "proxy/reload.hpp"

namespace pgsteer::proxy::console {
namespace {

constexpr std::int64_t kTail = 1 << 20;  ///< bytes of the file's end that are looked at: the log only grows

std::string field(const std::string& line, const std::string& key) {
  const auto at = line.find(" " + key + "=");
  if (at == std::string::npos) return {};
  const auto begin = at + key.size() + 2;
  const bool quoted = begin < line.size() && line[begin] == '"';
  const auto end = std::min(line.find(quoted ? '"' : ' ', begin + (quoted ? 1 : 0)), line.size());
  return quoted ? line.substr(begin + 1, end - begin - 1) : line.substr(begin, end - begin);
}

std::vector<std::string> last_lines(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream in(path, std::ios::binary);
  in.seekg(0, std::ios::end);
  const auto size = static_cast<std::int64_t>(in.tellg());
  if (!in || size <= 0) return lines;
  in.seekg(std::max<std::int64_t>(0, size - kTail));
  std::string line;
  if (size > kTail) std::getline(in, line);  // the rest of a line that begins earlier
  while (std::getline(in, line)) lines.push_back(line);
  std::reverse(lines.begin(), lines.end());
  return lines;
}

}  // namespace

ConsoleResult show_audit(const Request& request) {
  std::size_t limit = 200;
  if (!request.arguments.empty()) {
    const auto& text = request.arguments[0].text;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (error != std::errc() || end != text.data() + text.size() || request.arguments.size() != 1) return usage("SHOW AUDIT [limit]");
  }
  Table table({{"time", Type::text}, {"event", Type::text}, {"fingerprint", Type::text}, {"label", Type::text}, {"why", Type::text}});
  const auto snapshot = request.hub.snapshot();
  if (!snapshot->config) return table;
  std::size_t rows = 0;
  for (const auto& line : last_lines(state_directory(*snapshot->config) + "/audit.log")) {
    if (rows++ == limit) break;
    table.row(line.substr(0, line.find(' ')), field(line, "event"), field(line, "fingerprint"), field(line, "label"), field(line, "why"));
  }
  return table;
}

}  // namespace pgsteer::proxy::console
