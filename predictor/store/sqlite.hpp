#pragma once
#include <sqlite3.h>

#include <cstring>
#include <memory>
#include <string_view>

#include "predictor/estimate.hpp"

/// SQLite's handles as owners, and rows read by column. For the files of this folder.
namespace pgsteer::predictor::sqlite {

struct CloseDb {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
};
using Db = std::unique_ptr<sqlite3, CloseDb>;
struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

inline constexpr int busy_ms = 3000;

/// Null when the text is no statement; sqlite3_errmsg() says why.
inline Statement prepare(sqlite3* db, const char* sql) {
  sqlite3_stmt* raw = nullptr;
  sqlite3_prepare_v2(db, sql, -1, &raw, nullptr);
  return Statement(raw);
}

/// Reads columns in order. Views live until the next step.
class Columns {
 public:
  explicit Columns(sqlite3_stmt* statement) : statement_(statement) {}
  std::string_view view() {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, at_));
    const int size = sqlite3_column_bytes(statement_, at_++);
    return bytes ? std::string_view(bytes, static_cast<std::size_t>(size)) : std::string_view();
  }
  std::int64_t integer() { return sqlite3_column_int64(statement_, at_++); }
  double real() { return sqlite3_column_double(statement_, at_++); }
  bool boolean() { return integer() != 0; }
  FeatureVector features() {
    const void* bytes = sqlite3_column_blob(statement_, at_);
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, at_++));
    if (!bytes || size % sizeof(float) != 0) return {};
    FeatureVector out(size / sizeof(float));
    std::memcpy(out.data(), bytes, size);  // a blob is not aligned
    return out;
  }

 private:
  sqlite3_stmt* statement_;
  int at_ = 0;
};

}  // namespace pgsteer::predictor::sqlite
