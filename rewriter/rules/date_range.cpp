#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>

#include "rewriter/rules/rules.hpp"
#include "rewriter/types.hpp"

// Pattern:  ts::date = '2024-05-01'     date_trunc('month', ts) = '2024-05-01'     extract(year from ts) = 2024
//           also <, <=, >, >=, BETWEEN
// Result:   the same AND ts >= <a day before> AND ts < <a day after>
// Why:      only an implied condition is added: whatever satisfies the original lies between the bounds in every time zone,
//           as no clock has been set by more than a day since 1900. The bounds are casts made by the server in the
//           session's own TimeZone. With them an index on ts can be used; the original condition decides as before.
// Counter-example that shaped it: ts::date = D -> ts >= D AND ts < D + 1 loses rows where midnight occurs twice
//           (America/Havana, 2021-11-07: 150 rows against 144), hence the day of slack and the original condition kept.
//           to_char(ts, 'YYYY-MM-DD') is left out: it writes 2024 BC as 2024 too.
namespace pgsteer::rewriter {
namespace {

struct Day {
  int year, month, day;
  std::string text() const {
    char buffer[40];
    std::snprintf(buffer, sizeof buffer, "%04d-%02d-%02d", year, month, day);
    return buffer;
  }
};

/// 'YYYY-MM-DD', a real day of 1901..2199 (the zone data says nothing certain beyond). Unambiguous under every DateStyle.
std::optional<Day> day_text(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  for (const auto i : {0, 1, 2, 3, 5, 6, 8, 9})
    if (text[static_cast<std::size_t>(i)] < '0' || text[static_cast<std::size_t>(i)] > '9') return std::nullopt;
  const auto number = [&](std::size_t at, std::size_t size) {
    int value = 0;
    for (std::size_t i = at; i < at + size; ++i) value = value * 10 + (text[i] - '0');
    return value;
  };
  const Day day{number(0, 4), number(5, 2), number(8, 2)};
  static constexpr int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (day.year < 1901 || day.year > 2199 || day.month < 1 || day.month > 12 || day.day < 1) return std::nullopt;
  const bool leap = (day.year % 4 == 0 && day.year % 100 != 0) || day.year % 400 == 0;
  return day.day <= lengths[day.month - 1] + (day.month == 2 && leap ? 1 : 0) ? std::optional(day) : std::nullopt;
}

/// The literal, bare or cast to one of the given types.
std::optional<Day> day_literal(const Json& node, std::initializer_list<sql::Oid> casts) {
  if (const auto text = string_constant(node)) return day_text(*text);
  const auto* cast = as(node, "TypeCast");
  const auto* type = cast ? object_field(*cast, "typeName") : nullptr;
  const auto oid = type ? builtin_type(plain_type_name(*type)) : 0;
  if (std::find(casts.begin(), casts.end(), oid) == casts.end()) return std::nullopt;
  const auto text = string_constant(*field(*cast, "arg"));
  return text ? day_text(*text) : std::nullopt;
}

/// What is compared: a column cut down to a day or a longer unit.
struct Cut {
  Json column;
  const Reference* reference = nullptr;
  std::string unit;                       ///< interval from the cut value to the first instant behind it
  enum class Literal { date, moment, year } literal = Literal::date;
};

const Reference* time_column(const Json& node, const Bound& bound) {
  const auto* reference = bound.reference(node);
  if (!reference || !reference->source) return nullptr;
  const auto type = reference->output()->type.oid;
  return type == oid::timestamptz || type == oid::timestamp ? reference : nullptr;
}

std::string unit_interval(std::string_view unit) {
  for (const auto* plain : {"hour", "day", "week", "month", "year"})
    if (unit == plain) return "1 " + std::string(plain);
  return unit == "quarter" ? "3 months" : std::string();
}

std::optional<Cut> cut_of(const Json& node, const Bound& bound) {
  if (const auto* cast = as(node, "TypeCast")) {
    const auto* type = object_field(*cast, "typeName");
    const auto* argument = field(*cast, "arg");
    if (!type || !argument || builtin_type(plain_type_name(*type)) != oid::date) return std::nullopt;
    const auto* column = time_column(*argument, bound);
    return column ? std::optional(Cut{*argument, column, "1 day", Cut::Literal::date}) : std::nullopt;
  }
  const auto* call = as(node, "FuncCall");
  const auto names = call ? name_list(array_field(*call, "funcname")) : std::nullopt;
  const auto* arguments = call ? array_field(*call, "args") : nullptr;
  if (!names || !arguments || arguments->size() != 2) return std::nullopt;
  const auto* group = bound.catalog().function(names->size() == 2 ? names->front() : std::string(), names->back());
  if (!group || group->any_user_defined) return std::nullopt;
  const auto& name = names->back();
  const auto* column = time_column((*arguments)[1], bound);
  const auto unit = string_constant((*arguments)[0]);
  if (!column || !unit) return std::nullopt;
  if (name == "date_trunc" && !unit_interval(*unit).empty())
    return Cut{(*arguments)[1], column, unit_interval(*unit), Cut::Literal::moment};
  if ((name == "extract" || name == "date_part") && *unit == "year")
    return Cut{(*arguments)[1], column, "1 year", Cut::Literal::year};
  return std::nullopt;
}

std::optional<Day> literal_of(const Cut& cut, const Json& node) {
  switch (cut.literal) {
    case Cut::Literal::date: return day_literal(node, {oid::date});
    case Cut::Literal::moment: return day_literal(node, {cut.reference->output()->type.oid, oid::date});
    case Cut::Literal::year: {
      const auto year = integer_constant(node);
      if (!year || *year < 1901 || *year > 2199) return std::nullopt;
      return Day{static_cast<int>(*year), 1, 1};
    }
  }
  return std::nullopt;
}

Json moment(const Cut& cut, const Day& day) {
  return make_cast(make_string(day.text()), cut.reference->output()->type.oid == oid::timestamptz ? "timestamptz" : "timestamp");
}
Json interval(std::string_view text) { return make_cast(make_string(text), "interval"); }

Json lower_bound(const Cut& cut, const Day& day) {
  return make_operation(">=", cut.column, make_operation("-", moment(cut, day), interval("1 day")));
}
/// Behind the whole unit that begins on (or contains) the day.
Json upper_bound(const Cut& cut, const Day& day) {
  Json end = make_operation("+", moment(cut, day), interval(cut.unit));
  return make_operation("<", cut.column, make_operation("+", std::move(end), interval("1 day")));
}

std::vector<Json> bounds(const Cut& cut, std::string_view op, const Day& day) {
  std::vector<Json> list;
  if (op == "=" || op == ">" || op == ">=") list.push_back(lower_bound(cut, day));
  if (op == "=" || op == "<" || op == "<=") list.push_back(upper_bound(cut, day));
  return list;
}

/// BETWEEN a AND b as its two bounds.
std::vector<Json> between_bounds(Json& value, Cut& cut, const Bound& bound) {
  std::vector<Json> list;
  auto* expr = as(value, "A_Expr");
  if (!expr || string_field(*expr, "kind") != "AEXPR_BETWEEN") return list;
  const auto found = cut_of(*field(*expr, "lexpr"), bound);
  const auto* ends = as(*field(*expr, "rexpr"), "List");
  const auto* items = ends ? array_field(*ends, "items") : nullptr;
  if (!found || !items || items->size() != 2) return list;
  cut = *found;
  const auto from = literal_of(cut, (*items)[0]), to = literal_of(cut, (*items)[1]);
  if (!from || !to) return list;
  list.push_back(lower_bound(cut, *from));
  list.push_back(upper_bound(cut, *to));
  return list;
}

/// The query filters on the bare column already: by us, or by the user.
bool has_range(Scope& scope, const Reference& column, const Bound& bound) {
  return for_each_filter(scope, [&](Json& value) {
    if (auto* expr = as(value, "A_Expr"); expr && string_field(*expr, "kind") == "AEXPR_BETWEEN") {
      const auto* own = bound.reference(*field(*expr, "lexpr"));
      return own && own->source == column.source && own->column == column.column;
    }
    const auto op = operation(value);
    if (!op || commuted(op->name).empty() || op->name == "<>") return false;
    for (const auto* side : {op->left, op->right}) {
      const auto* own = bound.reference(*side);
      if (own && own->source == column.source && own->column == column.column) return true;
    }
    return false;
  });
}

bool site(Json& value, Scope& scope, Attempt& attempt) {
  Cut cut;
  auto added = between_bounds(value, cut, attempt.bound);
  if (const auto op = operation(value); op && added.empty()) {
    for (const auto& [side, other, name] :
         {std::tuple{op->left, op->right, op->name}, std::tuple{op->right, op->left, commuted(op->name)}}) {
      auto found = cut_of(*side, attempt.bound);
      if (!found) continue;
      cut = std::move(*found);
      if (const auto day = literal_of(cut, *other)) added = bounds(cut, name, *day);
      break;
    }
  }
  if (added.empty() || has_range(scope, *cut.reference, attempt.bound)) return false;
  attempt.fact("no clock was set by more than a day, so " + named(*cut.reference) + " lies between the added bounds");
  std::vector<Json> all{value};
  for (auto& bound : added) all.push_back(std::move(bound));
  value = make_and(std::move(all));
  return true;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes())
    if (for_each_filter(*scope, [&](Json& value) { return site(value, *scope, attempt); })) return true;
  return false;
}

}  // namespace

const Rule date_range{{"date_range", "ts::date = D -> .. AND ts >= D - 1 day AND ts < D + 2 days", false, false, 0.9}, apply};

}  // namespace pgsteer::rewriter
