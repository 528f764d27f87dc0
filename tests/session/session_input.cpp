#include "tests/session/session_input.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include "protocol/wire.hpp"
#include "proxy/hub.hpp"
#include "proxy/pool/pools.hpp"
#include "proxy/session/session.hpp"
#include "proxy/survive.hpp"
#include "proxy/worker.hpp"

namespace pgsteer::test {
namespace {

namespace asio = boost::asio;
using namespace proxy;

constexpr std::array<std::string_view, 16> texts = {
    "select id from t where id = $1", "select id from t where id = 1", "begin", "commit", "rollback", "insert into t values (1)",
    "copy t from stdin", "copy t to stdout", "set datestyle = 'German'", "prepare p as select 1", "execute p", "deallocate all",
    "explain (pgsteer) select id from t", "select id from t where id = 1; select 2", "listen x", "create table u (a int)"};
constexpr std::array<char, 20> server_types = {'1', '2', '3', 'C', 'D', 'E', 'G', 'H', 'I', 'N', 'S', 'T', 'W', 'Z', 'n', 's', 't', 'A', 'K', 'c'};
constexpr std::array<char, 15> client_types = {'Q', 'P', 'B', 'D', 'E', 'C', 'S', 'H', 'F', 'd', 'c', 'f', 'X', 'p', 'Q'};

sql::Catalog one_table() {
  sql::Catalog catalog;
  catalog.version = 1;
  sql::Relation relation;
  relation.oid = 20000;
  relation.schema = "public";
  relation.name = "t";
  relation.columns.emplace_back();
  relation.columns.back().name = "id";
  relation.columns.back().number = 1;
  relation.columns.back().type = 23;
  catalog.add(std::move(relation));
  return catalog;
}

/// A process' worth of state for each mode; sessions come and go in it as in a real one.
struct World {
  explicit World(bool acting) : hub(config(), policies(acting)), pools(hub), worker(hub, 0) {
    hub.pools = &pools;
    hub.update([](Snapshot& s) { s.catalogs["d"] = std::make_shared<const sql::Catalog>(one_table()); });
    worker.set_snapshot(hub.snapshot());
  }
  static std::shared_ptr<const Config> config() {
    auto made = std::make_shared<Config>();
    made->upstream.url = "postgresql:///d?host=/nonexistent";  // whoever connects by itself fails at once
    made->auth.mode = "terminate";
    made->pool.mode = "transaction";
    return made;
  }
  static std::shared_ptr<const policies::PolicySet> policies(bool acting) {
    const std::string text = acting ? "[default]\nmode = \"auto\"\nrewrite = [\"all\"]\ncache = \"strict\"\nreuse = true\n" : "[default]\nmode = \"observe\"\n";
    return policies::PolicySet::parse(text, "test", nullptr);
  }
  void run() {
    for (int quiet = 0; quiet < 2;) {
      worker.loop.restart();
      quiet = worker.loop.poll() == 0 ? quiet + 1 : 0;
    }
  }
  Hub hub;
  Pools pools;
  Worker worker;
};

/// The peer's end of a socket that the session has the other end of.
class Peer {
 public:
  explicit Peer(Worker& worker) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) std::abort();
    mine_ = ends[0];
    asio::local::stream_protocol::socket theirs(worker.loop, asio::local::stream_protocol(), ends[1]);
    socket = std::make_unique<Socket>(std::move(theirs));
    boost::system::error_code ignored;
    socket->non_blocking(true, ignored);
  }
  ~Peer() { close(); }
  void close() {
    if (mine_ >= 0) ::close(std::exchange(mine_, -1));
  }
  void half_close() {
    if (mine_ >= 0) ::shutdown(mine_, SHUT_WR);
  }
  void send(std::string_view bytes) {
    if (mine_ >= 0 && !bytes.empty()) (void)!::send(mine_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  void read_all() {
    char buffer[65536];
    while (mine_ >= 0 && ::recv(mine_, buffer, sizeof buffer, MSG_DONTWAIT) > 0) continue;
  }
  std::unique_ptr<Socket> socket;

 private:
  int mine_ = -1;
};

/// The script, read from the front; empty when it is over.
class Script {
 public:
  Script(const std::uint8_t* data, std::size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}
  bool over() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto first = static_cast<std::uint8_t>(rest_[0]);
    rest_.remove_prefix(1);
    return first;
  }
  std::string_view bytes(std::size_t count) {
    const auto taken = rest_.substr(0, count);
    rest_.remove_prefix(taken.size());
    return taken;
  }

 private:
  std::string_view rest_;
};

std::string framed(char type, std::string_view body) {
  std::string out;
  protocol::Message(out, type).bytes(body);
  return out;
}

std::string ready(std::uint8_t which) { return framed('Z', std::string(1, "ITE"[which % 3])); }

std::string parse(std::uint8_t which, std::string_view name) {
  std::string out;
  protocol::append_parse(out, name, std::string(texts[which % texts.size()]), {});
  return out;
}

/// What a server says to one statement, ReadyForQuery included.
std::string reply(bool extended, std::uint8_t rows) {
  std::string out;
  if (extended) out += framed('1', "") + framed('2', "");
  protocol::append_row_description(out, {{"id", 23}});
  for (int i = 0; i < rows % 4; ++i) protocol::append_data_row(out, {"1"});
  protocol::append_command_complete(out, "SELECT 1");
  return out + ready(0);
}

std::string error(std::uint8_t which) {
  constexpr std::array<const char*, 6> codes = {"42601", "26000", "0A000", "57014", "40001", "22P02"};
  std::string out;
  protocol::append_error(out, {.severity = "ERROR", .sqlstate = codes[which % codes.size()], .message = "no", .detail = {}, .hint = {}});
  return out;
}

std::string group(std::uint8_t which, bool named) {
  const std::string name = named ? "s" : "";
  std::string out;
  if ((which & 0x80) == 0) out += parse(which, name);
  protocol::append_bind_text(out, name, which & 0x40 ? std::vector<std::string_view>{"1"} : std::vector<std::string_view>{}, "");
  if (which & 0x20) protocol::append_describe_portal(out, "");
  protocol::append_execute(out, "");
  return out;
}

void step(Script& script, Peer& client, Peer& server) {
  const std::uint8_t what = script.byte();
  switch (what & 15) {
    case 0: return client.send(script.bytes(script.byte()));
    case 1: return server.send(script.bytes(script.byte()));
    case 2: {
      const char type = client_types[script.byte() % client_types.size()];
      return client.send(framed(type, script.bytes(script.byte())));
    }
    case 3: {
      const char type = server_types[script.byte() % server_types.size()];
      return server.send(framed(type, script.bytes(script.byte())));
    }
    case 4: {
      std::string out;
      protocol::append_query(out, texts[script.byte() % texts.size()]);
      return client.send(out);
    }
    case 5: return client.send(group(script.byte(), false) + framed('S', ""));
    case 6: return client.send(group(script.byte(), true) + (what & 16 ? framed('S', "") : framed('H', "")));
    case 7: return server.send(reply(what & 16, script.byte()));
    case 8: return server.send(error(script.byte()) + (what & 16 ? ready(what >> 5) : ""));
    case 9: return server.send(ready(script.byte()));
    case 10: return server.send(framed("12n3"[script.byte() % 4], ""));
    case 11: return client.send(framed("SHX"[what >> 4 & 3 ? 0 : script.byte() % 3], ""));
    case 12: return client.send(framed('d', script.bytes(script.byte())) + (what & 16 ? framed(what & 32 ? 'f' : 'c', "") : ""));
    case 13: return server.send(framed(what & 16 ? 'G' : 'H', std::string(3, '\0')));
    case 14: {
      std::string out;
      protocol::append_command_complete(out, "COPY 1");
      return server.send(out + ready(what >> 4));
    }
    case 15:
      if (what & 16) return what & 32 ? client.close() : client.half_close();
      if (what & 32) return server.close();
      return client.send(std::string(what & 64 ? 70000 : 3000, static_cast<char>(script.byte())));
  }
}

std::string startup_packet() {
  std::string body;
  protocol::append_int32(body, protocol::kProtocol3);
  body.append("user\0u\0database\0d\0\0", 19);
  std::string packet;
  protocol::append_int32(packet, static_cast<std::uint32_t>(body.size() + 4));
  return packet + body;
}

std::string login_answer() {
  std::string out = framed('R', std::string(4, '\0'));
  protocol::Message(out, 'S').cstring("client_encoding").cstring("UTF8");
  protocol::Message(out, 'K').int32(7).int32(8);
  return out + ready(0);
}

}  // namespace

std::string run_session_input(const std::uint8_t* data, std::size_t size) {
  static World* const worlds[] = {new World(false), new World(true)};
  if (size == 0) return {};
  Script script(data, size);
  const std::uint8_t kind = script.byte();
  const auto thrown = survived_exceptions().load();
  const bool is_pooled = kind & 1;
  World& world = *worlds[kind >> 1 & 1];
  Worker& worker = world.worker;
  Peer client(worker), server(worker);
  auto connection = std::make_unique<ServerConnection>(worker, Stream(std::move(*server.socket)));
  Lending lending;
  if (is_pooled) {
    lending = {world.pools.pool("d", "u"), PoolMode::transaction};
    auto waiter = std::make_shared<Waiter>(worker, lending.pool, [] {});
    world.pools.acquire(waiter);
    if (!waiter->slot) return "a slot was not given back";
    connection->slot = std::move(waiter->slot);
    connection->pool = lending.pool;
    connection->state = std::make_shared<SessionState>();
    connection->reported.set("client_encoding", "UTF8");
    world.pools.give_back(std::move(connection));
  }
  const std::string packet = startup_packet();
  auto session = std::make_shared<Session>(worker, Stream(std::move(*client.socket)), std::move(connection), std::move(lending),
                                           protocol::read_startup(packet), packet, "127.0.0.1");
  const std::weak_ptr<Session> watched = session;
  session->start();
  session.reset();
  world.run();
  if (!is_pooled && (kind & 4) != 0) server.send(login_answer());
  world.run();
  while (!script.over()) {
    step(script, client, server);
    world.run();
    client.read_all();
    server.read_all();
    world.run();
  }
  client.close();
  world.run();
  server.close();
  for (int patience = 0; patience < 2000 && !watched.expired(); ++patience) {
    world.run();
    if (patience > 10) ::usleep(500);
  }
  world.pools.close_idle();
  world.run();
  world.hub.drain();
  if (survived_exceptions().load() != thrown) return "something was thrown";
  if (!watched.expired()) return "the session outlives both its ends";
  if (world.hub.unmarked_sessions.load() != 0) return "unmarked work is left behind";
  if (world.hub.pending_ddl.load() != 0) return "DDL is left under way";
  if (worker.in_flight != 0) return "statements are left in flight";
  if (world.pools.open() != 0) return "slots are left open";
  if (!worker.sessions.empty()) return "a session is left registered";
  return {};
}

}  // namespace pgsteer::test
