// The explicit list of admin commands, and how a text finds its command.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "policies/policy.hpp"
#include "proxy/console/command.hpp"
#include "proxy/console/result.hpp"

namespace pgsteer::proxy::console {
namespace {

constexpr Needs nothing = Needs::nothing, admin = Needs::admin;

constexpr Command commands[] = {
    // As pgbouncer has them.
    {"SHOW HELP", "", "this list", nothing, show_help},
    {"SHOW VERSION", "", "version of this program", nothing, show_version},
    {"SHOW STATS", "", "counters and averages since start, pgbouncer's columns", nothing, show_stats},
    {"SHOW STATS_TOTALS", "", "counters since start", nothing, show_stats_totals},
    {"SHOW STATS_AVERAGES", "", "averages since start", nothing, show_stats_averages},
    {"SHOW TOTALS", "", "every counter of this process by name", nothing, show_totals},
    {"SHOW POOLS", "", "clients and server connections by database and user", nothing, show_pools},
    {"SHOW CLIENTS", "", "client connections; column id is what KILL takes", nothing, show_clients},
    {"SHOW SERVERS", "", "server connections", nothing, show_servers},
    {"SHOW HOSTS", "", "hosts of upstream.url: role, lag, what the last look found", nothing, show_hosts},
    {"SHOW DATABASES", "", "databases seen, and where they are", nothing, show_databases},
    {"SHOW LISTS", "", "how many of everything", nothing, show_lists},
    {"SHOW MEM", "", "memory of the caches", nothing, show_mem},
    {"SHOW STATE", "", "active, paused, mode, panic", nothing, show_state},
    {"SHOW CONFIG", "", "every setting, its default, where it comes from", nothing, show_config},
    {"SHOW USERS", "", "users seen", nothing, show_users},
    // Ours.
    {"SHOW QUERIES", "[limit]", "statements by total time: calls, latency, prediction, cacheable and why, last action", nothing,
     show_queries},
    {"SHOW DECISIONS", "[limit]", "the newest decisions: what was done, why, predicted and actual time", nothing, show_decisions},
    {"SHOW CACHE", "", "result cache: sizes, hits, time saved, why statements are not cached", nothing, show_cache},
    {"SHOW CACHE QUERIES", "", "the result cache by statement: hits, time saved, bytes, why answers were missed or not kept", nothing, show_cache_queries},
    {"SHOW MODELS", "", "registered models and which one is in use", nothing, show_models},
    {"SHOW EXPERIMENTS", "", "evidence for every tried rewrite and hint set: how far it got, effect against the control group, interval, p-value", nothing, show_experiments},
    {"SHOW POLICIES", "", "what each policy rule's changes gained and lost, its regret budget, and which ones only observe for it", nothing, show_policies},
    {"SHOW TUNING", "", "what other steering settings would have come to: the last result of pgsteer tune", nothing, show_tuning},
    {"SHOW ADVICE", "", "what is known to pay and is not done, with the policy rule that would do it", nothing, show_advice},
    {"SHOW FEEDBACK", "", "the feedback store: received, stored, dropped", nothing, show_feedback},
    {"SHOW HEALTH", "", "named checks", nothing, show_health},
    {"SHOW RULES", "", "policy rules in order: file:line, matchers, actions, recent decisions", nothing, show_rules},
    {"SHOW LANES", "", "lanes of the policies: who runs, who waits and for how long", nothing, show_lanes},
    {"SHOW LIMITS", "", "what limits of the policies did: warned, queued, refused, or only observed", nothing, show_limits},
    {"SHOW REWRITES", "", "rewrite rules this version knows, and which are banned", nothing, show_rewrites},
    {"SHOW ARMS", "", "hint sets that are tried on statements worth it, in order", nothing, show_arms},
    {"SHOW STEERING", "", "what is steered, or pinned and banned by hand: what pgsteer steering export writes", nothing, show_steering},
    {"SHOW MISMATCHES", "", "rewritten statements whose answer was not the original's, with both texts", nothing, show_mismatches},
    {"SET MODE", "off | observe | suggest | canary | auto | default", "an upper bound of the mode for the whole process", admin,
     set_mode},
    {"PANIC", "[OFF]", "everything to byte relay, at once; OFF ends it", admin, panic},
    {"RELOAD", "", "read configuration and policies again: all or nothing", admin, reload},
    {"PIN", "'<fingerprint>' TO '<label>'", "always use this candidate for a statement", admin, pin},
    {"UNPIN", "'<fingerprint>'", "let the decision be made again: takes back PIN, BAN and APPROVE", admin, unpin},
    {"BAN", "'<fingerprint>' '<label>'", "never use this candidate for a statement", admin, ban},
    {"APPROVE", "'<fingerprint>' '<arm>' [PLAN '<plan>'] [IN '<database>']", "let an arm serve without exploring, under the usual guard", admin, approve},
    {"EXPLORE", "'<duration>'", "so much more execution time may be spent on exploring, now", admin, explore},
    {"BAN RULE", "<name>", "never use this rewrite rule, for any statement", admin, ban_rule},
    {"UNBAN RULE", "<name>", "use it again: ends BAN RULE, and what a mismatch did", admin, unban_rule},
    {"FLUSH CACHE", "[[TABLE] table | [DATABASE] database]", "forget cached answers", admin, flush_cache},
    {"TRAIN", "", "train a model from the feedback store now, in the background", admin, train},
    {"ROLLBACK MODEL", "[name]", "go back to the model version before", admin, rollback_model},
    {"PIN MODEL", "<version>", "use this model version, whatever training makes", admin, pin_model},
    {"UNPIN MODEL", "", "let training and its watch choose the model again", admin, unpin_model},
    {"KILL", "<id>", "close a client connection", admin, kill_client},
    {"PAUSE", "", "let those under way end, hold new transactions and logins", admin, pause},
    {"RESUME", "", "go on after PAUSE", admin, resume},
    {"RESUME POLICY", "'<rule>' | ALL", "let a policy act again that has lost too much", admin, resume_policy},
    {"RECONNECT", "", "close every pooled server connection as soon as nobody holds it", admin, reconnect},
    {"SHUTDOWN", "", "stop this process", admin, shutdown},
    // What drivers say at connect.
    {"SET", "", "", nothing, set_ignored, false},
    {"RESET", "", "", nothing, set_ignored, false},
    {"DISCARD", "", "", nothing, set_ignored, false},
    {"DEALLOCATE", "", "", nothing, set_ignored, false},
    {"BEGIN", "", "", nothing, transaction_word, false},
    {"START TRANSACTION", "", "", nothing, transaction_word, false},
    {"COMMIT", "", "", nothing, transaction_word, false},
    {"END", "", "", nothing, transaction_word, false},
    {"ROLLBACK", "", "", nothing, transaction_word, false},
    {"ABORT", "", "", nothing, transaction_word, false},
    {"SELECT", "", "", nothing, select_constant, false},
    {"SHOW", "", "", nothing, show_setting, false},
};

std::size_t count_words(std::string_view name) { return 1 + static_cast<std::size_t>(std::count(name.begin(), name.end(), ' ')); }

bool starts_with(const std::vector<Word>& words, std::string_view name) {
  for (std::size_t i = 0; !name.empty(); ++i) {
    const auto blank = name.find(' ');
    if (i >= words.size() || !words[i].is(name.substr(0, blank))) return false;
    name = blank == std::string_view::npos ? std::string_view() : name.substr(blank + 1);
  }
  return true;
}

const Command* find_command(const std::vector<Word>& words) {
  const Command* best = nullptr;
  for (const Command& command : commands)
    if (starts_with(words, command.name) && (!best || count_words(command.name) > count_words(best->name))) best = &command;
  return best;
}

}  // namespace

std::span<const Command> all_commands() { return commands; }

ConsoleResult unknown_command(const std::vector<Word>& words) {
  std::vector<std::string> names;
  for (const Command& command : commands)
    if (command.listed) names.push_back(lower(command.name));  // nearest_name looks for lower-case names
  // The first two words are looked up, then the first: "SHOW QUERY 5" is near "SHOW QUERIES", "PANC" is near "PANIC".
  std::string near;
  for (const std::size_t take : {std::size_t{2}, std::size_t{1}}) {
    if (!near.empty()) break;
    const std::vector<Word> head(words.begin(), words.begin() + static_cast<long>(std::min(take, words.size())));
    near = upper(policies::nearest_name(join_words(head), names));
  }
  return failure("42601", fmt::format("unknown command '{}'", join_words(words)),
                 near.empty() ? "SHOW HELP lists all commands." : fmt::format("Did you mean '{}'? SHOW HELP lists all commands.", near));
}

}  // namespace pgsteer::proxy::console

namespace pgsteer::proxy {

ConsoleResult run_console_command(Hub& hub, const ConsoleUser& user, std::string_view text) {
  const auto words = console::split_words(text);
  if (words.empty()) return {};  // no columns, no tag, no error: an empty query
  const console::Command* command = console::find_command(words);
  if (!command) return console::unknown_command(words);
  if (command->needs == console::Needs::admin && !user.admin)
    return console::failure("42501", fmt::format("permission denied: {} needs an admin user, '{}' is not one", command->name, user.name),
                            "Admin users are listed in console.admin_users.");
  const auto skip = static_cast<long>(console::count_words(command->name));
  if (command->listed && command->arguments.empty() && words.size() > static_cast<std::size_t>(skip))
    return console::failure("42601", fmt::format("{} takes no arguments, got '{}'", command->name, console::join_words(words)),
                            "One command at a time; SHOW HELP lists all.");
  const console::Request request{hub, user, command->name, {words.begin() + skip, words.end()}};
  try {
    auto result = command->handler(request);
    if (command->needs == console::Needs::admin)
      spdlog::info("event=admin_command by=\"{}\" command=\"{}\" outcome={}", user.name, console::join_words(words, 200),
                   result.sqlstate.empty() ? "done" : result.sqlstate);
    return result;
  } catch (const std::exception& error) {  // the console must never take a session loop down
    return console::failure("XX000", fmt::format("{} failed: {}", command->name, error.what()));
  }
}

}  // namespace pgsteer::proxy
