#include "rewriter/limit_push.hpp"
#include "rewriter/rules/rules.hpp"

// Pattern:  SELECT .. FROM o JOIN c ON c.id = o.customer_id WHERE o.x ORDER BY o.y, o.id LIMIT 20       a foreign key from
//           o.customer_id to c.id; further joins of the kind, and LEFT JOINs on whole keys
// Result:   SELECT .. FROM (SELECT * FROM o WHERE o.x [AND o.customer_id IS NOT NULL] ORDER BY o.y, o.id LIMIT 20) o
//           JOIN c ON c.id = o.customer_id ORDER BY o.y, o.id
// Why:      the foreign key says that every not null value has exactly one partner, so a row of o gives exactly one row of the
//           join, in the place its own columns give it. Only the rows that LIMIT keeps are joined and sorted with all columns.
// Counter-example of the guard: a second condition in ON drops rows; a key that starts from a LEFT JOINed table is NULL where
//           that had no partner; a nullable key column drops rows before LIMIT counts them, hence IS NOT NULL; a NOT VALID or
//           deferrable key has orphans. What is said of trusting constraints at foreign_key_join holds here; the privilege to
//           read c is still checked.
namespace pgsteer::rewriter {
namespace {

bool apply(Attempt& attempt) { return cut_before_joining(attempt, Joins::inner); }

}  // namespace

const Rule limit_before_foreign_key_join{
    {"limit_before_foreign_key_join", "FROM o JOIN c (a foreign key) ORDER BY o.y LIMIT n -> LIMIT before the join", true, false, 0.9}, apply};

}  // namespace pgsteer::rewriter
