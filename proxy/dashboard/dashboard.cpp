#include "proxy/dashboard/dashboard.hpp"

#include <algorithm>
#include <array>

// assets.S, which the build makes of what npm and esbuild made; nothing between begin and end when they could not.
extern "C" {
extern const char pgsteer_page_begin[], pgsteer_page_end[];
extern const char pgsteer_script_begin[], pgsteer_script_end[];
extern const char pgsteer_style_begin[], pgsteer_style_end[];
}

namespace pgsteer::proxy {
namespace {

constexpr std::string_view kWithout =
    "<!doctype html><html lang=\"en\"><head><title>pgsteer</title></head><body><main><h1>pgsteer</h1>"
    "<p>This program was built without the dashboard: npm was not there, or could not reach its registry.</p>"
    "<p>Everything it shows: <code>psql -p 6432 pgsteer</code> (SHOW HELP), <a href=\"/api/v1/openapi.json\">the API</a>, "
    "<a href=\"/metrics\">metrics</a>.</p></main></body></html>\n";

constexpr std::string_view kIcon =
    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\"><rect width=\"32\" height=\"32\" rx=\"7\" fill=\"#0b5cad\"/>"
    "<path d=\"M7 22c6 0 6-12 12-12h5m-4-4 4 4-4 4\" fill=\"none\" stroke=\"#fff\" stroke-width=\"3\" stroke-linecap=\"round\" "
    "stroke-linejoin=\"round\"/></svg>\n";

std::string_view between(const char* begin, const char* end) { return {begin, static_cast<std::size_t>(end - begin)}; }

const auto& assets() {
  static const auto list = [] {
    const auto page = between(pgsteer_page_begin, pgsteer_page_end);
    return std::array<Asset, 4>{{{"/", "text/html; charset=utf-8", page.empty() ? kWithout : page},
                                 {"/app.js", "text/javascript; charset=utf-8", between(pgsteer_script_begin, pgsteer_script_end)},
                                 {"/app.css", "text/css; charset=utf-8", between(pgsteer_style_begin, pgsteer_style_end)},
                                 {"/icon.svg", "image/svg+xml", kIcon}}};
  }();
  return list;
}

}  // namespace

const Asset* find_asset(std::string_view path) {
  const auto& list = assets();
  const auto found = std::find_if(list.begin(), list.end(), [&](const Asset& asset) { return asset.path == path && !asset.content.empty(); });
  return found == list.end() ? nullptr : &*found;
}

}  // namespace pgsteer::proxy
