// Rules in the syntax of pg_hba.conf: what is read, what is refused and with which line, and which rule decides.
#include <doctest/doctest.h>

#include <string>

#include "proxy/auth/hba.hpp"

namespace pgsteer::proxy {
namespace {

std::shared_ptr<const HbaFile> accept(const std::string& text) {
  std::string error;
  auto file = HbaFile::parse(text, &error);
  CAPTURE(text);
  CAPTURE(error);
  REQUIRE(file);
  return file;
}

std::string refuse(const std::string& text) {
  std::string error;
  CAPTURE(text);
  CHECK_FALSE(HbaFile::parse(text, &error));
  return error;
}

LoginRequest from(std::string_view address, const char* database = "shop", const char* user = "app", bool encrypted = false) {
  LoginRequest request{database, user, false, std::nullopt, encrypted};
  if (address != "unix") request.address = boost::asio::ip::make_address(std::string(address));
  return request;
}

/// The line of the rule that decides; 0: none.
int line(const HbaFile& file, const LoginRequest& request) {
  const auto* rule = file.find(request);
  return rule ? rule->line : 0;
}

}  // namespace

TEST_CASE("the first rule that fits decides, by kind of connection, address, database and user") {
  const auto file = accept(
      "# who may come\n"
      "local all postgres peer\n"                                  // 2
      "local all all scram-sha-256\n"                              // 3
      "hostssl all carl 10.0.0.0/8 cert\n"                         // 4
      "hostnossl shop app 10.1.0.0/16 reject\n"                    // 5
      "host shop,\"all\" app, \"we ird\" 10.0.0.0 255.0.0.0 md5\n"  // 6
      "\n"
      "host sameuser all 192.168.1.7/32 trust\n"                   // 8
      "host all all ::1/128 password\n"                            // 9
      "host all all fe80::/10 trust\n"                             // 10
      "host replication all all scram-sha-256\n"                   // 11
      "host /^tenant_[0-9]+$ /app all trust\n"                     // 12
      "host other \\\n all all \\\n reject\n"                      // 13 to 15
      "host last all all trust # the end");                        // 16
  struct Row {
    LoginRequest request;
    int line;
  };
  const Row rows[] = {
      {from("unix", "shop", "postgres"), 2},
      {from("unix"), 3},
      {from("10.0.0.1", "shop", "carl", true), 4},
      {from("10.0.0.1", "shop", "carl"), 0},
      {from("10.1.2.3"), 5},
      {from("10.1.2.3", "shop", "app", true), 6},
      {from("10.2.0.1"), 6},
      {from("10.2.0.1", "all"), 6},        // quoted: a name
      {from("10.2.0.1", "anything"), 0},   // and no keyword
      {from("10.2.0.1", "shop", "we ird"), 6},
      {from("11.0.0.1"), 0},
      {from("::ffff:10.2.0.1"), 6},        // of a socket for both families
      {from("192.168.1.7", "bob", "bob"), 8},
      {from("192.168.1.7", "bob", "alice"), 0},
      {from("192.168.1.8", "bob", "bob"), 0},
      {from("::1"), 9},
      {from("::2"), 0},
      {from("febf::1"), 10},
      {from("fec0::1"), 0},
      {from("1.2.3.4", "replication"), 0},  // a database of that name is none of a walsender
      {from("1.2.3.4", "tenant_12", "webapp"), 12},
      {from("1.2.3.4", "tenant_x", "webapp"), 0},
      {from("1.2.3.4", "tenant_12", "web"), 0},
      {from("1.2.3.4", "other"), 13},
      {from("1.2.3.4", "last"), 16},
  };
  for (const auto& row : rows) {
    CAPTURE(std::string(row.request.database));
    CAPTURE(std::string(row.request.user));
    CAPTURE(row.line);
    CHECK(line(*file, row.request) == row.line);
  }
  auto physical = from("1.2.3.4", "last");
  physical.physical_replication = true;
  CHECK(line(*file, physical) == 11);
  CHECK(line(*accept("host all all all trust"), physical) == 0);  // all does not mean it
}

TEST_CASE("methods and clientcert") {
  const auto file = accept(
      "host a all all trust\nhost a all all reject\nhost a all all scram-sha-256\nhost a all all md5\nhost a all all password\n"
      "hostssl a all all cert\nlocal a all peer\nhostssl a all all scram-sha-256 clientcert=verify-ca\n"
      "hostssl a all all trust clientcert=verify-full\nhostssl a all all cert clientcert=verify-full");
  using Certificate = HbaFile::Certificate;
  const std::pair<LoginMethod, Certificate> expected[] = {
      {LoginMethod::trust, Certificate::none},     {LoginMethod::reject, Certificate::none},      {LoginMethod::scram_sha_256, Certificate::none},
      {LoginMethod::md5, Certificate::none},       {LoginMethod::password, Certificate::none},    {LoginMethod::cert, Certificate::verify_full},
      {LoginMethod::peer, Certificate::none},      {LoginMethod::scram_sha_256, Certificate::verify_ca},
      {LoginMethod::trust, Certificate::verify_full}, {LoginMethod::cert, Certificate::verify_full}};
  REQUIRE(file->rules().size() == std::size(expected));
  for (std::size_t i = 0; i < std::size(expected); ++i) {
    CAPTURE(i);
    CHECK(file->rules()[i].method == expected[i].first);
    CHECK(file->rules()[i].certificate == expected[i].second);
  }
}

TEST_CASE("samehost and samenet are this machine's own") {
  const auto file = accept("host a all samehost trust\nhost b all samenet trust\nhost c all 0.0.0.0/0 trust");
  CHECK(line(*file, from("127.0.0.1", "a")) == 1);
  CHECK(line(*file, from("203.0.113.77", "a")) == 0);
  CHECK(line(*file, from("127.9.9.9", "a")) == 0);
  CHECK(line(*file, from("127.9.9.9", "b")) == 2);
  CHECK(line(*file, from("203.0.113.77", "c")) == 3);
  CHECK(line(*file, from("::1", "c")) == 0);
}

TEST_CASE("what would not be honoured is refused, with the line") {
  struct Row {
    std::string text, error;
  };
  const Row rows[] = {
      {"host all all 127.0.0.1/32 trust\n\nhots all all all trust", "3: expected local, host, hostssl or hostnossl, got 'hots'"},
      {"host all", "1: expected databases and users behind 'host', got the end of the line"},
      {"host all all", "1: expected an address behind the users, got the end of the line"},
      {"host all all 127.0.0.1/32", "1: expected a method, got the end of the line"},
      {"local all all", "1: expected a method, got the end of the line"},
      {"host all all 127.0.0.1 trust", "1: expected 127.0.0.1/<bits>, or a mask behind it, got 'trust'"},
      {"host all all 127.0.0.1", "1: expected a mask behind the address 127.0.0.1, got the end of the line"},
      {"host all all 127.0.0.1 ffff:: trust", "1: expected 127.0.0.1/<bits>, or a mask behind it, got 'ffff::'"},
      {"host all all 127.0.0.1/33 trust", "1: expected a network such as 10.0.0.0/8, got '127.0.0.1/33'"},
      {"host all all 127.0.0.1/ trust", "1: expected a network such as 10.0.0.0/8, got '127.0.0.1/'"},
      {"host all all 127.0.0.1/-1 trust", "1: expected a network such as 10.0.0.0/8, got '127.0.0.1/-1'"},
      {"host all all db.example.com trust",
       "1: expected an IP address, all, samehost or samenet, got 'db.example.com' (host names are not looked up)"},
      {"host all all \"all\" trust", "1: expected an IP address, all, samehost or samenet, got 'all' (host names are not looked up)"},
      {"host all all 1.1.1.1/1,2.2.2.2/1 trust", "1: expected one address, got a list"},
      {"host all all all ldap ldapserver=x", "1: expected a method (trust, reject, scram-sha-256, md5, password, cert or peer), got 'ldap'"},
      {"host all all all TRUST", "1: expected a method (trust, reject, scram-sha-256, md5, password, cert or peer), got 'TRUST'"},
      {"host all all all trust map=x", "1: expected no option but clientcert, got 'map=x'"},
      {"host all all all trust clientcert=verify-ca", "1: expected clientcert on hostssl lines only"},
      {"hostssl all all all trust clientcert=1", "1: expected clientcert=verify-ca or verify-full, got 'clientcert=1'"},
      {"hostssl all all all cert clientcert=verify-ca", "1: expected clientcert=verify-full with cert, got verify-ca"},
      {"host all all all cert", "1: expected cert on hostssl lines only"},
      {"host all all all peer", "1: expected peer on local lines only"},
      {"host all +staff all trust", "1: expected users, got '+staff': memberships are not known here"},
      {"host samerole all all trust", "1: expected databases, got 'samerole': memberships are not known here"},
      {"host samegroup all all trust", "1: expected databases, got 'samegroup': memberships are not known here"},
      {"host @dbs all all trust", "1: expected the names themselves, got '@dbs': files of names are not read"},
      {"local all all trust\nhost \"all all all trust", "2: expected a closing quote"},
      {"local all all \\\ntrust\nhost /( all all trust", "3: expected a regular expression, got '/(': Unmatched ( or \\("},
      {"include other.conf", "1: expected local, host, hostssl or hostnossl, got 'include'"},
  };
  for (const auto& row : rows) CHECK(refuse(row.text) == row.error);
}

TEST_CASE("quotes, commas, comments and blanks as the server reads them") {
  const auto file = accept("host\tone, two,\"a\"\"b\",\"#x\" all  all trust#comment\r\n  # only a comment\n\nhost \"/^x\" all all trust");
  REQUIRE(file->rules().size() == 2);
  CHECK(file->rules()[0].databases.size() == 4);
  for (const char* database : {"one", "two", "a\"b", "#x"}) CHECK(line(*file, from("1.1.1.1", database, "u")) == 1);
  CHECK(line(*file, from("1.1.1.1", "/^x", "u")) == 4);
  CHECK(line(*file, from("1.1.1.1", "xx", "u")) == 0);
}

}  // namespace pgsteer::proxy
