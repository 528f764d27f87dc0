#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pgsteer::protocol {

/// First packet of a connection (it has no type byte).
enum class FirstPacket : std::uint8_t { startup, ssl_request, gssenc_request, cancel_request, direct_tls, malformed };

constexpr std::uint32_t kProtocol3 = 3 << 16;
constexpr std::uint32_t kProtocol32 = kProtocol3 | 2;  ///< cancel keys of up to 256 bytes
constexpr std::uint32_t kSslRequest = 80877103;
constexpr std::uint32_t kGssEncRequest = 80877104;
constexpr std::uint32_t kCancelRequest = 80877102;
constexpr std::uint32_t kMaxStartupBytes = 10000;  ///< PostgreSQL's MAX_STARTUP_PACKET_LENGTH

struct Startup {
  FirstPacket kind = FirstPacket::malformed;
  std::uint32_t version = 0;
  std::vector<std::pair<std::string, std::string>> parameters;  ///< in order, as sent
  std::string user, database, application, replication;
  /// Settings from startup parameters and `options` (-c name=value, --name=value); names in lower case.
  std::vector<std::pair<std::string, std::string>> settings;
  bool options_understood = true;  ///< false: `options` held something else than settings
  bool replicates() const;         ///< wants a walsender: of the database named, if replicates_database(), else of the whole server
  bool replicates_database() const { return replication == "database"; }
  std::string why;                 ///< when malformed: what was expected, what came
};

/// Bytes needed for the whole first packet, once four bytes are there. nullopt: a length no server would accept.
std::optional<std::uint32_t> first_packet_bytes(std::string_view first_four);
/// Parses a whole first packet, its length field included.
Startup read_startup(std::string_view packet);

/// Splits an `options` string as the server does: blanks separate, a backslash protects the next character.
std::vector<std::string> split_options(std::string_view options);

}  // namespace pgsteer::protocol
