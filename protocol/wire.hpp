#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pgsteer::protocol {

/// Big-endian, as all of the protocol's numbers.
inline std::uint32_t load32(const char* p) {
  const auto* u = reinterpret_cast<const unsigned char*>(p);
  return (std::uint32_t{u[0]} << 24) | (std::uint32_t{u[1]} << 16) | (std::uint32_t{u[2]} << 8) | u[3];
}

/// Reads big-endian fields of one message body. The first field that does not fit sets fail(); later reads return
/// zero values. Check ok() once at the end. Views point into the message and live as long as it does.
class Reader {
 public:
  explicit Reader(std::string_view body) : rest_(body) {}
  std::uint8_t int8() {
    const auto b = bytes(1);
    return b.empty() ? 0 : static_cast<std::uint8_t>(b[0]);
  }
  std::uint16_t int16() {
    const auto b = bytes(2);
    if (b.empty()) return 0;
    return static_cast<std::uint16_t>((static_cast<unsigned char>(b[0]) << 8) | static_cast<unsigned char>(b[1]));
  }
  std::uint32_t int32() {
    const auto b = bytes(4);
    return b.empty() ? 0 : load32(b.data());
  }
  std::string_view cstring() {  ///< up to and without the NUL
    if (!failed_ && !rest_.empty() && rest_.front() == '\0') return bytes(1).substr(1);  // unnamed, as most are
    const auto end = rest_.find('\0');
    if (failed_ || end == std::string_view::npos) {
      failed_ = true;
      return {};
    }
    const auto result = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return result;
  }
  std::string_view bytes(std::size_t n) {
    if (failed_ || n > rest_.size()) {
      failed_ = true;
      return {};
    }
    const auto result = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return result;
  }
  std::string_view rest() const { return rest_; }
  bool ok() const { return !failed_; }
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

/// Appends one message to a buffer: type byte, length (patched by the destructor), fields.
class Message {
 public:
  Message(std::string& out, char type);
  ~Message();
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  Message& int8(std::uint8_t value);
  Message& int16(std::uint16_t value);
  Message& int32(std::uint32_t value);
  Message& cstring(std::string_view value);
  Message& bytes(std::string_view value);

 private:
  std::string& out_;
  std::size_t length_at_;
};

void append_int32(std::string& out, std::uint32_t value);

/// Header of a message after startup: type byte and a length that counts itself.
struct Header {
  char type = 0;
  std::uint32_t length = 0;  ///< as on the wire: 4 + body
  std::uint64_t total() const { return std::uint64_t{1} + length; }
};
constexpr std::size_t kHeaderBytes = 5;
/// nullopt: fewer than five bytes. A length below 4 is reported as such (the caller must refuse it).
inline std::optional<Header> peek_header(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes) return std::nullopt;
  return Header{bytes[0], load32(bytes.data() + 1)};
}

/// Largest length PostgreSQL itself accepts (1 GiB - 1, PQ_LARGE_MESSAGE_LIMIT), and its limit for messages that are
/// always small (PQ_SMALL_MESSAGE_LIMIT).
constexpr std::uint32_t kMaxLength = 0x3fffffff + 4;
constexpr std::uint32_t kMaxSmallLength = 10000;
/// Whether a server would end the connection over this header of a client's message: unknown type, impossible length.
inline bool violates_protocol(const Header& client_message) {
  if (client_message.length < 4) return true;
  switch (client_message.type) {
    case 'Q': case 'F': case 'B': case 'P': case 'd': case 'p': return client_message.length >= 0x3fffffff;
    case 'X': case 'C': case 'D': case 'E': case 'H': case 'S': case 'c': case 'f': return client_message.length > kMaxSmallLength;
    default: return true;
  }
}
bool known_client_type(char type);

// --- messages the proxy itself writes (server side of the protocol) -------------------------------------------------

struct ErrorFields {
  std::string severity = "ERROR", sqlstate, message, detail, hint;
};
void append_error(std::string& out, const ErrorFields& error);
void append_notice(std::string& out, const ErrorFields& notice);
void append_ready(std::string& out, char transaction_status);
void append_command_complete(std::string& out, std::string_view tag);
void append_parameter_status(std::string& out, std::string_view name, std::string_view value);
struct ColumnDescription {
  std::string name;
  std::uint32_t type = 25;
};
void append_row_description(std::string& out, const std::vector<ColumnDescription>& columns);
void append_data_row(std::string& out, const std::vector<std::string>& values);
void append_empty(std::string& out, char type);  ///< a message without body: '1', '2', '3', 'n', 'I', 'S', 'H' ...

// --- messages the proxy itself sends to the server -------------------------------------------------------------------

void append_query(std::string& out, std::string_view text);
void append_parse(std::string& out, std::string_view name, std::string_view text,
                  const std::vector<std::uint32_t>& parameter_types);
void append_close_statement(std::string& out, std::string_view name);
void append_close_portal(std::string& out, std::string_view name);
/// Bind with text parameters and text results.
void append_bind_text(std::string& out, std::string_view statement, const std::vector<std::string_view>& values,
                      std::string_view portal = {});
void append_describe_portal(std::string& out, std::string_view portal);
void append_execute(std::string& out, std::string_view portal);

// --- reading ---------------------------------------------------------------------------------------------------------

struct ParseMessage {
  std::string_view name, text;
  std::vector<std::uint32_t> parameter_types;
};
std::optional<ParseMessage> read_parse(std::string_view body);

struct BindMessage {
  std::string_view portal, statement;
  std::string_view parameters;      ///< raw: format codes, count and values
  std::string_view result_formats;  ///< raw: count and codes
};
std::optional<BindMessage> read_bind(std::string_view body);

struct TargetMessage {  ///< Describe and Close
  char kind = 0;        ///< 'S' or 'P'
  std::string_view name;
};
std::optional<TargetMessage> read_target(std::string_view body);

struct ExecuteMessage {
  std::string_view portal;
  std::uint32_t max_rows = 0;
};
std::optional<ExecuteMessage> read_execute(std::string_view body);

/// One field of an ErrorResponse/NoticeResponse, "" when absent.
std::string_view error_field(std::string_view body, char code);
/// The same error with its position field moved back by `prefix_characters`, or left out (`prefix_characters` < 0, or
/// when it would point before the text). Whole message, type byte included.
std::string with_shifted_position(std::string_view body, int prefix_characters);

/// Rows of a DataRow body: values, nullopt for NULL.
std::optional<std::vector<std::optional<std::string_view>>> read_data_row(std::string_view body);

}  // namespace pgsteer::protocol
