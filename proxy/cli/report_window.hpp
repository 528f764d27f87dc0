#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "predictor/window.hpp"
#include "proxy/cli/report_document.hpp"
#include "proxy/cli/settings.hpp"

namespace pgsteer::proxy::cli {

/// What every report is asked: which state directory, which time, how long its tables are, where it goes.
struct ReportOptions {
  Settings settings;
  std::string since = "24h", until = "now", format, output;
  std::size_t top = 20;
  bool html_unless_said = false;  ///< neither --format nor the name of the file tells
};
void add_report_options(CLI::App& app, ReportOptions& options);

struct Window {
  std::int64_t from_us = 0, to_us = 0;
};
/// --since and --until as times; false with *error when one is no time, or nothing lies between them. "all": the beginning.
bool read_times(const ReportOptions& options, std::int64_t now_us, Window* window, std::string* error);
std::string time_text(std::int64_t unix_us);

/// One line of audit.log: "2026-11-21T08:14:43Z event=disabled fingerprint=... label=... why="..."".
struct AuditLine {
  std::string time, event, fingerprint, label, why;
};
std::vector<AuditLine> audit_lines(const std::string& state, const Window& window);

using Texts = std::map<std::string, predictor::StatementText>;
/// The statement on one short line.
std::string statement_text(const Texts& texts, const std::string& fingerprint);
std::string percent(double part, double whole);

/// To --output or standard output, as HTML or as Markdown; false with *error.
bool write_report(const Document& document, const ReportOptions& options, std::string* error);

}  // namespace pgsteer::proxy::cli
