"""Programs with one step of the cache protocol taken out, for the history checker to find: the product holds no switch for it.

    cache_mutants.py list                     names and what is missing
    cache_mutants.py build BUILD NAME OUTPUT  from a finished build directory; one file is compiled again and linked in front
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import mutant  # noqa: E402

MARK = "for (const sql::Oid oid : oids) table.word(oid, impl_->entropy).fetch_add(1);"
KEYS = "cache/key_words.cpp"
DONE = "const std::uint64_t change = certainly_rolled_back ? 0 - 1ull : epoch_one - 1;"
SAME = "(dependency.second & in_flight_mask) == 0 && word->load() == dependency.second;"

# All that use place_of().
PLACES = ("proxy/group/members.cpp", "proxy/session/caching.cpp", "proxy/console/show_cache.cpp")

# name: (what is missing, file, ((text that must stand there once, what comes instead), ...)[, for a header: the files that use what changes])
MUTANTS = {
    "no_mark": ("writes are not marked before they are sent", "cache/words.cpp",
                ((MARK, "for (const sql::Oid oid : oids) table.word(oid, impl_->entropy);"), (DONE, "const std::uint64_t change = certainly_rolled_back ? 0 : epoch_one;"))),
    "no_bump": ("a finished write leaves the epoch", "cache/words.cpp", ((DONE, "const std::uint64_t change = 0 - 1ull; (void)certainly_rolled_back;"),)),
    "bump_first": ("the epoch moves before the write and not after it", "cache/words.cpp",
                   ((MARK, MARK.replace("(1)", "(epoch_one)")), (DONE, "const std::uint64_t change = 0; (void)certainly_rolled_back;"))),
    "hit_ignores_marks": ("answers from the cache while a write is under way", "cache/words.cpp", ((SAME, "(word->load() >> 20) == (dependency.second >> 20);"),)),
    "hit_ignores_epochs": ("answers from the cache whatever the epoch, when no write is under way", "cache/words.cpp", ((SAME, "(word->load() & in_flight_mask) == 0;"),)),
    "unknown_is_rollback": ("a write whose outcome nobody heard counts as rolled back", "cache/words.cpp", (("Words::Mark::~Mark() { done(false); }", "Words::Mark::~Mark() { done(true); }"),)),
    "tag_after": ("the words are read when the answer is there and not before it was asked for", "proxy/session/caching.cpp",
                  (("  auto entry = fill.entry;\n", "  auto entry = fill.entry;\n  if (auto now = worker_.hub.words.read(facts_.database, exec.plan->knowledge->cache.relations)) entry->tag = *now;\n"),)),
    "commit_unmarked": ("COMMIT is sent without a mark of what its transaction wrote", "proxy/session/write_tracker.cpp",
                        (("if (certainly_in_block && !may_commit(analysis.kind)) return;", "if (certainly_in_block) return;"),)),
    "left_unwaited": ("the mark ends when the client leaves, before the server has", "proxy/session/session.cpp", (("  if (!server_ || !(marked() || (lending_.pool && !returnable()))) return finish();\n", "  if (!server_ || !client_gone_) return finish();\n"),)),
    "panic_unvoided": ("work that was passed on unseen leaves the epochs", "proxy/session/session.cpp",
                       (("  unmarked_ = false;\n  worker_.hub.words.flush();\n", "  unmarked_ = false;\n"),)),
    # Of "bounded"; judged by cache_load.sh.
    "load_old_for_all": ("an old answer is given to whoever asks", "proxy/session/caching.cpp", (("entry.asked_unix_us >= seen_unix_us_ &&", "true &&"),)),
    "load_old_over_ddl": ("an old answer is given whatever became of the catalog", "proxy/session/caching.cpp", (("worker_.hub.words.catalog_unchanged(facts_.database, entry.tag)", "true"),)),
    "load_seen_not": ("a session does not remember of what time its answers from the cache were", "proxy/session/caching.cpp", (("  seen_unix_us_ = std::max(seen_unix_us_, entry.asked_unix_us);\n", ""),)),
    "load_no_end": ("an old answer is given without end", "proxy/session/caching.cpp", (("if (entry.expires_unix_us != 0 && entry.expires_unix_us <= steady_unix_us()) return false;", ""),)),
    # Of words for rows; those that begin with key_ are judged by the adversarial cases of keys.
    "rows_hide": ("a write of one key leaves the table's word", KEYS, (("words.insert(words.end(), {key.table, key.word});", "words.push_back(key.word);"),)),
    "rows_kept": ("a write of one key leaves that key's word", KEYS, (("words.insert(words.end(), {key.table, key.word});", "words.push_back(key.table);"),)),
    "rows_unknown": ("a write of unknown rows leaves what was read by key", KEYS, (("if (relation >= first_user_oid) words.push_back(unknown_rows(relation));", ""),)),
    "key_assigned": ("a write may give its rows another key", KEYS, ((" || std::find(analysis.assigned.begin(), analysis.assigned.end(), column->name) != analysis.assigned.end()", ""),)),
    "key_cascades": ("a cascade from a table to itself is not looked for", KEYS,
                     (("  if (std::find(relation.referencing.begin(), relation.referencing.end(), relation.oid) != relation.referencing.end()) return nullptr;\n", ""),)),
    "key_generated": ("a key may be worked out of other columns", KEYS, ((" && !column->generated", ""),)),
    "key_any_type": ("values of any type are told apart by their bytes", KEYS, (("is_integer(column->type) && ", ""), (" || (type != 0 && !is_integer(type))", ""),
                     ("if (digits.empty() || digits.size() > 18) return std::nullopt;", "if (digits.empty()) return std::nullopt;"),
                     ("if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;", "if (error != std::errc() || end != digits.data() + digits.size()) return static_cast<std::int64_t>(std::hash<std::string_view>{}(digits));"))),
    "key_other_rows": ("a statement's other tables and subqueries are not looked at", "rewriter/sql/key_conditions.cpp", (("table == nullptr || where == nullptr || !alone(s)", "table == nullptr || where == nullptr"),)),
    "key_portal": ("a portal's values are those of the last Bind, whatever became of it", "proxy/session/prepared.cpp", (("unit_ && portal->bound_in == unit_->serial", "true"),)),
    "key_family": ("partitions and inheritance are not looked at", KEYS, (("relation.kind != 'r' || relation.has_children || relation.parent != 0 || ", ""), (" || writes.relations.size() != 1)", " || writes.relations.empty())"))),
    "key_operator": ("an operator = of the user's own is not looked for", KEYS, ((" || !catalog.usual_integers", ""),)),
    # Judged by cache_group_faults.sh.
    "faults_untold": ("a write is sent before everybody knows in which Redis its mark stands", "proxy/group/shared_words.cpp", (("mark->stands ? known || late :", "mark->stands ? true || known :"),)),
    "faults_no_pause": ("nobody is given the time to look", "proxy/group/shared_words.cpp", (("kEverybodyHasLooked = kLease + milliseconds(50);", "kEverybodyHasLooked = milliseconds(0);"),)),
    "faults_told_of_another": ("it counts as known whatever Redis the lock names", "proxy/group/shared_words.cpp", (("  if (state_.told_redis != state_.redis) return false;\n", ""),)),
    "faults_same_lock": ("the lock names the generation and not its Redis", "proxy/group/shared_words.hpp", (("((generation >> 1) ^ (redis >> 8))", "(generation >> 1)"),), ("proxy/group/members.cpp",)),
    "faults_same_place": ("who was moved to a copy takes what was seen before for what is", "proxy/group/shared_words.hpp", (("(generation ^ redis * 0x9E3779B97F4A7C15ull) | 1", "generation | (redis & 0) | 1"),), PLACES),
    "faults_promoted": ("a look-up does not ask which Redis it is", "proxy/session/caching.cpp", (("  if (worker_.redis->server() != hub.group->redis()) co_return result;", "  //"),)),
    # Judged by long/cache_failover.sh.
    "failover_standby": ("what a standby says is kept", "proxy/session/caching.cpp", (("if (server_ && !worker_.hub.hosts->is_primary(server_->host))", "if (false)"),)),
    "failover_kept": ("another primary leaves the epochs", "proxy/hub.cpp", (("(!impl_->server_start.empty() && impl_->server_start != when)) words.flush();", "(!impl_->server_start.empty() && impl_->server_start != when)) {}"),)),
    # Judged by long/cache_clock.sh.
    "clock_ahead": ("what another member has kept is as old as its clock says", "proxy/session/caching.cpp", (("|| entry.asked_unix_us <= steady_unix_us();", "|| true;"),)),
    "clock_kept": ("what another member has kept is kept here too, by its clock", "proxy/session/caching.cpp", (("entry->tag == now && cache::exact(plan->policy.cache.mode)) hub", "entry->tag == now) hub"),)),
    "clock_system": ("ages are by the system's clock", "proxy/session/caching.cpp", (('#include "proxy/session/session.hpp"\n', '#include "proxy/session/session.hpp"\n#define steady_unix_us unix_us\n'),)),
    # Judged by redis_faults.sh.
    "values_any_key": ("what stands under the hash of a key is taken for that key's", "proxy/session/caching.cpp", (("  if (entry.key_material != key.material) return false;\n", ""),)),
    # Of two processes; those that begin with group_ are judged by cache_group.sh.
    "group_unwaited": ("a write is sent before its mark stands in Redis", "proxy/session/session.cpp", (("if (!server_ || !writes_.may_send())", "if (!server_)"),)),
    "group_no_mark": ("writes are not marked in Redis", "proxy/group/shared_words.cpp",
                      (("  mark->change.delta = 1;\n", "  mark->change.delta = 0;\n"), ("task.rolled_back ? -1 : kEpoch - 1", "task.rolled_back ? 0 : kEpoch"))),
    "group_no_bump": ("the end of a write leaves the epoch in Redis", "proxy/group/shared_words.cpp", (("task.rolled_back ? -1 : kEpoch - 1", "-1"),)),
    "group_no_fence": ("with Redis away a write goes on though others still answer from the cache", "proxy/group/shared_words.cpp",
                       (("known || late : out_of_reach || late)", "known || late : true)"),)),
    "group_words_once": ("the words are not asked for: an answer counts while the generation does", "proxy/session/caching.cpp",
                         (("  if (entry && entry->tag == now) {", "  if (entry) {"),)),
    "group_picture": ("DDL through another member is not noticed", "proxy/group/shared_words.cpp",
                      (("  if (mark.everything || picture == mark.picture) return true;", "  if (true || picture == mark.picture) return true;"),)),
    # Of writes that bypass us; judged by cache_feed.sh.
    "feed_unwaited": ("a look-up does not wait for the feed", "proxy/feed/feed.cpp", (("if (feed::reached(position_, look.inserted)) return true;", "return true;"),)),
    "feed_unmarked": ("what is decoded counts as visible", "proxy/feed/feed.cpp", (("if (!one->xids.empty() || (one->mark", "if ((one->mark"),)),
    "feed_old_kept": ("what was kept before the feed began stays", "proxy/feed/feed.cpp",
                      (("if (!void_) void_ = mark({.writes = true,", "if (!void_) void_ = mark({.writes = false,"),)),
    "feed_no_ddl": ("a transaction that changed nothing but a catalog is passed over", "proxy/feed/feed.cpp", (("if (!commit->own) commits_", "if (!commit->own && !commit->everything) commits_"),)),
}


if __name__ == "__main__":
    if sys.argv[1] == "list":
        for name, (what, *_) in MUTANTS.items():
            print(f"{name}\t{what}")
    else:
        _, file, changes, *compiled_by = MUTANTS[sys.argv[3]]
        mutant.make(sys.argv[2], sys.argv[3], file, changes, sys.argv[4], *compiled_by)
