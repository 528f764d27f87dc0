#include "proxy/hosts/read_only.hpp"

#include <algorithm>
#include <array>

#include "cache/builtins.hpp"
#include "cache/resolve.hpp"

namespace pgsteer::proxy {
namespace {

/// Functions of the server's own that are not volatile and tell of this server, this session or this transaction all the same. All of pg_
/// are of that kind but those that only format or look up.
bool of_this_server(std::string_view name) {
  constexpr std::array<std::string_view, 10> kOthers{"currval", "lastval", "current_setting", "inet_server_addr", "inet_server_port", "inet_client_addr",
                                                     "inet_client_port", "txid_current", "txid_current_if_assigned", "txid_current_snapshot"};
  constexpr std::array<std::string_view, 6> kHarmless{"pg_typeof", "pg_size_pretty", "pg_size_bytes", "pg_collation_for", "pg_char_to_encoding", "pg_encoding_to_char"};
  if (std::find(kOthers.begin(), kOthers.end(), name) != kOthers.end()) return true;
  const bool about_server = name.starts_with("pg_") || name.starts_with("txid_") || name.starts_with("lo_");
  return about_server && std::find(kHarmless.begin(), kHarmless.end(), name) == kHarmless.end();
}

std::string why_relation(const sql::TableUse& use, const sql::Catalog& catalog, const sql::SessionFacts& session, bool judged) {
  const std::string name = use.schema.empty() ? use.name : use.schema + "." + use.name;
  if (cache::is_temporary_schema(use.schema)) return "temporary table " + name;
  if (cache::is_system_relation(use)) return "system catalog " + name;
  const sql::Relation* relation = cache::resolve(use, catalog, session);
  if (!relation) return "unknown table " + name;
  if (relation->oid < cache::first_user_oid || cache::is_system_schema(relation->schema)) return "system catalog " + name;
  if (relation->persistence == 't') return "temporary table " + name;
  if (relation->persistence == 'u') return "unlogged table " + name;
  switch (relation->kind) {
    case 'r': case 'p': case 'm': return {};
    case 'v': return judged ? std::string() : "view " + name + ", not looked into yet";
    case 'f': return "foreign table " + name;
    case 'S': return "sequence " + name;
    default: return "relation " + name + " of an unknown kind";
  }
}

std::string why_function(const sql::FunctionUse& use, const sql::Catalog& catalog) {
  if (of_this_server(use.name)) return "function " + use.name + "() tells of the server";
  const auto* group = catalog.function(use.schema, use.name);
  if (!group) return "unknown function " + use.name + "()";
  if (group->any_user_defined) return "user-defined function " + use.name + "()";
  if (group->worst_volatility == 'v' || cache::runs_sql_text(use.name)) return "volatile function " + use.name + "()";
  return {};
}

}  // namespace

std::string why_primary(const sql::Analysis& analysis, const sql::Catalog* catalog, const sql::SessionFacts& session, const cache::Judgement* judgement) {
  if (analysis.why_not != sql::WhyNot::none) return "not analysed: " + std::string(sql::to_string(analysis.why_not));
  if (analysis.kind != sql::StatementKind::select || analysis.statements > 1) return "not a single SELECT";
  const auto& flags = analysis.flags;
  if (flags.locking_clause) return "it locks rows";
  if (flags.into || flags.creates_temporary) return "it makes a table";
  if (flags.data_modifying_cte || std::any_of(analysis.tables.begin(), analysis.tables.end(), [](const auto& t) { return t.written; })) return "it writes";
  if (flags.current_of) return "it has to do with a cursor";
  if (session.has_temporary_objects || session.objects_uncertain) return "the session may have temporary objects";
  if (!catalog) return "the catalog is not known";
  const bool judged = judgement && judgement->state == cache::Judgement::State::cacheable && judgement->catalog_version == catalog->version;
  for (const auto& use : analysis.tables)
    if (auto why = why_relation(use, *catalog, session, judged); !why.empty()) return why;
  for (const auto& use : analysis.functions)
    if (auto why = why_function(use, *catalog); !why.empty()) return why;
  return {};
}

}  // namespace pgsteer::proxy
