#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policies/decision.hpp"
#include "policies/policy.hpp"
#include "predictor/predictor.hpp"
#include "proxy/config.hpp"
#include "rewriter/sql/catalog.hpp"

namespace pgsteer::proxy {

/// Everything the pipeline reads and does not own: immutable, replaced as a whole. The Hub posts a new one to every
/// thread when any part changes (at most a few times a second).
struct Snapshot {
  std::shared_ptr<const Config> config;
  std::shared_ptr<const policies::PolicySet> policies;
  std::map<std::string, std::shared_ptr<const sql::Catalog>, std::less<>> catalogs;  ///< by database
  std::map<std::string, std::uint64_t, std::less<>> pictures;  ///< of the catalogs, in a group: the word they were read under
  std::shared_ptr<const predictor::Model> model;                                     ///< null before the first
  std::shared_ptr<const predictor::Calibration> calibration;                         ///< never null
  std::shared_ptr<const policies::KnowledgeMap> knowledge;                           ///< never null
  std::vector<std::string> banned_rules;  ///< rewrite rules no statement may use: their answer was wrong once, or BAN RULE
  std::map<std::string, std::string, std::less<>> held_policies;  ///< rules that only observe because they have lost too much -> why; "" = all
  std::optional<policies::Mode> console_mode;                                        ///< SET MODE
  bool panic = false;
  std::uint64_t catalog_epoch = 0;  ///< Hub::catalog_epoch when this was made
  std::uint64_t version = 0;

  const sql::Catalog* catalog(std::string_view database) const;
  std::uint64_t picture(std::string_view database) const;
  /// Why this rule only observes; "" when it does what it says.
  std::string held(const std::string& rule) const;
};

}  // namespace pgsteer::proxy
