// Key material: every field with its length in front, so that no two different lists of fields give the same bytes
// (pgpool's separator-less key mixed up databases). The hash only finds; equality is decided on the material.
#include <algorithm>
#include <cstring>

#include "cache/cache.hpp"
#include "cache/xxh.hpp"

namespace pgsteer::cache {
namespace {

constexpr std::uint32_t format_version = 2;
constexpr std::uint32_t absent = 0xFFFFFFFF;  // no field can be that long: a message has at most 2^30 bytes

// Sorted, lower case: walked side by side with the session's settings.
constexpr std::string_view settings[] = {
    "array_nulls",
    "backslash_quote",
    "bytea_output",
    "client_encoding",
    "datestyle",
    "default_text_search_config",
    "escape_string_warning",
    "extra_float_digits",
    "gin_fuzzy_search_limit",
    "intervalstyle",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "quote_all_identifiers",
    "role",
    "row_security",
    "search_path",
    "session_authorization",
    "standard_conforming_strings",
    "timezone",
    "timezone_abbreviations",
    "transform_null_equals",
    "xmlbinary",
    "xmloption",
};
static_assert(std::is_sorted(std::begin(settings), std::end(settings)));

void number(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}
void field(std::string& out, std::string_view bytes) {
  number(out, bytes.size(), 4);
  out.append(bytes);
}

void add_settings(std::string& out, const std::map<std::string, std::string>& session) {
  auto have = session.begin();
  for (const std::string_view name : settings) {
    while (have != session.end() && have->first < name) ++have;
    if (have != session.end() && have->first == name)
      field(out, have->second);
    else
      number(out, absent, 4);  // not set is not the same as set to ""
  }
}

bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool same_word(std::string_view word, std::string_view lower) {
  return word.size() == lower.size() && std::equal(word.begin(), word.end(), lower.begin(),
                                                   [](char a, char b) { return static_cast<char>(a | 0x20) == b; });
}

}  // namespace

std::span<const std::string_view> key_settings() { return settings; }

std::string session_key(const sql::SessionFacts& session) {
  std::string out;
  field(out, session.database);
  field(out, session.user);
  field(out, session.search_path);
  add_settings(out, session.settings);
  return out;
}

Key make_key(const KeyInput& input) {
  Key key;
  std::string& out = key.material;
  out.reserve(48 + input.session.size() + input.text.size() + input.bind_parameters.size() + input.result_formats.size() + input.parameter_types.size() * 4);
  number(out, format_version, 4);
  number(out, input.generation, 8);
  number(out, input.database_oid, 4);
  field(out, input.session);
  field(out, input.text);
  number(out, input.parameter_types.size(), 4);
  for (const std::uint32_t type : input.parameter_types) number(out, type, 4);
  field(out, input.bind_parameters);
  field(out, input.result_formats);
  const XXH128_hash_t hash = XXH3_128bits(out.data(), out.size());
  key.hash = {hash.high64, hash.low64};
  return key;
}

bool mentions_current_time(std::string_view bytes) {
  // PostgreSQL's date parser takes a run of letters as a word: in 'today12:00' it finds "today". So only letters
  // extend a word here, unlike \b. The bytes may be binary; a false alarm costs one uncached answer.
  for (std::size_t i = 0; i < bytes.size();) {
    if (!letter(bytes[i])) {
      ++i;
      continue;
    }
    const std::size_t start = i;
    while (i < bytes.size() && letter(bytes[i])) ++i;
    const std::string_view word = bytes.substr(start, i - start);
    for (const std::string_view name : {"now", "today", "tomorrow", "yesterday"})
      if (same_word(word, name)) return true;
  }
  return false;
}

}  // namespace pgsteer::cache
