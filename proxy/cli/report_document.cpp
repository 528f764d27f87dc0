#include "proxy/cli/report_document.hpp"

namespace pgsteer::proxy::cli {

std::string escape_html(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

namespace {

using Align = Document::Column::Align;

/// A cell is one line, and a bar would end it.
std::string escape_markdown(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n' || c == '\r') out += ' ';
    else if (c == '|' || c == '\\' || c == '<' || c == '*' || c == '_' || c == '`') (out += '\\') += c;
    else out += c;
  }
  return out;
}

/// Between back quotes nothing is escaped but the bar; a back quote itself would end it.
std::string code_markdown(const std::string& text) {
  if (text.empty()) return {};
  std::string out = "`";
  for (const char c : text) {
    if (c == '|') out += "\\|";
    else out += c == '\n' || c == '\r' ? ' ' : c == '`' ? '\'' : c;
  }
  return out + "`";
}

constexpr const char* style = R"(
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --head: #f6f8fa; --paper: #fff;
  --mark: #0969da; --other: #bc4c00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9da7b3; --line: #30363d; --head: #161b22; --paper: #0d1117;
  --mark: #58a6ff; --other: #f0883e; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
figure { margin: 1rem 0; }
.chart { display: inline-block; width: 34rem; max-width: 100%; margin-right: 1rem; vertical-align: top; }
figcaption { color: var(--soft); font-size: .85rem; } .chart svg { display: block; width: 100%; height: auto; }
.chart text { fill: var(--soft); font: 12px system-ui, sans-serif; font-variant-numeric: tabular-nums; }
.chart .end { text-anchor: end; } .chart .middle { text-anchor: middle; }
.chart .grid { stroke: var(--line); fill: none; } .chart .rule { stroke: var(--soft); fill: none; } .chart .dash { stroke-dasharray: 4 4; }
.chart .mark { fill: var(--mark); } .chart .other { fill: var(--other); }
.chart .mark-line { stroke: var(--mark); stroke-width: 1.5; fill: none; } .chart .other-line { stroke: var(--other); stroke-width: 1.5; fill: none; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.scroll { overflow-x: auto; margin: .8rem 0; } table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { background: var(--head); color: var(--soft); font-weight: 600; white-space: nowrap; }
.right { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font: .85rem ui-monospace, monospace; overflow-wrap: anywhere; }
@media print { body { margin: 0; max-width: none; } }
)";

}  // namespace

std::string Document::markdown() const {
  std::string out = "# " + title_ + "\n";
  for (const auto& block : blocks_) {
    out += "\n";
    if (block.kind == Kind::heading) out += "## " + block.text + "\n";
    if (block.kind == Kind::paragraph) out += escape_markdown(block.text) + "\n";
    if (block.kind != Kind::table) continue;
    for (const auto& column : block.columns) out += "| " + escape_markdown(column.name) + " ";
    out += "|\n";
    for (const auto& column : block.columns) out += column.align == Align::right ? "|---:" : "|---";
    out += "|\n";
    for (const auto& row : block.rows) {
      for (std::size_t c = 0; c < row.size(); ++c)
        out += "| " + (block.columns[c].align == Align::code ? code_markdown(row[c]) : escape_markdown(row[c])) + " ";
      out += "|\n";
    }
  }
  return out;
}

std::string Document::html() const {
  std::string out = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
                    escape_html(title_) + "</title>\n<style>" + style + "</style>\n</head>\n<body>\n<main>\n<h1>" + escape_html(title_) + "</h1>\n";
  for (const auto& block : blocks_) {
    if (block.kind == Kind::heading) out += "<h2>" + escape_html(block.text) + "</h2>\n";
    if (block.kind == Kind::picture) out += "<figure>" + block.text + "</figure>\n";
    if (block.kind == Kind::chart)
      out += "<figure class=\"chart\">" + block.text + "<figcaption>" + escape_html(block.caption) + "</figcaption></figure>\n";
    if (block.kind == Kind::paragraph) out += "<p>" + escape_html(block.text) + "</p>\n";
    if (block.kind != Kind::table) continue;
    out += "<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr>";
    for (const auto& column : block.columns)
      out += (column.align == Align::right ? "<th scope=\"col\" class=\"right\">" : "<th scope=\"col\">") + escape_html(column.name) + "</th>";
    out += "</tr></thead>\n<tbody>\n";
    for (const auto& row : block.rows) {
      out += "<tr>";
      for (std::size_t c = 0; c < row.size(); ++c) {
        const auto align = block.columns[c].align;
        const auto text = escape_html(row[c]);
        out += align == Align::right ? "<td class=\"right\">" + text : align == Align::code ? "<td><code>" + text + "</code>" : "<td>" + text;
        out += "</td>";
      }
      out += "</tr>\n";
    }
    out += "</tbody></table></div>\n";
  }
  return out + "</main>\n</body>\n</html>\n";
}

}  // namespace pgsteer::proxy::cli
