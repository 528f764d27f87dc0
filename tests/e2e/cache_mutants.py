"""Programs with one step of the cache protocol taken out, for the history checker to find: the product holds no switch for it.

    cache_mutants.py list                     names and what is missing
    cache_mutants.py build BUILD NAME OUTPUT  from a finished build directory; one file is compiled again and linked in front
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import mutant  # noqa: E402

MARK = "for (const sql::Oid oid : oids) table.word(oid, impl_->entropy).fetch_add(1);"
DONE = "const std::uint64_t change = certainly_rolled_back ? 0 - 1ull : epoch_one - 1;"
SAME = "(dependency.second & in_flight_mask) == 0 && word->load() == dependency.second;"

# name: (what is missing, file, ((text that must stand there once, what comes instead), ...))
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
    # Of two processes; those that begin with group_ are judged by cache_group.sh.
    "group_unwaited": ("a write is sent before its mark stands in Redis", "proxy/session/session.cpp", (("if (!server_ || !writes_.may_send())", "if (!server_)"),)),
    "group_no_mark": ("writes are not marked in Redis", "proxy/group/shared_words.cpp",
                      (("  mark->change.delta = 1;\n", "  mark->change.delta = 0;\n"), ("task.rolled_back ? -1 : kEpoch - 1", "task.rolled_back ? 0 : kEpoch"))),
    "group_no_bump": ("the end of a write leaves the epoch in Redis", "proxy/group/shared_words.cpp", (("task.rolled_back ? -1 : kEpoch - 1", "-1"),)),
    "group_no_fence": ("with Redis away a write goes on though others still answer from the cache", "proxy/group/shared_words.cpp",
                       (("state_.present || late : out_of_reach || late)", "true : true)"),)),
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
        for name, (what, _, _) in MUTANTS.items():
            print(f"{name}\t{what}")
    else:
        _, file, changes = MUTANTS[sys.argv[3]]
        mutant.make(sys.argv[2], sys.argv[3], file, changes, sys.argv[4])
