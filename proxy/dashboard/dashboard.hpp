#pragma once
#include <string_view>

namespace pgsteer::proxy {

/// A file of the dashboard, in the program itself.
struct Asset {
  std::string_view path, content_type, content;
};

/// The file served at `path` ("/", "/app.js", ...), null when there is none. Built without the dashboard, "/" says so.
const Asset* find_asset(std::string_view path);

}  // namespace pgsteer::proxy
