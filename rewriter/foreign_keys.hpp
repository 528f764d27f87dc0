#pragma once
#include "rewriter/binder.hpp"

/// Foreign keys of one column that can be relied upon: validated, not deferrable, between tables without inheritance.
namespace pgsteer::rewriter {

/// `child.column = parent.key` along a foreign key: every not null value has exactly one partner.
struct Link {
  const Source* child = nullptr;  ///< null: it is no such equality
  int column = -1;
  bool nullable_column = false;
};

/// The conjunct is exactly child.column = parent.key, both FROM items of the parent's query.
Link link_of(Json& conjunct, const Source& parent, const Bound& bound);

/// child.column references parent.parent_column.
bool has_foreign_key(const Source& child, int column, const Source& parent, int parent_column);

}  // namespace pgsteer::rewriter
