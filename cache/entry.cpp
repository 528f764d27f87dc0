// Stored form of an entry, little-endian:
//   "PGSE" | u32 version | u64 length of the whole | body | 16 bytes XXH3-128 over all before
//   body: key, tag (u32 count, then u32 oid + u64 word each), row description, rows, complete, fingerprint (each with
//         its u32 length), i64 row count, i64 created, i64 expires, u64 bits of the cost
#include <bit>
#include <cstring>

#include "cache/cache.hpp"
#include "cache/xxh.hpp"

namespace pgsteer::cache {
namespace {

constexpr std::string_view magic = "PGSE";
constexpr std::uint32_t version = 1;
constexpr std::size_t head_bytes = 16, checksum_bytes = 16;

class Writer {
 public:
  explicit Writer(std::size_t expected) { out_.reserve(expected); }
  template <class T>
  void number(T value) {
    char bytes[sizeof(T)];
    for (std::size_t i = 0; i < sizeof(T); ++i) bytes[i] = static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
    out_.append(bytes, sizeof(T));
  }
  void text(std::string_view bytes) {
    number(static_cast<std::uint32_t>(bytes.size()));
    out_.append(bytes);
  }
  void raw(std::string_view bytes) { out_.append(bytes); }
  std::string& bytes() { return out_; }

 private:
  std::string out_;
};

/// Collects the first error; the caller looks once, at the end.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}
  template <class T>
  T number() {
    if (left_.size() < sizeof(T)) return fail(), T{};
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) value |= std::uint64_t{static_cast<unsigned char>(left_[i])} << (8 * i);
    left_.remove_prefix(sizeof(T));
    return static_cast<T>(value);
  }
  std::string text() {
    const auto size = number<std::uint32_t>();
    if (left_.size() < size) return fail(), std::string{};
    std::string value(left_.substr(0, size));
    left_.remove_prefix(size);
    return value;
  }
  std::size_t left() const { return left_.size(); }
  bool complete() const { return ok_ && left_.empty(); }
  void fail() {
    ok_ = false;
    left_ = {};
  }

 private:
  std::string_view left_;
  bool ok_ = true;
};

std::string checksum(std::string_view bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  return {reinterpret_cast<const char*>(canonical.digest), checksum_bytes};
}

}  // namespace

std::size_t Entry::bytes() const {
  return sizeof(Entry) + key_material.size() + tag.size() * sizeof(Words::Tag::value_type) + row_description.size() +
         rows.size() + complete.size() + fingerprint.size();
}

std::string serialize(const Entry& entry) {
  Writer out(entry.bytes() + 128);
  out.raw(magic);
  out.number(version);
  out.number(std::uint64_t{0});  // length, filled in below
  out.text(entry.key_material);
  out.number(static_cast<std::uint32_t>(entry.tag.size()));
  for (const auto& [oid, word] : entry.tag) {
    out.number(oid);
    out.number(word);
  }
  out.text(entry.row_description);
  out.text(entry.rows);
  out.text(entry.complete);
  out.text(entry.fingerprint);
  out.number(entry.row_count);
  out.number(entry.asked_unix_us);
  out.number(entry.expires_unix_us);
  out.number(std::bit_cast<std::uint64_t>(entry.cost_ms));
  std::string& bytes = out.bytes();
  const std::uint64_t total = bytes.size() + checksum_bytes;
  for (int i = 0; i < 8; ++i) bytes[8 + static_cast<std::size_t>(i)] = static_cast<char>(total >> (8 * i));
  bytes += checksum(bytes);
  return std::move(bytes);
}

std::optional<Entry> deserialize(std::string_view bytes) {
  if (bytes.size() < head_bytes + checksum_bytes || bytes.substr(0, magic.size()) != magic) return std::nullopt;
  Reader head(bytes.substr(magic.size(), head_bytes - magic.size()));
  if (head.number<std::uint32_t>() != version || head.number<std::uint64_t>() != bytes.size()) return std::nullopt;
  const std::string_view covered = bytes.substr(0, bytes.size() - checksum_bytes);
  if (bytes.substr(covered.size()) != checksum(covered)) return std::nullopt;

  Reader body(covered.substr(head_bytes));
  Entry entry;
  entry.key_material = body.text();
  const auto dependencies = body.number<std::uint32_t>();
  if (dependencies > body.left() / 12) return std::nullopt;  // before anything is reserved by it
  entry.tag.reserve(dependencies);
  for (std::uint32_t i = 0; i < dependencies; ++i) {
    const auto oid = body.number<sql::Oid>();
    entry.tag.emplace_back(oid, body.number<std::uint64_t>());
  }
  entry.row_description = body.text();
  entry.rows = body.text();
  entry.complete = body.text();
  entry.fingerprint = body.text();
  entry.row_count = body.number<std::int64_t>();
  entry.asked_unix_us = body.number<std::int64_t>();
  entry.expires_unix_us = body.number<std::int64_t>();
  entry.cost_ms = std::bit_cast<double>(body.number<std::uint64_t>());
  if (!body.complete()) return std::nullopt;
  return entry;
}

}  // namespace pgsteer::cache
