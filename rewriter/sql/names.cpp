#include "rewriter/sql/analysis.hpp"

namespace pgsteer::sql {

std::string_view to_string(StatementKind kind) {
  using enum StatementKind;
  switch (kind) {
    case unparsed: return "unparsed";
    case empty: return "empty";
    case multiple: return "multiple";
    case select: return "select";
    case insert: return "insert";
    case update: return "update";
    case delete_: return "delete";
    case merge: return "merge";
    case copy_from: return "copy_from";
    case copy_to: return "copy_to";
    case begin: return "begin";
    case commit: return "commit";
    case rollback: return "rollback";
    case savepoint: return "savepoint";
    case prepare_transaction: return "prepare_transaction";
    case commit_prepared: return "commit_prepared";
    case rollback_prepared: return "rollback_prepared";
    case set: return "set";
    case show: return "show";
    case explain: return "explain";
    case prepare: return "prepare";
    case execute: return "execute";
    case deallocate: return "deallocate";
    case discard: return "discard";
    case declare_cursor: return "declare_cursor";
    case fetch: return "fetch";
    case close_cursor: return "close_cursor";
    case listen: return "listen";
    case lock: return "lock";
    case call: return "call";
    case do_block: return "do";
    case truncate: return "truncate";
    case vacuum: return "vacuum";
    case refresh_view: return "refresh_view";
    case ddl: return "ddl";
  }
  return "unparsed";
}

std::string_view to_string(WhyNot why) {
  using enum WhyNot;
  switch (why) {
    case none: return "none";
    case too_long: return "too_long";
    case too_many_tokens: return "too_many_tokens";
    case too_deep: return "too_deep";
    case nested_comments: return "nested_comments";
    case lost_literal: return "lost_literal";
    case nul_byte: return "nul_byte";
    case syntax: return "syntax";
    case nonstandard_strings: return "nonstandard_strings";
  }
  return "none";
}

}  // namespace pgsteer::sql
