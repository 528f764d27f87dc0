#include <boost/json.hpp>
#include <limits>

#include "rewriter/rules/rules.hpp"
#include "rewriter/types.hpp"

// Pattern:  small + 5 = 12      10 - small > 3      id + 5000000000 <= 5000000007      small smallint, id integer
// Result:   small = 7           small < 7           id <= 7
// Why:      the sum is computed in a wider type than the column's, and every value of the column fits: no row can overflow,
//           so addition can be undone. The bare column can use an index.
// Counter-example of the guard: with id integer, `id + 1 = 5` fails for a row of 2147483647, and `id = 5` does not: refused.
namespace pgsteer::rewriter {
namespace {

constexpr std::int64_t far = std::int64_t{1} << 60;

bool site(Json& value, Attempt& attempt) {
  const auto compare = operation(value);
  if (!compare || commuted(compare->name).empty()) return false;
  for (const auto& [side, other, name] : {std::tuple{compare->left, compare->right, compare->name},
                                          std::tuple{compare->right, compare->left, commuted(compare->name)}}) {
    const auto sum = operation(*side);
    const auto target = integer_constant(*other);
    if (!sum || !target || !as(*other, "A_Const") || (sum->name != "+" && sum->name != "-")) continue;
    if (*target <= -far || *target >= far) continue;
    const bool column_left = attempt.bound.reference(*sum->left) != nullptr;
    auto* column = column_left ? sum->left : sum->right;
    const auto* reference = attempt.bound.reference(*column);
    if (!reference || !reference->source) continue;
    const auto shift = shift_within(column_left ? *sum->right : *sum->left, reference->output()->type.oid);
    if (!shift) continue;
    attempt.fact(named(*reference) + " is narrower than the sum: it cannot overflow");
    const bool subtracted_from = !column_left && sum->name == "-";  // 10 - col > 3
    const std::int64_t rest = subtracted_from ? *shift - *target : sum->name == "+" ? *target - *shift : *target + *shift;
    const std::string op(subtracted_from ? commuted(name) : name);
    Json bare = std::move(*column);
    value = make_operation(op, std::move(bare), make_integer(rest));
    return true;
  }
  return false;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes())
    if (for_each_condition(*scope, [&](Json& value) { return site(value, attempt); })) return true;
  return false;
}

}  // namespace

const Rule shifted_column{{"shifted_column", "smallint + 5 = 12 -> smallint = 7", false, false, 0.9}, apply};

}  // namespace pgsteer::rewriter
