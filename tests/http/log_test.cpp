// Structured logs: the words of a line, and lines that are JSON whatever is in them.
#include "proxy/log.hpp"

#include <doctest/doctest.h>
#include <spdlog/details/log_msg.h>

#include <nlohmann/json.hpp>

using namespace pgsteer::proxy;
using nlohmann::json;

namespace {

json formatted(const std::string& text, spdlog::level::level_enum level = spdlog::level::info) {
  spdlog::memory_buf_t out;
  JsonFormatter().format(spdlog::details::log_msg("pgsteer", level, text), out);
  const std::string line(out.data(), out.size());
  CHECK(line.find('\n') == line.size() - 1);  // one line
  return json::parse(line);
}

}  // namespace

TEST_CASE("the fields of a line") {
  const auto fields = log_fields("audit session=7 event=fallback why=\"two words\" empty= rest=a=b");
  const std::vector<std::pair<std::string, std::string>> expected{
      {"session", "7"}, {"event", "fallback"}, {"why", "two words"}, {"empty", ""}, {"rest", "a=b"}, {"msg", "audit"}};
  CHECK(fields == expected);
  CHECK(log_fields("").empty());
  CHECK(log_fields("just words")[0].second == "just words");
  CHECK(log_fields("why=\"says \"no\" to it\" x=1")[0].second == "says \"no\" to it");
  CHECK(log_fields("why=\"never closed").at(0).second == "never closed");
}

TEST_CASE("every line is one JSON object") {
  const auto line = formatted("session=12 event=slow_statement fingerprint=0123456789012345 db=\"a \\\"b\\\"\" server_ms=12.5 sqlstate=00000 trace_id=");
  CHECK(line["level"] == "info");
  CHECK(line["session"] == 12);
  CHECK(line["event"] == "slow_statement");
  CHECK(line["fingerprint"] == "0123456789012345");  // digits only, and still no number
  CHECK(line["sqlstate"] == "00000");
  CHECK(line["ts"].get<std::string>().size() == 27);
  for (const std::string& text : {std::string("\"quotes\" and \\ and \n line"), std::string("\xff\xfe no utf-8"), std::string("nul \0 byte", 10), std::string()})
    CHECK(formatted(text, spdlog::level::warn)["level"] == "warning");
}

TEST_CASE("the ring keeps the newest lines and tells what is new") {
  EventRing ring;
  for (int i = 0; i < 2500; ++i) ring.log(spdlog::details::log_msg("pgsteer", spdlog::level::info, "event=e n=" + std::to_string(i)));
  ring.log(spdlog::details::log_msg("pgsteer", spdlog::level::debug, "SELECT secret"));
  CHECK(ring.last_id() == 2500);
  CHECK(ring.newest(1, 0)[0].text == "event=e n=2499");
  CHECK(ring.newest(1, 3)[0].text == "event=e n=2496");
  CHECK(ring.newest(10000, 0).size() == EventRing::kMaxEvents);
  CHECK(ring.after(2500, 10).empty());
  CHECK(ring.after(2495, 10).size() == 5);
  CHECK(ring.after(2495, 2)[0].text == "event=e n=2498");
  CHECK(ring.after(0, 10000).size() == EventRing::kMaxEvents);
}
