// SCRAM-SHA-256 against the example of RFC 7677, both sides against each other, and against what attackers send.
#include <doctest/doctest.h>

#include "protocol/scram.hpp"

namespace pgsteer::protocol {
namespace {

TEST_CASE("RFC 7677, section 3: the client's messages") {
  ScramClient client("rOprNGfwEbeRWgbNEkqO");
  CHECK(client.first() == "n,,n=,r=rOprNGfwEbeRWgbNEkqO");  // PostgreSQL's clients leave the name out
  const auto secret = make_scram_secret("pencil", *from_base64("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096);
  ScramServer server(secret, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", {}, false, false);
  const auto first = server.first("n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
  REQUIRE(first);
  CHECK(*first == "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
  const auto last = server.final(
      "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
  REQUIRE(last);
  CHECK(*last == "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

ScramSecret secret_of(std::string_view password) { return make_scram_secret(password, "0123456789abcdef", 4096); }

bool login(ScramClient& client, ScramServer& server, std::string_view password, const std::optional<ScramKeys>& keys = std::nullopt) {
  const auto first = server.first(client.first());
  if (!first) return false;
  const auto answer = client.final(*first, password, keys);
  if (!answer) return false;
  const auto last = server.final(*answer);
  return last && client.verify(*last);
}

TEST_CASE("both sides, and the keys out of the proof open another server") {
  ScramClient client("clientnonce");
  ScramServer server(secret_of("right"), "servernonce", {}, false, false);
  CHECK(login(client, server, "right"));
  ScramClient again("another");
  ScramServer elsewhere(secret_of("right"), "othernonce", {}, false, false);
  CHECK(login(again, elsewhere, "", server.keys()));

  ScramClient wrong("clientnonce");
  ScramServer refuses(secret_of("right"), "servernonce", {}, false, false);
  CHECK_FALSE(login(wrong, refuses, "wrong"));
  CHECK(refuses.error().empty());  // a wrong password is no malformed message
  ScramClient doomed("clientnonce");
  ScramServer never(secret_of("right"), "servernonce", {}, false, true);
  CHECK_FALSE(login(doomed, never, "right"));
}

TEST_CASE("channel binding") {
  ScramClient bound("n1", "p=tls-server-end-point,,", "digest");
  ScramServer plus(secret_of("x"), "n2", "digest", true, false);
  CHECK(login(bound, plus, "x"));
  ScramClient other("n1", "p=tls-server-end-point,,", "another certificate");
  ScramServer plus2(secret_of("x"), "n2", "digest", true, false);
  CHECK_FALSE(login(other, plus2, "x"));
  ScramServer downgrade(secret_of("x"), "n2", "digest", false, false);
  CHECK_FALSE(downgrade.first("y,,n=,r=n1"));  // the client was told there is none: somebody stands between
}

TEST_CASE("malformed messages are refused, every truncation too") {
  for (const char* message : {"", "n", "n,", "n,,", "n,,n=", "n,,n=,r=", "p=tls-unique,,n=,r=a", "n,a=b,n=,r=x", "n,,n=,r=\x01", "q,,n=,r=a"}) {
    ScramServer server(secret_of("x"), "n2", {}, false, false);
    CHECK_MESSAGE(!server.first(message), message);
  }
  for (const char* message : {"", "r=a", "r=clientX,s=AAAA,i=4096", "r=client,s=AAAA,i=4096", "r=clientx,s=!,i=4096", "r=clientx,s=AAAA,i=0",
                              "r=clientx,s=AAAA,i=-1", "r=clientx,s=AAAA,i=99999999", "r=clientx,s=AAAA", "r=clientx,s=AAAA,i=4096x"}) {
    ScramClient client("client");
    if (std::string_view(message) == "r=clientX,s=AAAA,i=4096") CHECK(client.final(message, "p", std::nullopt));
    else CHECK_MESSAGE(!client.final(message, "p", std::nullopt), message);
  }
  ScramServer server(secret_of("x"), "n2", {}, false, false);
  REQUIRE(server.first("n,,n=,r=n1"));
  CHECK_FALSE(server.final("c=biws,r=n1n2"));
  CHECK_FALSE(server.error().empty());
}

TEST_CASE("secrets as pg_authid has them") {
  const auto secret = secret_of("x");
  const auto view = [](const Digest& d) { return std::string_view(reinterpret_cast<const char*>(d.data()), d.size()); };
  const std::string text = "SCRAM-SHA-256$4096:" + base64("0123456789abcdef") + "$" + base64(view(secret.stored_key)) + ":" + base64(view(secret.server_key));
  REQUIRE(parse_scram_secret(text));
  CHECK(*parse_scram_secret(text) == secret);
  for (std::size_t cut = 0; cut < text.size(); ++cut) CHECK_FALSE(parse_scram_secret(text.substr(0, cut)));
  CHECK_FALSE(parse_scram_secret("md5abc"));
  CHECK(md5_secret("pass", "user") == "md57f409a7c046daea1c2c60502d7e2becc");
}

}  // namespace
}  // namespace pgsteer::protocol
