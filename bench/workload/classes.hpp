#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bench/workload/connection.hpp"
#include "bench/workload/generator.hpp"
#include "bench/workload/random.hpp"

namespace pgsteer::workload {

/// One statement as an application sends it: one step, or a transaction of several.
struct Statement {
  std::vector<Step> steps;
  bool ordered = false;             ///< ORDER BY is total: the order of rows counts
  std::vector<std::string> before;  ///< run once, through the last of the compared servers, before any is asked
};

/// A template set with a parameter generator. `draw` is a pure function of the random stream.
struct StatementClass {
  std::string name;  ///< one word
  std::string what;  ///< for people
  std::function<Statement(Random&)> draw;
  int per_round = 8;      ///< statements in one round of `compare`
  double day = 1;         ///< weight in a mixed run by day …
  double night = 1;       ///< … and by night
  bool writes = false;
  bool comparable = true;  ///< the answer is the same whenever asked; false: only errors and row counts are compared
};

/// The classes on the generated data.
std::vector<StatementClass> shop_classes(const Scale& scale);
/// The classes on the travel data set (data of a question-and-answer site; see its README for the schema).
std::vector<StatementClass> travel_classes();
/// By data set name: "shop" or "travel". Throws std::invalid_argument.
std::vector<StatementClass> make_classes(const std::string& dataset, const Scale& scale);
/// Tables the travel classes write to and its schema does not have; harmless to run twice.
extern const std::string_view travel_extra_sql;

}  // namespace pgsteer::workload
