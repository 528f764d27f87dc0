#include <doctest/doctest.h>

#include <cmath>

#include "bench/harness/results.hpp"
#include "bench/harness/systems.hpp"

using namespace pgsteer;
using namespace pgsteer::harness;

namespace {

/// One workload, direct and one proxy; `slower`: the proxy's time and processor time, times this.
Results one_run(double slower, double spread) {
  Results r;
  r.systems = {"direct", "proxy"};
  WorkloadResult w;
  w.name = "oltp";
  workload::ClassResult c;
  c.name = "point";
  c.measured = {{"direct", 1, 2, 1, 0, 0, 10, 0, ""}, {"proxy", 1.2, 2.4, 1.2, std::log(1.2 * slower), spread, 10, 0, ""}};
  w.comparison.classes.push_back(c);
  LoadFigures direct, proxy;
  direct.system = "direct";
  direct.tps = 1000;
  proxy.system = "proxy";
  proxy.tps = 900 / slower;
  proxy.tps_spread = spread * proxy.tps;
  proxy.proxy_cpu_us = 20 * slower;
  proxy.proxy_cpu_spread = spread * proxy.proxy_cpu_us;
  proxy.curve = {1, 2, 3};
  w.load = {direct, proxy};
  r.workloads.push_back(w);
  return r;
}

bool worse(const std::vector<Change>& found, const std::string& what) {
  for (const auto& c : found)
    if (c.what == what && c.system == "proxy") return c.worse();
  FAIL("no figure " << what);
  return false;
}

}  // namespace

TEST_CASE("a run survives its file") {
  const auto before = one_run(1, 0.01);
  const auto after = results_from_json(to_json(before));
  CHECK(to_json(after) == to_json(before));
  CHECK_THROWS(results_from_json("{}"));
  CHECK_THROWS(results_from_json("nonsense"));
}

TEST_CASE("ten percent slower is told where the rounds lie together, and not where they do not") {
  const auto told = changes(one_run(1, 0.01), one_run(1.1, 0.01));
  for (const char* what : {"point", "throughput", "proxy CPU"}) CHECK(worse(told, what));
  const auto noisy = changes(one_run(1, 0.2), one_run(1.1, 0.2));
  for (const char* what : {"point", "throughput", "proxy CPU"}) CHECK_FALSE(worse(noisy, what));
  for (const auto& c : changes(one_run(1, 0.01), one_run(1, 0.01))) CHECK_FALSE((c.worse() || c.better()));
  const auto back = changes(one_run(1.1, 0.01), one_run(1, 0.01));
  CHECK_FALSE(worse(back, "point"));
  CHECK(to_text(back).find("better") != std::string::npos);
}

TEST_CASE("an answer that differs, or errors that the first system has not, fail a run") {
  auto run = one_run(1, 0.01);
  CHECK(faults(run).empty());
  run.workloads[0].comparison.classes[0].unequal = 1;
  CHECK(faults(run).size() == 1);
  run.workloads[0].comparison.classes[0].unequal = 0;
  run.workloads[0].load[1].errors = 3;
  CHECK(faults(run).size() == 1);
  run.workloads[0].load[0].errors = 3;  // the statements themselves are wrong
  CHECK(faults(run).empty());
}

TEST_CASE("systems and connection strings") {
  for (const char* good : {"direct", "pgbouncer", "pgpool", "pgsteer:off", "pgsteer:auto+cache", "pgsteer:observe+pool", "pgsteer:auto+pool+cache", "old=127.0.0.1:6432"}) CHECK_NOTHROW(check_system(good));
  for (const char* bad : {"", "pgstear:auto", "pgsteer:fast", "pgsteer:+pool", "pgsteer:auto+cache+cache", "pgsteer", "=x"}) CHECK_THROWS(check_system(bad));
  const auto upstream = parse_upstream("postgresql://me:it's@db.example:6000/shop");
  CHECK(upstream.host == "db.example");
  CHECK(upstream.url() == "host='db.example' port=6000 user='me' password='it\\'s' dbname='shop'");
  CHECK(upstream.url_at(7000).find("host='127.0.0.1' port=7000") == 0);
  CHECK_THROWS(parse_upstream("postgresql://[broken"));
}

TEST_CASE("the page holds every class and system, and escapes what users wrote") {
  auto run = one_run(1, 0.01);
  run.workloads[0].comparison.classes[0].what = "SELECT '<script>'";
  const auto page = to_html(run);
  CHECK(page.find("<script>") == std::string::npos);
  CHECK(page.find("&lt;script&gt;") != std::string::npos);
  CHECK(page.find("<svg") != std::string::npos);
  CHECK(to_table(run).find("point") != std::string::npos);
}
