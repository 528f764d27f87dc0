// The registry's part of the model report: which versions there are, what each said of itself, why one replaced the other.
#include "proxy/cli/report_versions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "predictor/estimate.hpp"
#include "proxy/cli/report_window.hpp"

namespace pgsteer::proxy::cli {
namespace {

using Json = nlohmann::json;
using Align = Document::Column::Align;

constexpr std::size_t max_events = 50;
constexpr std::int64_t end_of_9999_us = 253'402'300'799'000'000;  // audit lines are compared as text: a year has four digits

/// A number of metrics.json; none where the file has none (an older build's, a damaged one).
std::optional<double> number(const Json& json, const char* path) {
  const Json::json_pointer pointer(path);
  if (!json.is_object() || !json.contains(pointer) || !json.at(pointer).is_number()) return std::nullopt;
  return json.at(pointer).get<double>();
}

std::string two_q(const Json& json, const std::string& path) {
  const auto median = number(json, (path + "/median_q").c_str()), p90 = number(json, (path + "/p90_q").c_str());
  return median && p90 ? fmt::format("{:.2f} / {:.2f}", *median, *p90) : "none";
}

std::string share(const Json& json, const char* path) {
  const auto value = number(json, path);
  return value ? fmt::format("{:.1f} %", 100 * *value) : "none";
}

/// Why it was registered, as far as its metrics know.
std::string against_parent(const Versions::Version& version) {
  const auto mine = number(version.metrics, "/compared_with/mean_log_new"), theirs = number(version.metrics, "/compared_with/mean_log_current");
  const auto rows = number(version.metrics, "/compared_with/rows");
  const Json& compared = version.metrics.is_object() && version.metrics.contains("compared_with") ? version.metrics["compared_with"] : Json();
  if (!mine || !theirs || !rows || !compared.is_object()) return "not compared";
  const auto against = compared.contains("version") && compared["version"].is_string() ? compared["version"].get<std::string>() : "the one before";
  return fmt::format("{:.3f}, {} {:.3f}, {:.0f} rows", *mine, against, *theirs, *rows);
}

std::string state_text(const Versions::Version& version) {
  std::string text = version.model.current ? "in use" : "kept";
  if (version.model.pinned) text += ", pinned";
  if (!version.fault.empty()) return text + ", damaged: " + version.fault;
  if (version.meta->schema != predictor::feature_schema()) text += ", refused: its feature schema is not this build's";
  return text;
}

}  // namespace

std::map<std::string, double> Versions::Version::gains() const {
  std::map<std::string, double> out;
  if (!metrics.is_object() || !metrics.contains("importance") || !metrics["importance"].is_array()) return out;
  for (const Json& item : metrics["importance"])
    if (const auto gain = number(item, "/share_of_gain"); gain && item.contains("feature") && item["feature"].is_string())
      out[item["feature"].get<std::string>()] = *gain;
  return out;
}

Versions::Versions(const std::string& state, const std::string& name) : state_(state) {
  for (auto& model : predictor::list_models(state)) {
    if (model.name != name) continue;
    Version version{std::move(model), std::nullopt, {}, {}};
    predictor::ModelMeta meta;
    std::string text;
    if (predictor::read_file(version.model.directory + "/meta.json", 1u << 20, &text, &version.fault) &&
        predictor::from_json(text, &meta, &version.fault))
      version.meta = meta;
    version.metrics = Json::parse(version.model.metrics, nullptr, false);
    versions_.push_back(std::move(version));
  }
  std::reverse(versions_.begin(), versions_.end());  // the newest first
}

const Versions::Version* Versions::current() const {
  const auto found = std::find_if(versions_.begin(), versions_.end(), [](const Version& v) { return v.model.current; });
  return found == versions_.end() ? nullptr : &*found;
}

void Versions::add_to(Document& document) const {
  document.heading("Versions");
  const Version* now = current();
  if (!now) document.paragraph("No model is in use: estimates come from a statement's own past runs, and without these from the planner's cost or "
                               "from what the catalog says (cold start). pgsteer trains by itself once enough was recorded; pgsteer train does it now.");
  std::vector<std::vector<std::string>> kept, figures;
  for (const Version& v : versions_) {
    if (v.meta)
      kept.push_back({v.model.version, state_text(v), v.meta->parent.empty() ? "none" : v.meta->parent, std::to_string(v.meta->rows),
                      time_text(v.meta->from_unix_us), time_text(v.meta->to_unix_us), std::to_string(v.meta->trees),
                      predictor::hex64(v.meta->schema)});
    else kept.push_back({v.model.version, state_text(v), v.model.parent, "", "", "", "", ""});
    figures.push_back({v.model.version, two_q(v.metrics, "/seen"), two_q(v.metrics, "/unseen"), two_q(v.metrics, "/baseline_planner_cost/seen"),
                       two_q(v.metrics, "/baseline_template_median/seen"), share(v.metrics, "/coverage_90/seen"),
                       share(v.metrics, "/coverage_90/unseen"), against_parent(v)});
  }
  if (!kept.empty()) {
    document.table({{"version"}, {"state"}, {"replaced"}, {"rows", Align::right}, {"data from"}, {"data to"}, {"trees", Align::right},
                    {"feature schema", Align::code}}, std::move(kept));
    document.paragraph("What each said of itself when it was trained: q-error, median / 90th, on rows held out from it, of known statements and of "
                       "such as training never saw; of the planner's cost fitted to the same rows, and of each statement's own median; the share "
                       "inside the 90 % interval; and why it was taken: its mean log error and that of the version it replaced, on rows new "
                       "to both.");
    document.table({{"version"}, {"known", Align::right}, {"never seen", Align::right}, {"planner's cost", Align::right},
                    {"own median", Align::right}, {"inside, known", Align::right}, {"inside, never seen", Align::right}, {"against the replaced"}},
                   std::move(figures));
  }
  std::vector<std::vector<std::string>> events;
  for (const auto& line : audit_lines(state_, {0, end_of_9999_us}))
    if (line.event == "model") events.push_back({line.time, line.label, line.why});
  if (events.size() > max_events) events.erase(events.begin(), events.end() - max_events);
  if (!events.empty()) {
    document.paragraph("What became of them, by the audit log:");
    document.table({{"when"}, {"version"}, {"what"}}, std::move(events));
  }
  // A refused training leaves no version; its last line is all that is kept of it.
  std::ifstream log(state_ + "/train.log");
  std::string last;
  for (std::string line; std::getline(log, line);)
    if (!line.empty()) last = line;
  if (!last.empty()) document.paragraph("The last training by pgsteer itself said: " + last);
}

}  // namespace pgsteer::proxy::cli
