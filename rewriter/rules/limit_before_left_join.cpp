#include "rewriter/limit_push.hpp"
#include "rewriter/rules/rules.hpp"

// Pattern:  SELECT .. FROM a LEFT JOIN r ON r.id = a.r_id WHERE a.x ORDER BY a.y, a.id LIMIT 20 OFFSET 40
// Result:   SELECT .. FROM (SELECT * FROM a WHERE a.x ORDER BY a.y, a.id LIMIT 20 OFFSET 40) a LEFT JOIN r ON r.id = a.r_id
//           ORDER BY a.y, a.id
// Why:      each r is joined on a whole key, so a row of a gives exactly one row, in the place its own columns give it: the rows
//           that LIMIT keeps are those of the first rows of a. Only they are joined.
// Counter-example of the guard: joined on less than a key a row of a is repeated and fills more places; an ORDER BY or WHERE on
//           r needs the join first; ORDER BY over ties may choose other rows (refused for every rule); WITH TIES gives more.
namespace pgsteer::rewriter {
namespace {

bool apply(Attempt& attempt) { return cut_before_joining(attempt, Joins::outer); }

}  // namespace

const Rule limit_before_left_join{
    {"limit_before_left_join", "FROM a LEFT JOIN r .. ORDER BY a.y LIMIT n -> LIMIT before the join", false, false, 0.9}, apply};

}  // namespace pgsteer::rewriter
