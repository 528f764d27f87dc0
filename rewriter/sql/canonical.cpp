#include "rewriter/sql/canonical.hpp"

#include "rewriter/sql/json.hpp"

namespace pgsteer::sql {
namespace {

boost::json::object* boolean_of(boost::json::value& v) {
  const json::Node node = json::node_of(v);
  if (node.type != "BoolExpr") return nullptr;
  return &v.get_object()["BoolExpr"].get_object();
}

void flatten(boost::json::value& v) {
  boost::json::object* boolean = boolean_of(v);
  if (boolean == nullptr || json::text(*boolean, "boolop") == "NOT_EXPR") return;
  boost::json::value* arguments = boolean->if_contains("args");
  if (arguments == nullptr || !arguments->is_array() || arguments->get_array().empty()) return;
  boost::json::array& list = arguments->get_array();
  if (list.size() == 1) {
    boost::json::value only = std::move(list[0]);
    v = std::move(only);
    return;
  }
  boost::json::object* first = boolean_of(list[0]);
  if (first == nullptr || json::text(*first, "boolop") != json::text(*boolean, "boolop")) return;
  boost::json::array flat = std::move((*first)["args"].get_array());
  for (std::size_t i = 1; i < list.size(); ++i) flat.push_back(std::move(list[i]));
  list = std::move(flat);
}

/// libpg_query leaves such fields out; a rule may have set them.
bool is_default(const boost::json::value& v) {
  if (v.is_bool()) return !v.get_bool();
  if (v.is_int64()) return v.get_int64() == 0;
  if (v.is_uint64()) return v.get_uint64() == 0;
  return v.is_null() || (v.is_array() && v.get_array().empty());
}

}  // namespace

void make_canonical(boost::json::value& tree) {
  if (boost::json::object* fields = tree.if_object()) {
    for (auto member = fields->begin(); member != fields->end();)
      member = is_default(member->value()) ? fields->erase(member) : member + 1;
    for (auto& member : *fields) make_canonical(member.value());
  }
  if (boost::json::array* items = tree.if_array())
    for (boost::json::value& item : *items) make_canonical(item);
  flatten(tree);
}

}  // namespace pgsteer::sql
