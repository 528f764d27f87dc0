// The parts that need no server: Bind sections, parameter replacement, histograms, pins, decisions, the store's spool.
#include <filesystem>
#include <fstream>

#include "proxy/learner/explorer.hpp"
#include "proxy/learner/histogram.hpp"
#include "proxy/learner/judge.hpp"
#include "proxy/learner/pins.hpp"
#include "proxy/learner/statistics.hpp"
#include "proxy/learner/store_writer.hpp"
#include "tests/learner/fixture.hpp"

using namespace pgsteer;
using namespace pgsteer::proxy::learning;
using pgsteer::test::bind_section;

TEST_CASE("a Bind parameter section is read, and every truncation of it refused") {
  std::string section = std::string("\0\x02\0\0\0\1", 6) + std::string("\0\2\0\0\0\3abc\xff\xff\xff\xff", 13);
  const auto parameters = parse_bind({25, 23}, section);
  REQUIRE(parameters);
  CHECK(parameters->formats == std::vector<int>{0, 1});
  REQUIRE(parameters->values.size() == 2);
  CHECK(parameters->values[0] == "abc");
  CHECK(parameters->values[1] == std::nullopt);
  for (std::size_t cut = 1; cut < section.size(); ++cut) CHECK_FALSE(parse_bind({}, section.substr(0, cut)));
  CHECK(parse_bind({}, section + std::string("\0\0", 2)));          // result formats may follow
  CHECK(parse_bind({}, "")->values.empty());                          // the simple protocol
  CHECK_FALSE(parse_bind({}, std::string("\0\1\0\7\0\0", 6)));        // no such format
  CHECK(parse_bind({}, bind_section({"1", ""}))->values[1] == "");
}

TEST_CASE("parameters are replaced where they are parameters") {
  const std::vector<std::string> types{"integer", "text"};
  const std::pair<const char*, const char*> cases[] = {
      {"select $1, $2 ;", "select (NULL::integer), (NULL::text)"},
      {"select '$1', \"$2\", $2", "select '$1', \"$2\", (NULL::text)"},
      {"select E'it\\'s $1', $1", "select E'it\\'s $1', (NULL::integer)"},
      {"select 'it''s $1'||$2", "select 'it''s $1'||(NULL::text)"},
      {"select $$ $1 $$, $x$ $1 $$ $x$, $1", "select $$ $1 $$, $x$ $1 $$ $x$, (NULL::integer)"},
      {"select a$1 -- $1\n, $1 /* $2 /* $1 */ $2 */", "select a$1 -- $1\n, (NULL::integer) /* $2 /* $1 */ $2 */"},
      {"select $1::int", "select (NULL::integer)::int"},
  };
  for (const auto& [text, expected] : cases) {
    CAPTURE(std::string(text));
    CHECK(replace_parameters(text, types) == std::string(expected));
  }
  CHECK_FALSE(replace_parameters("select $3", types));
  CHECK_FALSE(replace_parameters("select $0", types));
}

TEST_CASE("quantiles of the histogram are right within a step") {
  Histogram histogram;
  CHECK(histogram.quantile(0.5) == 0);
  for (int i = 1; i <= 10000; ++i) histogram.add(i);
  CHECK(histogram.quantile(0.50) == doctest::Approx(5000).epsilon(0.04));
  CHECK(histogram.quantile(0.95) == doctest::Approx(9500).epsilon(0.04));
  CHECK(histogram.quantile(0.99) == doctest::Approx(9900).epsilon(0.04));
  Histogram wide;
  for (const double value : {0.0, 3.0, 1e3, 1e6, 1e9, 1e30}) wide.add(value);
  CHECK(wide.count() == 6);
  CHECK(wide.quantile(0.5) == doctest::Approx(1e3).epsilon(0.04));
  CHECK(wide.quantile(1.0) > 1e9);
}

TEST_CASE("pins are kept, a file of another version is neither read nor overwritten") {
  test::TempDir dir;
  const PinFile file(dir.path());
  std::string error;
  REQUIRE(file.read(&error));
  CHECK(file.read(&error)->empty());
  std::map<std::string, Pin> pins{{"00ff", {"arm:no_nestloop", {}}}, {"11ff", {"", {"arm:no_hash", "rewrite:x"}}}};
  REQUIRE(file.write(pins, &error));
  const auto again = file.read(&error);
  REQUIRE(again);
  CHECK(again->at("00ff").pinned == "arm:no_nestloop");
  CHECK(again->at("11ff").banned_text() == "arm:no_hash,rewrite:x");
  for (const char* foreign : {R"({"version": 2, "pins": []})", "{", R"({"version": 1})"}) {
    std::ofstream(dir.path() + "/pins.json") << foreign;
    CHECK_FALSE(file.read(&error));
    CHECK(error.find("pins.json") != std::string::npos);
    CHECK_FALSE(file.write(pins, &error));
    std::ifstream in(dir.path() + "/pins.json");
    CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == foreign);
  }
}

TEST_CASE("labels are what a user may call them, and a typo names its neighbour") {
  std::string error;
  CHECK(candidate_label("no_nestloop", &error) == "arm:no_nestloop");
  CHECK(candidate_label("arm:no_nestloop", &error) == "arm:no_nestloop");
  CHECK(candidate_label("as-is", &error) == "as-is");
  CHECK_FALSE(candidate_label("no_nestlop", &error));
  CHECK(error.find("no_nestloop") != std::string::npos);
  CHECK_FALSE(candidate_label("rewrite:nonsense", &error));
  CHECK(error.find("nonsense") != std::string::npos);
}

TEST_CASE("answers are compared in any order, floats with a tolerance, and unverifiable ones by count") {
  Answer a, b;
  a.ok = b.ok = true;
  a.columns = b.columns = {"x|23|-1"};
  a.rows = b.rows = 2;
  a.digest[0] = b.digest[0] = 7;
  CHECK(same_answer(a, b, true));
  b.digest[1] = 1;
  CHECK_FALSE(same_answer(a, b, true));
  CHECK(same_answer(a, b, false));
  b.rows = 3;
  CHECK_FALSE(same_answer(a, b, false));
  b = a;
  a.float_sum = a.float_abs = 1e6;
  b.float_sum = b.float_abs = 1e6 + 1e-3;
  CHECK(same_answer(a, b, true));
  b.float_sum = 1e6 + 100;
  CHECK_FALSE(same_answer(a, b, true));
  b = a;
  b.columns = {"y|23|-1"};
  CHECK_FALSE(same_answer(a, b, false));
  CHECK(is_verifiable(*sql::analyse("select x, count(*) from t group by x")));
  for (const char* text : {"select x from t limit 3", "select string_agg(x, ',') from t", "select distinct on (x) x, y from t",
                           "select row_number() over (order by x) from t"})
    CHECK_FALSE(is_verifiable(*sql::analyse(text)));
}

TEST_CASE("a store that cannot be written is spooled for, caught up with, and the oldest is dropped first") {
  test::TempDir dir;
  const std::string state = dir.path() + "/state";
  std::ofstream(state) << "in the way";  // a file where the directory should be: root may write anywhere else
  const auto embedded = [](std::string directory) {
    return [directory](std::string* error) { return predictor::FeedbackStore::open(directory, false, error); };
  };
  StoreWriter writer(embedded(state));
  const auto row = [](int number) {
    predictor::Feedback feedback;
    feedback.unix_microseconds = number;
    feedback.fingerprint = std::to_string(number);
    feedback.source = "server";
    feedback.features.assign(predictor::feature_names().size(), 1.f);
    feedback.feature_schema = predictor::feature_schema();
    return feedback;
  };
  writer.add({row(1), row(2)});
  writer.flush(1000000, true);
  CHECK_FALSE(writer.state().error.empty());
  CHECK(writer.state().spooled == 2);
  CHECK(writer.state().stored == 0);
  CHECK_FALSE(writer.idle());
  writer.add({row(3)});
  writer.flush(1000000, true);
  CHECK(writer.state().spooled == 3);
  std::filesystem::remove(state);
  std::filesystem::create_directory(state);
  writer.flush(1000000, true);
  CHECK(writer.state().error == "");
  CHECK(writer.state().stored == 3);
  CHECK(writer.state().rows == 3);
  CHECK(writer.idle());
  std::string error;
  std::vector<std::int64_t> times;
  auto store = predictor::FeedbackStore::open(state, true, &error);
  REQUIRE_MESSAGE(store, error);
  CHECK(store->read(predictor::feature_schema(), [&](const auto& f) { times.push_back(f.unix_microseconds); }, &error));
  CHECK(times == std::vector<std::int64_t>{1, 2, 3});

  StoreWriter full(embedded(dir.path() + "/state/feedback.db"));  // a file again
  std::vector<predictor::Feedback> many(StoreWriter::kMaxSpooled + 5, row(4));
  full.add(many);
  CHECK(full.state().dropped == 5);
  full.flush(1000000, true);
  full.add({row(5)});
  CHECK(full.state().dropped == 6);
  CHECK(full.state().spooled == StoreWriter::kMaxSpooled);
}
