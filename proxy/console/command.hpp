#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/console/console.hpp"
#include "proxy/learner/learner.hpp"
#include "proxy/console/words.hpp"

namespace pgsteer::proxy::console {

/// What a command gets to see. Lives for one call.
struct Request {
  Hub& hub;
  const ConsoleUser& user;
  std::string_view name;        ///< the command's, as in the list
  std::vector<Word> arguments;  ///< the words after the name
};

using Handler = ConsoleResult (*)(const Request&);

enum class Needs : unsigned char { nothing, admin };

/// One admin command. `name` is one or more upper-case words; the longest name that fits a text wins.
struct Command {
  std::string_view name;
  std::string_view arguments;  ///< for people: "'<fingerprint>' TO '<label>'"
  std::string_view help;       ///< one line
  Needs needs;
  Handler handler;
  bool listed = true;  ///< false: answers what drivers send, not worth a line in SHOW HELP
};

/// "off", "in use", "breaker open" ... (show_cache.cpp).
std::string redis_state(const Snapshot& snapshot, int breaker);

/// Rows of SHOW QUERIES and SHOW DECISIONS, for whoever chooses them otherwise (show_learning.cpp).
ConsoleResult queries_table(const std::vector<QueryStatistics>& queries);
ConsoleResult decisions_table(const std::vector<DecisionRecord>& records);

/// The explicit list, all.cpp.
std::span<const Command> all_commands();

/// The answer to a question psql or pgAdmin asks the system catalogs; none if `request` is not one of those (tools.cpp).
std::optional<ConsoleResult> answer_tool(const Request& request);

/// The answer to a text no command fits, with the nearest name.
ConsoleResult unknown_command(const std::vector<Word>& words);

// Handlers, by file. Each is one command of the list; what it shows is said there.
ConsoleResult show_help(const Request&), show_version(const Request&), show_state(const Request&);         // show_about.cpp
ConsoleResult show_config(const Request&), show_rules(const Request&), show_rewrites(const Request&);      // show_config.cpp
ConsoleResult show_arms(const Request&);                                                                   // show_config.cpp
ConsoleResult show_stats(const Request&), show_stats_totals(const Request&);                               // show_stats.cpp
ConsoleResult show_stats_averages(const Request&), show_totals(const Request&);                            // show_stats.cpp
ConsoleResult show_pools(const Request&), show_clients(const Request&), show_servers(const Request&);      // show_pools.cpp
ConsoleResult show_databases(const Request&), show_users(const Request&);                                  // show_pools.cpp
ConsoleResult show_hosts(const Request&);                                                                  // show_hosts.cpp
ConsoleResult show_lists(const Request&), show_mem(const Request&);                                        // show_pools.cpp
ConsoleResult show_queries(const Request&), show_decisions(const Request&);                                // show_learning.cpp
ConsoleResult show_models(const Request&), show_experiments(const Request&), show_feedback(const Request&);  // show_learning.cpp
ConsoleResult show_steering(const Request&);                                                               // show_learning.cpp
ConsoleResult show_policies(const Request&), show_tuning(const Request&);                                  // show_learning.cpp
ConsoleResult approve(const Request&), explore(const Request&), resume_policy(const Request&);             // learned.cpp
ConsoleResult show_advice(const Request&);                                                                 // show_advice.cpp
ConsoleResult show_lanes(const Request&), show_limits(const Request&);                                     // show_lanes.cpp
ConsoleResult show_cache(const Request&), show_cache_queries(const Request&);                              // show_cache.cpp
ConsoleResult show_health(const Request&);                                                                 // show_health.cpp
ConsoleResult set_mode(const Request&), panic(const Request&), reload(const Request&);                     // operate.cpp
ConsoleResult kill_client(const Request&), pause(const Request&), resume(const Request&), reconnect(const Request&);  // operate.cpp
ConsoleResult shutdown(const Request&);                                                                    // operate.cpp
ConsoleResult pin(const Request&), unpin(const Request&), ban(const Request&);                             // learned.cpp
ConsoleResult show_mismatches(const Request&), ban_rule(const Request&), unban_rule(const Request&);       // mismatches.cpp
ConsoleResult train(const Request&), rollback_model(const Request&), pin_model(const Request&), unpin_model(const Request&);  // learned.cpp
ConsoleResult flush_cache(const Request&);                                                                 // flush_cache.cpp
ConsoleResult set_ignored(const Request&), transaction_word(const Request&);                               // drivers.cpp
ConsoleResult show_setting(const Request&), select_constant(const Request&);                               // drivers.cpp

}  // namespace pgsteer::proxy::console
