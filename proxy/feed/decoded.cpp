#include "proxy/feed/decoded.hpp"

#include <algorithm>
#include <charconv>

namespace pgsteer::proxy::feed {

namespace {

bool skip(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

/// An identifier as quote_identifier() writes it; nullopt when there is none.
std::optional<std::string> identifier(std::string_view& text) {
  std::string name;
  if (!skip(text, "\"")) {
    const auto end = std::min(text.find_first_of(".:,\" "), text.size());
    name = text.substr(0, end);
    text.remove_prefix(end);
    return name.empty() ? std::nullopt : std::optional(name);
  }
  for (;;) {
    const auto quote = text.find('"');
    if (quote == std::string_view::npos) return std::nullopt;
    name += text.substr(0, quote);
    text.remove_prefix(quote + 1);
    if (!skip(text, "\"")) return name;
    name += '"';
  }
}

template <class Number>
bool number(std::string_view text, Number& value, int base = 10) {
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return fault == std::errc() && end == text.data() + text.size();
}

/// Where the names of a change end: the colon that is not in quotes.
std::size_t end_of_names(std::string_view text) {
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') quoted = !quoted;
    else if (text[i] == ':' && !quoted) return i;
  }
  return std::string_view::npos;
}

}  // namespace

void Decoder::table(std::string_view rest) {
  const auto end = end_of_names(rest);
  const std::string_view names = rest.substr(0, std::min(end, rest.size()));
  told_ = true;
  if (end != std::string_view::npos && names == last_) return;  // the next row of the same table
  last_ = names;
  rest = names;
  do {
    auto schema = identifier(rest);
    if (!schema || !skip(rest, ".")) {
      current_.everything = true;
      return;
    }
    auto name = identifier(rest);
    if (!name) {
      current_.everything = true;
      return;
    }
    std::pair relation(std::move(*schema), std::move(*name));
    auto& known = current_.relations;
    if (std::find(known.begin(), known.end(), relation) == known.end()) known.push_back(std::move(relation));
  } while (skip(rest, ", "));
  if (!rest.empty() || end == std::string_view::npos) current_.everything = true;
}

std::optional<Commit> Decoder::add(std::string_view line) {
  if (skip(line, "table ")) {
    table(line);
    return std::nullopt;
  }
  if (skip(line, "BEGIN")) {
    *this = {};
    return std::nullopt;
  }
  if (skip(line, "message: ")) {
    const auto prefix = line.find("prefix: ");
    std::string_view name = prefix == std::string_view::npos ? line : line.substr(prefix + 8);
    name = name.substr(0, name.find(", sz: "));
    if (name == own_prefix) current_.own = true;
    else if (name == ddl_prefix) current_.everything = true;
    return std::nullopt;
  }
  if (!skip(line, "COMMIT ")) {
    current_.everything = true;
    return std::nullopt;
  }
  line = line.substr(0, line.find(' '));
  Commit commit = std::move(current_);
  if (!number(line, commit.xid)) commit.everything = true;
  // What is decoded without a change has changed a catalog: other transactions are not told of at all.
  if (!told_ && !commit.own) commit.everything = true;
  *this = {};
  return commit;
}

std::optional<ServerSnapshot> ServerSnapshot::parse(std::string_view text) {
  ServerSnapshot snapshot;
  const auto first = text.find(':');
  if (first == std::string_view::npos) return std::nullopt;
  const auto second = text.find(':', first + 1);
  if (second == std::string_view::npos || !number(text.substr(0, first), snapshot.xmin) ||
      !number(text.substr(first + 1, second - first - 1), snapshot.xmax))
    return std::nullopt;
  for (std::string_view rest = text.substr(second + 1); !rest.empty();) {
    const auto comma = std::min(rest.find(','), rest.size());
    if (!number(rest.substr(0, comma), snapshot.under_way.emplace_back())) return std::nullopt;
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return snapshot;
}

bool ServerSnapshot::in_progress(std::uint32_t xid) const {
  if (static_cast<std::int32_t>(xid - static_cast<std::uint32_t>(xmax)) >= 0) return true;
  return std::any_of(under_way.begin(), under_way.end(), [xid](std::uint64_t other) { return static_cast<std::uint32_t>(other) == xid; });
}

std::optional<std::uint64_t> parse_lsn(std::string_view text) {
  const auto slash = text.find('/');
  std::uint32_t high = 0, low = 0;
  if (slash == std::string_view::npos || !number(text.substr(0, slash), high, 16) || !number(text.substr(slash + 1), low, 16))
    return std::nullopt;
  return (std::uint64_t{high} << 32) | low;
}

bool reached(std::uint64_t position, std::uint64_t insert_position) {
  constexpr std::uint64_t page = 8192, longest_header = 40;  // XLOG_BLCKSZ as it is built everywhere, SizeOfXLogLongPHD
  const std::uint64_t behind = insert_position % page;
  return position >= insert_position || (behind <= longest_header && position >= insert_position - behind);
}

}  // namespace pgsteer::proxy::feed
