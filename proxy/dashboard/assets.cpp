#include "proxy/dashboard/assets.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

// assets.S, which the build makes of what npm and esbuild made; nothing between begin and end when they could not.
extern "C" {
extern const char pgsteer_page_begin[], pgsteer_page_end[];
extern const char pgsteer_script_begin[], pgsteer_script_end[];
extern const char pgsteer_style_begin[], pgsteer_style_end[];
}

namespace pgsteer::proxy {
namespace {

constexpr std::string_view kIcon =
    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\"><rect width=\"32\" height=\"32\" rx=\"7\" fill=\"#0b5cad\"/>"
    "<path d=\"M7 22c6 0 6-12 12-12h5m-4-4 4 4-4 4\" fill=\"none\" stroke=\"#fff\" stroke-width=\"3\" stroke-linecap=\"round\" "
    "stroke-linejoin=\"round\"/></svg>\n";

std::string_view between(const char* begin, const char* end) { return {begin, static_cast<std::size_t>(end - begin)}; }

/// FNV-1a of 64 bits: tells one build's file from another's.
std::string tag_of(std::string_view bytes) {
  std::uint64_t hash = 14695981039346656037ull;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return fmt::format("\"{:016x}\"", hash);
}

struct Files {
  std::array<std::string, 4> tags;
  std::vector<Asset> list;
  Files() {
    list = {{"/index.html", "text/html; charset=utf-8", "", "", between(pgsteer_page_begin, pgsteer_page_end)},
            {"/app.js", "text/javascript; charset=utf-8", "", "", between(pgsteer_script_begin, pgsteer_script_end)},
            {"/app.css", "text/css; charset=utf-8", "", "", between(pgsteer_style_begin, pgsteer_style_end)},
            {"/icon.svg", "image/svg+xml", "", "", kIcon}};
    if (list.front().bytes.empty()) list.clear();
    for (std::size_t i = 0; i < list.size(); ++i) list[i].etag = tags[i] = tag_of(list[i].bytes);
  }
};

}  // namespace

std::span<const Asset> dashboard_assets() {
  static const Files files;
  return files.list;
}

}  // namespace pgsteer::proxy
