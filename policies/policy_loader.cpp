// Policy files, in two passes over all of them: first [default] and the lanes, which may stand in any file, then the
// rules, which build on both.
#include "policies/policy_loader.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "rewriter/sql/analysis.hpp"

namespace pgsteer::policies {
namespace {

using Where = const std::string&;

std::vector<std::string> statement_names() {
  std::vector<std::string> names;
  for (int kind = 0; kind <= static_cast<int>(sql::StatementKind::ddl); ++kind)
    names.emplace_back(sql::to_string(static_cast<sql::StatementKind>(kind)));
  return names;
}

bool is_glob(const std::string& text) { return text.find_first_of("*?") != std::string::npos; }

struct File {
  Faults faults;
  TomlValue document;
};

struct Builder {
  Actions defaults;
  std::string defaults_where;
  std::vector<Rule> rules;
  std::vector<Lane> lanes;

  void read_defaults_and_lanes(File& file);
  void read_rules(File& file);

 private:
  void read_lane(const TomlValue::Entry& entry, Faults& faults);
  void read_rule(const TomlValue& value, Faults& faults);
  std::map<std::string, std::string> lane_where_, rule_where_;
};

void Builder::read_lane(const TomlValue::Entry& entry, Faults& faults) {
  Lane lane;
  lane.name = entry.key;
  const std::string place = fmt::format("{}:{}", faults.file(), entry.line);
  if (const auto [first, fresh] = lane_where_.emplace(entry.key, place); !fresh)
    faults.add(entry.line, fmt::format("[lanes.{}] is given twice, first at {}", entry.key, first->second));
  read_table(entry.value, fmt::format("[lanes.{}]", entry.key),
             {{"max_predicted", [&](const TomlValue& v, Where w) { lane.max_predicted = read_milliseconds(v, w, faults); }},
              {"queue_timeout", [&](const TomlValue& v, Where w) { lane.queue_timeout = read_milliseconds(v, w, faults); }},
              {"concurrency",
               [&](const TomlValue& v, Where w) {
                 if (!v.integer()) return faults.expected(v, w, "a whole number from 0 to 100000");
                 if (const auto n = read_number(v, w, 0, 100000, faults)) lane.concurrency = static_cast<int>(*n);
               }}},
             faults);
  lanes.push_back(std::move(lane));
}

void Builder::read_defaults_and_lanes(File& file) {
  for (const auto& entry : *file.document.table()) {
    if (entry.key == "default") {
      if (!defaults_where.empty()) {
        file.faults.add(entry.line, "[default] is given twice, first at " + defaults_where);
        continue;
      }
      defaults_where = fmt::format("{}:{}", file.faults.file(), entry.line);
      read_table(entry.value, "[default]", action_fields(defaults, {}, file.faults), file.faults);
    } else if (entry.key == "lanes") {
      if (!entry.value.table()) {
        file.faults.expected(entry.value, "lanes", "tables such as [lanes.slow]");
        continue;
      }
      for (const auto& lane : *entry.value.table()) read_lane(lane, file.faults);
    } else if (entry.key != "rule") {
      file.faults.add(entry.line, unknown_name("key", entry.key, "the file", {"default", "rule", "lanes"}));
    }
  }
}

void Builder::read_rule(const TomlValue& value, Faults& faults) {
  Rule rule;
  rule.where = fmt::format("{}:{}", faults.file(), value.line);
  auto fields = action_fields(rule.actions, defaults, faults);
  fields.push_back({"name", [&](const TomlValue& v, Where w) { rule.name = read_name(v, w, faults).value_or(""); }});
  fields.push_back({"match", [&](const TomlValue& v, Where w) { read_match(v, w, rule.match, faults); }});
  read_table(value, "[[rule]]", fields, faults);
  if (rule.name.empty()) {
    rule.name = rule.where;  // what SHOW DECISIONS then prints leads to the rule as well
  } else if (const auto [first, fresh] = rule_where_.emplace(rule.name, rule.where); !fresh) {
    faults.add(value.line, fmt::format("rule '{}' is given twice, first at {}", rule.name, first->second));
  }
  rules.push_back(std::move(rule));
}

/// Lanes are checked here and not where they are read: they may follow in any file.
void check_lane(const Actions& actions, const TomlValue& value, const std::string& where,
                const std::vector<std::string>& names, Faults& faults) {
  if (!actions.lane || std::find(names.begin(), names.end(), *actions.lane) != names.end()) return;
  std::size_t line = value.line;
  for (const auto& entry : *value.table()) {
    if (entry.key == "lane") line = entry.line;
  }
  if (names.empty())
    faults.add(line, fmt::format("{} lane: expected a lane of some [lanes.<name>], got '{}' and there are none", where,
                                 *actions.lane));
  else
    faults.add(line, fmt::format("{} lane: {}", where, unknown_name("lane", *actions.lane, "", names)));
}

void Builder::read_rules(File& file) {
  std::vector<std::string> lane_names;
  for (const Lane& lane : lanes) lane_names.push_back(lane.name);
  for (const auto& entry : *file.document.table()) {
    if (entry.key == "default" && entry.value.table())
      check_lane(defaults, entry.value, "[default]", lane_names, file.faults);
    if (entry.key != "rule") continue;
    if (!entry.value.array()) {
      file.faults.expected(entry.value, "rule", "[[rule]] with two brackets, one for each rule");
      continue;
    }
    for (const TomlValue& item : *entry.value.array()) {
      if (!item.table()) {
        file.faults.expected(item, "[[rule]]", "a table");
        continue;
      }
      read_rule(item, file.faults);
      check_lane(rules.back().actions, item, "[[rule]]", lane_names, file.faults);
    }
  }
}

/// An address with a network mask would be a glob that never matches: refused, not ignored.
void check_addresses(const TomlValue& value, const std::string& where, const Globs& globs, Faults& faults) {
  for (const auto& glob : globs) {
    const auto slash = glob.rfind('/');
    if (slash != std::string::npos && slash > 0 && slash + 1 < glob.size() && glob.front() != '/' &&
        glob.find_first_not_of("0123456789", slash + 1) == std::string::npos)
      faults.expected(value, where, "an address or a glob such as \"10.1.*\" (network masks are not supported)");
  }
}

}  // namespace

void read_match(const TomlValue& value, const std::string& where, Match& match, Faults& faults) {
  const auto globs = [&faults](std::string name, Globs& target) {
    return Field{std::move(name), [&faults, &target](const TomlValue& v, Where w) {
                   if (auto names = read_names(v, w, faults)) target = std::move(*names);
                 }};
  };
  std::vector<Field> fields{globs("database", match.database),       globs("user", match.user),
                            globs("application", match.application), globs("fingerprint", match.fingerprint),
                            globs("table", match.table)};
  fields.push_back({"client_address", [&](const TomlValue& v, Where w) {
                      if (auto names = read_names(v, w, faults)) match.client_address = std::move(*names);
                      check_addresses(v, w, match.client_address, faults);
                    }});
  fields.push_back({"statement", [&](const TomlValue& v, Where w) {
                      auto names = read_names(v, w, faults);
                      if (!names) return;
                      const auto known = statement_names();
                      for (const auto& name : *names) {
                        if (!is_glob(name) && std::find(known.begin(), known.end(), name) == known.end())
                          faults.add(v.line, fmt::format("{}: {}", w, unknown_name("statement kind", name, "", known)));
                      }
                      match.statement = std::move(*names);
                    }});
  fields.push_back({"tag", [&](const TomlValue& v, Where w) {
                      if (!v.table()) return faults.expected(v, w, "a table such as tag.route = \"/reports/*\"");
                      for (const auto& entry : *v.table()) {
                        if (auto names = read_names(entry.value, w + "." + entry.key, faults))
                          match.tag[entry.key] = std::move(*names);
                      }
                    }});
  read_table(value, where, fields, faults);
}

namespace {

/// Texts in, a builder out; nullopt with all errors when any file is wrong.
std::optional<Builder> build(const std::vector<std::pair<std::string, std::string>>& named_texts,
                             std::vector<FileError>* errors) {
  std::vector<File> files;
  bool good = true;
  Builder builder;
  for (const auto& [name, text] : named_texts) {
    std::string error;
    auto document = parse_toml(text, name, &error);
    if (!document) {
      good = false;
      if (errors) errors->push_back({error});
      continue;
    }
    files.push_back({Faults(name), std::move(*document)});
  }
  for (File& file : files) builder.read_defaults_and_lanes(file);
  for (File& file : files) builder.read_rules(file);
  for (File& file : files) {
    good = good && file.faults.empty();
    file.faults.move_to(errors);
  }
  return good ? std::optional(std::move(builder)) : std::nullopt;
}

}  // namespace

std::shared_ptr<const PolicySet> PolicySet::parse(std::string_view toml, const std::string& file_name,
                                                  std::vector<FileError>* errors) {
  auto builder = build({{file_name, std::string(toml)}}, errors);
  if (!builder) return nullptr;
  auto set = std::make_shared<PolicySet>();
  set->defaults_ = std::move(builder->defaults);
  set->defaults_where_ = std::move(builder->defaults_where);
  set->rules_ = std::move(builder->rules);
  set->lanes_ = std::move(builder->lanes);
  return set;
}

std::shared_ptr<const PolicySet> PolicySet::load(const std::string& directory, std::vector<FileError>* errors) {
  namespace fs = std::filesystem;
  std::error_code code;
  if (directory.empty() || !fs::exists(directory, code)) return std::make_shared<PolicySet>();
  std::set<std::string> paths;
  fs::directory_iterator entries(directory, code);
  if (code) {
    if (errors) errors->push_back({fmt::format("{}:1: expected a directory of policy files: {}", directory, code.message())});
    return nullptr;
  }
  for (const auto& entry : entries) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() == ".toml" && name.front() != '.') paths.insert(entry.path().string());
  }
  std::vector<std::pair<std::string, std::string>> texts;
  bool good = true;
  for (const std::string& path : paths) {
    std::string error;
    auto text = read_file(path, &error);
    good = good && text;
    if (text) texts.emplace_back(path, std::move(*text));
    else if (errors) errors->push_back({error});
  }
  auto builder = build(texts, errors);
  if (!builder || !good) return nullptr;
  auto set = std::make_shared<PolicySet>();
  set->defaults_ = std::move(builder->defaults);
  set->defaults_where_ = std::move(builder->defaults_where);
  set->rules_ = std::move(builder->rules);
  set->lanes_ = std::move(builder->lanes);
  return set;
}

}  // namespace pgsteer::policies
