#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgsteer::sql {

/// What a statement is, by its top node. `multiple` is a simple-protocol string of several statements.
enum class StatementKind : std::uint8_t {
  unparsed,  ///< not parsed or not parseable: `why_not` says why
  empty,
  multiple,
  select,  ///< also VALUES, TABLE and set operations
  insert,
  update,
  delete_,
  merge,
  copy_from,
  copy_to,
  begin,
  commit,  ///< COMMIT, END, COMMIT AND CHAIN
  rollback,
  savepoint,  ///< SAVEPOINT, RELEASE, ROLLBACK TO
  prepare_transaction,
  commit_prepared,
  rollback_prepared,
  set,  ///< SET, RESET, SET LOCAL, SET TRANSACTION, SET CONSTRAINTS
  show,
  explain,
  prepare,
  execute,
  deallocate,
  discard,
  declare_cursor,
  fetch,
  close_cursor,
  listen,  ///< LISTEN, UNLISTEN, NOTIFY
  lock,
  call,
  do_block,
  truncate,
  vacuum,  ///< VACUUM, ANALYZE, CHECKPOINT, CLUSTER, REINDEX: maintenance without a change of answers
  refresh_view,
  ddl,  ///< everything else that may change the catalog: CREATE, ALTER, DROP, GRANT, COMMENT ...
};
std::string_view to_string(StatementKind kind);

/// Why a statement was not analysed (all of them mean: forward the original).
enum class WhyNot : std::uint8_t {
  none,
  too_long,
  too_many_tokens,
  too_deep,
  nested_comments,
  nul_byte,
  syntax,
  nonstandard_strings,
  lost_literal,  ///< an integer literal that the parser's output lost cannot be read again from the text
};
std::string_view to_string(WhyNot why);

struct TableUse {
  std::string schema;  ///< as written; "" when not qualified
  std::string name;    ///< as PostgreSQL folds it
  std::string alias;
  bool read = false;
  bool written = false;
};

struct ColumnUse {
  std::string qualifier;  ///< table or alias as written; ""
  std::string name;       ///< "*" for a star
  bool in_predicate = false;
};

struct FunctionUse {
  std::string schema;
  std::string name;
  int arguments = 0;
  bool aggregate_syntax = false;  ///< DISTINCT, FILTER, OVER, ORDER BY, WITHIN GROUP or f(*)
  bool in_from = false;
};

/// `column = value` that holds for every row a SELECT reads, or an UPDATE or DELETE changes, of its only table: there is no other query
/// in the statement, and it stands alone or under ANDs at the top of WHERE.
struct KeyCondition {
  std::string column;
  int parameter = 0;        ///< $n, which stands nowhere else in the statement; 0: a literal
  std::size_t literal = 0;  ///< the n-th of the text, from 0
};

/// A `SET name = value`, `SET LOCAL`, `RESET name` (value empty optional) or a literal set_config().
struct SettingChange {
  std::string name;  ///< lower case; "all" for RESET ALL; "transaction_isolation" etc. for SET TRANSACTION
  std::optional<std::string> value;
  bool local = false;
};

/// Counts that the predictor and the policies read; all of the syntax alone.
struct SyntaxFeatures {
  int tables = 0, joins = 0, outer_joins = 0, subqueries = 0, correlated_hint = 0, ctes = 0, set_operations = 0;
  int aggregates = 0, window_functions = 0, group_by = 0, order_by = 0, distinct = 0, having = 0;
  int predicates = 0, equalities = 0, ranges = 0, likes = 0, in_lists = 0, in_list_items = 0, ors = 0, nots = 0;
  int exists_sublinks = 0, in_sublinks = 0, functions = 0, casts = 0, case_expressions = 0;
  int parameters = 0, constants = 0, target_columns = 0, stars = 0, values_rows = 0;
  int has_limit = 0, has_offset = 0, returning = 0, lateral = 0, depth = 0, bytes = 0;
  double limit_value = -1;  ///< literal LIMIT, -1 when none or not a literal
};

/// What the client asked for in a comment: `/* pgsteer:off */`, `/* pgsteer:{mode=observe,cache=off} */` or the
/// sqlcommenter form `pgsteer_mode='off'`.
struct Directive {
  std::optional<std::string> mode;
  std::optional<std::string> cache;
  bool operator==(const Directive&) const = default;
};

/// Facts that decide on caching and rewriting, each a plain syntactic yes/no over the whole tree.
struct Flags {
  bool locking_clause = false;           ///< FOR UPDATE/SHARE ...
  bool into = false;                     ///< SELECT INTO
  bool data_modifying_cte = false;
  bool tablesample = false;
  bool sql_value_function = false;       ///< CURRENT_TIMESTAMP, CURRENT_USER, ...
  bool time_literal = false;             ///< a string constant now/today/tomorrow/yesterday
  bool function_in_from = false;
  bool current_of = false;
  bool hint_comment = false;             ///< carries `/*+` already
  bool creates_temporary = false;
  bool explain_pgsteer = false;          ///< EXPLAIN (PGSTEER ...)
  bool explain_analyze = false;
  bool transaction_read_only_or_isolation = false;  ///< BEGIN/SET TRANSACTION with an isolation level above READ COMMITTED
};

/// 128 bits over the statement's tokens with literals replaced by their kind (int, float, string, bit): two texts
/// with the same shape differ in literal values only. Key of learned knowledge, never of cached rows.
struct Shape {
  std::uint64_t high = 0, low = 0;
  bool operator==(const Shape&) const = default;
  std::string hex() const;
};
struct ShapeHash {
  std::size_t operator()(const Shape& s) const { return s.high ^ (s.low * 0x9E3779B97F4A7C15ull); }
};

/// Bounds on what is parsed at all, so that no text can stall a loop or overflow a stack (REWRITES.md 1.5).
struct Limits {
  std::size_t max_bytes = 32 * 1024;
  std::size_t max_tokens = 6000;
  int max_depth = 200;           ///< of brackets, and of the parsed tree
  int max_comment_nesting = 8;
};

/// What the text of one statement says, without a catalog. Immutable and shared between sessions of a thread.
struct Analysis {
  StatementKind kind = StatementKind::unparsed;
  WhyNot why_not = WhyNot::none;
  int statements = 0;
  std::uint64_t fingerprint = 0;  ///< libpg_query's; for statistics only (it merges different statements)
  std::string fingerprint_hex;    ///< 16 digits, as users see it; the xxh3 of the text when unparsed
  Shape shape;
  std::vector<TableUse> tables;   ///< CTE names left out
  std::vector<ColumnUse> columns;
  std::vector<FunctionUse> functions;
  std::vector<SettingChange> settings;
  std::vector<KeyCondition> key_conditions;
  std::vector<std::string> assigned;  ///< columns that an UPDATE with key_conditions sets
  std::vector<std::string> string_constants;  ///< lower-cased words that matter to caching are in flags; kept for tests
  SyntaxFeatures features;
  Flags flags;
  Directive directive;
  std::map<std::string, std::string> tags;  ///< sqlcommenter key='value' pairs, URL-decoded
  std::vector<std::string> databases_alone;  ///< that nobody else may be connected to: DROP, RENAME, SET TABLESPACE; a template
  std::vector<std::string> roles_replaced;   ///< whose name will stand for another role, or none: DROP ROLE, RENAME
  std::string name;                         ///< PREPARE/EXECUTE/DEALLOCATE/DECLARE/COMMIT PREPARED name
  std::string explained;                    ///< for EXPLAIN: text of the statement inside

  bool read_only_select() const {
    return kind == StatementKind::select && !flags.into && !flags.locking_clause && !flags.data_modifying_cte;
  }
  /// Literals as $n (in utility statements strings as '...'), comments dropped; for people. "" when unparsed. Worked out when first asked for: it costs a parse, and of
  /// most texts nobody asks, since it is kept once per fingerprint. Thread-safe.
  const std::string& normalized() const;

 private:
  friend std::shared_ptr<const Analysis> analyse_scanned(std::string_view text, const struct TextScan& scan, const Limits& limits);
  struct Normalized {
    std::once_flag once;
    std::string text;  ///< until then as it was read
  };
  std::shared_ptr<Normalized> normalized_;
};

/// Parses and analyses one statement text (UTF-8). Total: whatever cannot be analysed comes back as kind
/// `unparsed` with the reason. Thread-safe. Never throws on input.
std::shared_ptr<const Analysis> analyse(std::string_view text, const Limits& limits = {});

/// The n-th literal (string or number) of a text as it is spelt, from 0; "" when there are fewer.
std::string_view literal_of(std::string_view text, std::size_t n);

/// Bounded LRU from exact text to Analysis; one per thread, not synchronised. Texts of SELECT, INSERT, UPDATE and DELETE that
/// differ only in literals which analyse() does not read share one Analysis (that of the first such text: its
/// `string_constants` and `features.bytes` are the first one's).
class AnalysisCache {
 public:
  explicit AnalysisCache(std::size_t max_entries = 10000, std::size_t max_text_bytes = 32 * 1024 * 1024,
                         Limits limits = {});
  ~AnalysisCache();
  AnalysisCache(const AnalysisCache&) = delete;
  AnalysisCache& operator=(const AnalysisCache&) = delete;

  /// The analysis of `text`; `hit` statistics in hits()/misses(). The text is copied only on a miss.
  std::shared_ptr<const Analysis> get(std::string_view text);
  std::uint64_t hits() const { return hits_; }
  std::uint64_t misses() const { return misses_; }
  std::size_t size() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::uint64_t hits_ = 0, misses_ = 0;
};

}  // namespace pgsteer::sql
