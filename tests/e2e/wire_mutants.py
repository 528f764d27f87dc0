"""Programs with a bug that another pooler had (the numbers are those of the list of bugs that others had), each with the script that must find
it: one of ours fails, or the tests are worth nothing.

    wire_mutants.py list                     name, the script that judges it, its environment, what is wrong
    wire_mutants.py build BUILD NAME OUTPUT  from a finished build directory
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import mutant  # noqa: E402

POOLED, MESSAGES, SESSION = "proxy/session/pooled.cpp", "proxy/session/server_messages.cpp", "proxy/session/session.cpp"
CLIENT, STATEMENTS = "proxy/session/client_messages.cpp", "proxy/pool/statements.cpp"
TRACKER, USERS_OF_TRACKER = "protocol/reply_tracker.hpp", (MESSAGES, CLIENT, SESSION, POOLED, "proxy/session/prepared.cpp")
IDLE = "return server_ && status_ == 'I' && tracker_.empty() && "


def wire(script):
    return "wire_differential.sh", f"ONLY_POOLED=1 ONLY={script}"


# name: (number, what is wrong, file, changes, (script, environment)[, files that compile a header])
MUTANTS = {
    "replies_left": (1, "a server goes to the next client with replies still due", POOLED, ((IDLE, "return server_ && status_ == 'I' && "),), ("pooling.sh", "")),
    "request_cut": (1, "and after half a message", POOLED, (("to_server_.empty() && client_passing_ == 0 && !group_open_", "!group_open_"),), ("pooling.sh", "")),
    "first_ready": (2, "a server is released at the first of several ReadyForQuery", POOLED, ((IDLE, "return server_ && status_ == 'I' && "),), wire("pipeline_of_several_syncs")),
    "error_ends_nothing": (3, "an error does not drop what comes up to Sync", TRACKER, (("while (!queue_.empty() && queue_.front().kind != Request::sync) {", "while (false) {"),),
                           wire("pipeline_with_an_error_in_the_middle"), USERS_OF_TRACKER),
    "late_sync": (4, "a query behind an error is expected to be answered before Sync", TRACKER, (("if (kind != Request::sync) return false;", "if (kind != Request::sync && kind != Request::query) return false;"),),
                  wire("pipeline_error_then_simple_query_then_late_sync"), USERS_OF_TRACKER),
    "flush_lost": (5, "Flush is not passed on", CLIENT, (("    case 'c': case 'f':\n      tracker_.copy_done();\n", "    case 'H': return true;\n    case 'c': case 'f':\n      tracker_.copy_done();\n"),),
                   wire("parse_describe_flush")),
    "block_left": (6, "a server is lent inside of a transaction block, with its portals", POOLED, ((IDLE, "return server_ && tracker_.empty() && "),), ("pooling.sh", "")),
    "early_sync": (7, "a Sync that COPY swallows is waited for", TRACKER, (("while (queue_.size() > 1 && !copy_done_sent_) {", "while (false) {"),), wire("copy_in_extended"), USERS_OF_TRACKER),
    "late_data": (8, "what comes of Syncs behind a COPY that failed is not waited for", TRACKER, (("uncertain_syncs_ = syncs_in_copy_;", "uncertain_syncs_ = 0;"),), wire("copy_in_fails_with_syncs_behind"), USERS_OF_TRACKER),
    "flush_answered": (9, "Flush during COPY OUT is expected to be answered", CLIENT,
                       (("    case 'c': case 'f':\n      tracker_.copy_done();\n", "    case 'H':\n      expect(Request::sync, {nullptr, make_ref<Unit>(), nullptr});\n      break;\n    case 'c': case 'f':\n      tracker_.copy_done();\n"),),
                       wire("flush_during_copy_out")),
    "types_not_in_key": (10, "parameter types are no part of a statement's identity", STATEMENTS, (("for (const auto type : types) key.append(", "for (const auto type : types) (void)std::string().append("),), ("pooling.sh", "")),
    "text_cut": (10, "nor is all of its text", STATEMENTS, (("std::string key(text);", "std::string key(text.substr(0, 6));"),), ("pooling.sh", "")),
    "failed_parse_kept": (11, "a Parse that failed counts as prepared", MESSAGES,
                          (("      parsing_.erase_value(prepared);\n      if (dropped.hidden", "      if (dropped.hidden"),), wire("parse_fails_and_its_name_is_used_again")),
    "plan_of_old": (12, "a statement prepared before DDL is used after it", STATEMENTS, ((" || found->second.catalog_epoch < catalog_epoch", ""),), ("pooling.sh", "")),
    "unnamed_shared": (13, "the unnamed statement on a server is whoever's was last", "proxy/session/pooled_statements.cpp", (("if (server_->unnamed == prepared || prepared->unkept) return;", "if (server_->unnamed || prepared->unkept) return;"),),
                       ("pooling.sh", "")),
    "cancel_late": (14, "a server is lent on while a cancel request to it is under way", POOLED, ((" && cancels_ == 0", ""),), ("pooling.sh", "")),
    "gone_in_block": (15, "a server is given back in the transaction that its client left", SESSION, (("  if (returnable()) {\n    hand_back();", "  if (returnable() || (pooled() && server_ && tracker_.empty())) {\n    hand_back();"),), ("pool_leaks.sh", "")),
    "dead_lent": (16, "a dead server is lent", POOLED, (("&& !server->alive()) {", "&& false) {"),), ("pooling.sh", "")),
    "listener_lent": (17, "a server that listens for one client is lent to others", POOLED, (("if (residue.pinned != pin_) pin(residue.pinned);", ""),), ("pooling.sh", "")),
    "wake_up_lost": (18, "who was blocked in both directions is not read again", SESSION, (("  to_client_.shrink(spare_capacity());\n  let_speak();\n", "  to_client_.shrink(spare_capacity());\n"),), wire("deep_pipeline_without_reading")),
    "large_records": (19, "TLS records of 16 kB", "proxy/tls/tls.cpp", (("constexpr long kMaxRecord = 8192;", "constexpr long kMaxRecord = 16384;"),), ("tls.sh", "")),
    "no_keepalive": (20, "who is gone without a word is never noticed", "proxy/listener.cpp", (("keep_alive(true)", "keep_alive(false)"),), ("faults.sh", "")),
    "startup_unbounded": (21, "a startup packet of any length is waited for", "protocol/startup.cpp", ((" || length > kMaxStartupBytes", ""),), ("faults.sh", "")),
    "negotiated_twice": (22, "NegotiateProtocolVersion is sent twice", "proxy/connection.cpp", (("co_await client.write_all(version)", "co_await client.write_all(version + version)"),), ("replication.sh", "")),
    "split_message": (23, "a message is looked at before all of it is there", CLIENT, (("    if (rest.size() < header->total()) break;\n    const std::string_view message = rest.substr(0, header->total());\n    const bool again",
                                                                                        "    const std::string_view message = rest.substr(0, header->total());\n    const bool again"),), wire("byte_by_byte")),
    "idle_times_out": (24, "query_timeout strikes when nothing is in flight", POOLED, (("if (!busy) query_start_ = {};\n  else if", "if"),), ("pooling.sh", "")),
    "reload_forgets": (25, "a reload forgets who waits for a server", "proxy/pool/pools.cpp",
                       (("  if (paused()) return;\n  for (const auto& [name, pool] : pools_) {\n    const auto wait_limit", "  static const void* seen = nullptr;\n  if (const void* now_is = &*settings; std::exchange(seen, now_is) != now_is) {\n"
                         "    for (const auto& [name, pool] : pools_) pool->waiters.clear();\n  }\n  if (paused()) return;\n  for (const auto& [name, pool] : pools_) {\n    const auto wait_limit"),), ("chaos_pooled.sh", "")),
    "length_unchecked": (26, "the length of a server's message is not checked", MESSAGES, (("if (header->length < 4 || header->length > protocol::kMaxLength) {", "if (false) {"),), ("evil_server.sh", "")),
    "login_unbounded": (26, "a server may send any amount before the login is done", "proxy/auth/server_login.cpp", (("parsed->length < 4 || parsed->length > kMaxLoginMessage", "parsed->length < 4"),), ("evil_server.sh", "")),
    "signature_unchecked": (26, "a server need not know the password it asks for", "proxy/auth/server_login.cpp", (("verified_ = scram_ && scram_->verify(r.rest());", "verified_ = true;"),), ("evil_server.sh", "")),
    "search_path_taken": (26, "whose search_path is the auth query's", "proxy/auth/auth_query.cpp", (("\"SET search_path TO pg_catalog, pg_temp\"", "\"SELECT 1\""),), ("auth_query.sh", "")),
    "stuffed": (26, "what was sent before the TLS handshake is honoured", "proxy/connection.cpp",
                (("        if (accepted) {\n", "        if (accepted) {\n          std::string early(8192, '\\0');\n          const auto n = ::recv(client.native_handle(), early.data(), early.size(), MSG_DONTWAIT);\n"),
                 ("          if (const bool good = co_await handshake(worker, client, false, address); !good) co_return std::nullopt;\n        }\n        continue;",
                  "          if (const bool good = co_await handshake(worker, client, false, address); !good) co_return std::nullopt;\n          if (n > 8) {\n            early.resize(static_cast<std::size_t>(n));\n"
                  "            auto stuffed = protocol::read_startup(early);\n            co_return std::pair(std::move(stuffed), std::move(early));\n          }\n        }\n        continue;")),
                ("tls.sh", "")),
    "merge_reads": (27, "MERGE invalidates nothing", "cache/write_set.cpp", (("    case StatementKind::merge:\n    case StatementKind::copy_from:", "    case StatementKind::merge: return nothing();\n    case StatementKind::copy_from:"),),
                    ("cache_adversarial.sh", "")),
    "zones_mixed": (27, "the time zone is no part of the cache's key", "cache/key.cpp", (("    \"timezone\",\n", ""),), ("cache_adversarial.sh", "CASES=^60")),
}

if __name__ == "__main__":
    if sys.argv[1] == "list":
        for name, (number, what, _, _, (script, environment), *_) in MUTANTS.items():
            print(f"{name}\t{script}\t{environment or '-'}\t{number}: {what}")
    else:
        _, _, file, changes, _, *compiled_by = MUTANTS[sys.argv[3]]
        mutant.make(sys.argv[2], sys.argv[3], file, changes, sys.argv[4], *compiled_by)
