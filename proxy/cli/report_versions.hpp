#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "predictor/feedback.hpp"
#include "predictor/models/meta.hpp"
#include "proxy/cli/report_document.hpp"

namespace pgsteer::proxy::cli {

/// The versions of one model that the registry keeps, each with what its training said of it, and what became of them. A value, read once.
class Versions {
 public:
  struct Version {
    predictor::ModelVersion model;
    std::optional<predictor::ModelMeta> meta;  ///< none: fault says why
    std::string fault;
    nlohmann::json metrics;
    /// By feature: its share of what splits took off the training error.
    std::map<std::string, double> gains() const;
  };
  Versions(const std::string& state, const std::string& name);
  const Version* current() const;  ///< null: no model yet
  void add_to(Document& document) const;

 private:
  std::vector<Version> versions_;
  std::string state_;
};

}  // namespace pgsteer::proxy::cli
