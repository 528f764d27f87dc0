#pragma once
#include <span>
#include <string_view>

namespace pgsteer::proxy {

/// One static file of the dashboard, embedded at build time.
struct Asset {
  std::string_view path;          ///< as asked for: "/index.html", "/app.js"; "/" is answered with "/index.html"
  std::string_view content_type;  ///< "text/html; charset=utf-8"
  std::string_view encoding;      ///< "" or "gzip": what `bytes` are
  std::string_view etag;          ///< with its quotes: "\"5f3a...\""
  std::string_view bytes;
};

/// Every file there is; empty when the program was built without a dashboard.
std::span<const Asset> dashboard_assets();

}  // namespace pgsteer::proxy
