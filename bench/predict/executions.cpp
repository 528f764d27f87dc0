#include "bench/predict/executions.hpp"

#include <algorithm>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace pgsteer::bench {
namespace {

using Json = nlohmann::json;

std::unique_ptr<sql::Catalog> read_catalog(const Json& header) {
  auto catalog = std::make_unique<sql::Catalog>();
  catalog->database = header.at("dataset").get<std::string>();
  catalog->server_version = 150000;
  for (const Json& item : header.at("catalog")) {
    sql::Relation relation;
    relation.oid = item.at("oid");
    relation.schema = "public";
    relation.name = item.at("name").get<std::string>();
    relation.rows = item.at("rows");
    relation.pages = item.at("pages");
    for (const Json& c : item.at("columns")) {
      sql::Column column;
      column.name = c.at("name").get<std::string>();
      column.number = c.at("number");
      column.type = c.at("type");
      column.not_null = c.at("not_null");
      column.n_distinct = c.at("n_distinct");
      column.null_fraction = c.at("nulls");
      column.correlation = c.at("correlation");
      column.average_width = c.at("width");
      relation.columns.push_back(column);
    }
    for (const Json& i : item.at("indexes")) {
      sql::Index index;
      index.oid = i.at("oid");
      index.columns = i.at("columns").get<std::vector<std::int16_t>>();
      index.unique = i.at("unique");
      index.primary = i.at("primary");
      index.valid = index.immediate = true;
      relation.indexes.push_back(index);
    }
    catalog->add(std::move(relation));
  }
  return catalog;
}

double least(const std::vector<double>& values) { return *std::min_element(values.begin(), values.end()); }

bool read_file(const std::string& path, Recording* out, std::vector<std::pair<double, Execution>>* rows) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return false;
  const Json header = Json::parse(line);
  out->catalogs.push_back(read_catalog(header));
  const std::size_t first = rows->size();
  while (std::getline(file, line)) {
    const Json item = Json::parse(line);
    Execution e;
    e.database = header.at("dataset").get<std::string>();
    e.shape = item.at("k").get<std::string>();
    e.analysis = sql::analyse(item.at("sql").get_ref<const std::string&>());
    e.catalog = out->catalogs.back().get();
    e.plan = predictor::parse_plan(Json{{"Plan", item.at("plan")}}.dump());
    e.runs = item.at("cpu").get<std::vector<double>>();
    for (const Json& pass : item.value("passes", Json::array())) e.passes.push_back(least(pass.get<std::vector<double>>()));
    e.ms = least(e.runs);
    for (const double pass : e.passes) e.ms = std::min(e.ms, pass);
    e.ms = std::max(e.ms, 1e-2);
    e.wall_ms = least(item.at("wall").get<std::vector<double>>());
    e.rows = item.at("rows");
    e.bytes = item.at("bytes");
    e.cut_off = item.at("late");
    rows->emplace_back(0, std::move(e));
  }
  for (std::size_t i = first; i < rows->size(); ++i) (*rows)[i].first = double(i - first) / double(rows->size() - first);
  return true;
}

}  // namespace

bool read_recording(const std::vector<std::string>& files, Recording* out) {
  std::vector<std::pair<double, Execution>> rows;
  for (const std::string& path : files) {
    try {
      if (read_file(path, out, &rows)) continue;
      fmt::print(stderr, "{}: cannot be read\n", path);
    } catch (const std::exception& fault) {
      fmt::print(stderr, "{}: {}\n", path, fault.what());
    }
    return false;
  }
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [share, row] : rows) out->executions.push_back(std::move(row));
  return true;
}

}  // namespace pgsteer::bench
