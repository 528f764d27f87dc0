#pragma once
#include <string>

#include "proxy/learner/book.hpp"
#include "proxy/learner/connection.hpp"

namespace pgsteer::proxy::learning {

/// The session's search_path as a list of quoted schemas with "$user" replaced, for SET LOCAL on a probe connection;
/// "" when the session uses the server's default and that does not depend on the user.
std::string session_search_path(const std::string& search_path, const sql::Catalog& catalog, const std::string& user);

/// EXPLAIN (FORMAT JSON) of a text with its parameters; `known` is false when the server refuses. `took_ms`: how long that was.
predictor::PlanFacts explain(Connection& connection, const std::string& text, const Parameters& parameters, double* took_ms = nullptr);

/// Looks at one statement shape at a time on a probe connection, in the session's search_path and always rolled back:
/// EXPLAIN as it is, every rewrite by Describe and EXPLAIN, and gate B when caching or exploring may come.
class Prober {
 public:
  Prober(Hub& hub, Book& book, Links& links) : hub_(hub), book_(book), links_(links) {}
  bool step();  ///< false: nothing to do right now

 private:
  bool look(const ProbeTask& task, Connection& connection, const sql::Catalog& catalog, ProbeResult& result);
  policies::RewriteJudgement compare(const rewriter::Candidate& candidate, const Rows& original,
                                     const predictor::PlanFacts& plan, const Parameters& parameters,
                                     Connection& connection);
  Hub& hub_;
  Book& book_;
  Links& links_;
};

}  // namespace pgsteer::proxy::learning
