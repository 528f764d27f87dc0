#pragma once
#include <string>
#include <vector>

namespace pgsteer::proxy::cli {

std::string escape_html(const std::string& text);

/// What a report says, before it is known whether as HTML or as Markdown. Texts are plain: the renderers escape.
class Document {
 public:
  struct Column {
    std::string name;
    enum class Align : unsigned char { left, right, code } align = Align::left;  ///< code: left, in a fixed-width font
  };
  explicit Document(std::string title) : title_(std::move(title)) {}
  void heading(std::string text) { blocks_.push_back({Kind::heading, std::move(text), {}, {}}); }
  void paragraph(std::string text) { blocks_.push_back({Kind::paragraph, std::move(text), {}, {}}); }
  void table(std::vector<Column> columns, std::vector<std::vector<std::string>> rows) {
    blocks_.push_back({Kind::table, {}, std::move(columns), std::move(rows)});
  }
  /// An SVG element, put into HTML as it is: what comes from outside must be escaped in it. Markdown leaves it out.
  void picture(std::string svg) { blocks_.push_back({Kind::picture, std::move(svg), {}, {}}); }
  /// One of report_charts.hpp, half as wide as the page, and a line below it.
  void chart(std::string svg, std::string caption) { blocks_.push_back({Kind::chart, std::move(svg), {}, {}, std::move(caption)}); }
  std::string markdown() const;
  std::string html() const;  ///< one file: no script, nothing fetched, light and dark

 private:
  enum class Kind : unsigned char { heading, paragraph, table, picture, chart };
  struct Block {
    Kind kind;
    std::string text;
    std::vector<Column> columns;
    std::vector<std::vector<std::string>> rows;
    std::string caption = {};
  };
  std::string title_;
  std::vector<Block> blocks_;
};

}  // namespace pgsteer::proxy::cli
