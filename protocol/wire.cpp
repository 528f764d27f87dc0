#include "protocol/wire.hpp"

#include <charconv>

namespace pgsteer::protocol {
namespace {

void store32(char* p, std::uint32_t value) {
  p[0] = static_cast<char>(value >> 24);
  p[1] = static_cast<char>(value >> 16);
  p[2] = static_cast<char>(value >> 8);
  p[3] = static_cast<char>(value);
}

}  // namespace

void append_int32(std::string& out, std::uint32_t value) {
  out.append(4, '\0');
  store32(out.data() + out.size() - 4, value);
}

Message::Message(std::string& out, char type) : out_(out) {
  out_.push_back(type);
  length_at_ = out_.size();
  out_.append(4, '\0');
}

Message::~Message() { store32(out_.data() + length_at_, static_cast<std::uint32_t>(out_.size() - length_at_)); }

Message& Message::int8(std::uint8_t value) {
  out_.push_back(static_cast<char>(value));
  return *this;
}

Message& Message::int16(std::uint16_t value) {
  out_.push_back(static_cast<char>(value >> 8));
  out_.push_back(static_cast<char>(value));
  return *this;
}

Message& Message::int32(std::uint32_t value) {
  char b[4];
  store32(b, value);
  out_.append(b, 4);
  return *this;
}

Message& Message::cstring(std::string_view value) {
  out_.append(value);
  out_.push_back('\0');
  return *this;
}

Message& Message::bytes(std::string_view value) {
  out_.append(value);
  return *this;
}

bool known_client_type(char type) { return std::string_view("QFBPdpXCDEHScf").find(type) != std::string_view::npos; }

namespace {
void append_fields(std::string& out, char type, const ErrorFields& e) {
  Message m(out, type);
  m.int8('S').cstring(e.severity).int8('V').cstring(e.severity).int8('C').cstring(e.sqlstate);
  m.int8('M').cstring(e.message);
  if (!e.detail.empty()) m.int8('D').cstring(e.detail);
  if (!e.hint.empty()) m.int8('H').cstring(e.hint);
  m.int8(0);
}
}  // namespace

void append_error(std::string& out, const ErrorFields& error) { append_fields(out, 'E', error); }
void append_notice(std::string& out, const ErrorFields& notice) { append_fields(out, 'N', notice); }

void append_ready(std::string& out, char transaction_status) {
  Message(out, 'Z').int8(static_cast<std::uint8_t>(transaction_status));
}

void append_command_complete(std::string& out, std::string_view tag) { Message(out, 'C').cstring(tag); }

void append_parameter_status(std::string& out, std::string_view name, std::string_view value) {
  Message(out, 'S').cstring(name).cstring(value);
}

void append_row_description(std::string& out, const std::vector<ColumnDescription>& columns) {
  Message m(out, 'T');
  m.int16(static_cast<std::uint16_t>(columns.size()));
  for (const auto& column : columns) {
    m.cstring(column.name).int32(0).int16(0).int32(column.type);
    const bool fixed8 = column.type == 20 || column.type == 701 || column.type == 1184;
    m.int16(static_cast<std::uint16_t>(fixed8 ? 8 : column.type == 16 ? 1 : column.type == 23 ? 4 : -1));
    m.int32(static_cast<std::uint32_t>(-1)).int16(0);
  }
}

void append_data_row(std::string& out, const std::vector<std::string>& values) {
  Message m(out, 'D');
  m.int16(static_cast<std::uint16_t>(values.size()));
  for (const auto& value : values) m.int32(static_cast<std::uint32_t>(value.size())).bytes(value);
}

void append_empty(std::string& out, char type) { Message(out, type); }

void append_query(std::string& out, std::string_view text) { Message(out, 'Q').cstring(text); }

void append_parse(std::string& out, std::string_view name, std::string_view text,
                  const std::vector<std::uint32_t>& parameter_types) {
  Message m(out, 'P');
  m.cstring(name).cstring(text).int16(static_cast<std::uint16_t>(parameter_types.size()));
  for (const auto type : parameter_types) m.int32(type);
}

void append_close_statement(std::string& out, std::string_view name) { Message(out, 'C').int8('S').cstring(name); }
void append_close_portal(std::string& out, std::string_view name) { Message(out, 'C').int8('P').cstring(name); }

void append_bind_text(std::string& out, std::string_view statement, const std::vector<std::string_view>& values,
                      std::string_view portal) {
  Message m(out, 'B');
  m.cstring(portal).cstring(statement).int16(0).int16(static_cast<std::uint16_t>(values.size()));
  for (const auto value : values) m.int32(static_cast<std::uint32_t>(value.size())).bytes(value);
  m.int16(0);
}

void append_describe_portal(std::string& out, std::string_view portal) { Message(out, 'D').int8('P').cstring(portal); }

void append_execute(std::string& out, std::string_view portal) { Message(out, 'E').cstring(portal).int32(0); }

std::optional<ParseMessage> read_parse(std::string_view body) {
  Reader r(body);
  ParseMessage m;
  m.name = r.cstring();
  m.text = r.cstring();
  const std::size_t n = r.int16();
  if (!r.ok() || r.rest().size() != n * 4) return std::nullopt;
  m.parameter_types.reserve(n);
  for (std::size_t i = 0; i < n; ++i) m.parameter_types.push_back(r.int32());
  return m;
}

std::optional<BindMessage> read_bind(std::string_view body) {
  Reader r(body);
  BindMessage m;
  m.portal = r.cstring();
  m.statement = r.cstring();
  const auto parameters = r.rest();
  const std::size_t formats = r.int16();
  r.bytes(formats * 2);
  const std::size_t values = r.int16();
  for (std::size_t i = 0; i < values && r.ok(); ++i) {
    const std::uint32_t length = r.int32();
    if (length != 0xffffffffu) r.bytes(length);
  }
  if (!r.ok()) return std::nullopt;
  m.parameters = parameters.substr(0, parameters.size() - r.rest().size());
  m.result_formats = r.rest();
  const std::size_t results = r.int16();
  r.bytes(results * 2);
  if (!r.ok() || !r.at_end()) return std::nullopt;
  return m;
}

std::optional<TargetMessage> read_target(std::string_view body) {
  Reader r(body);
  TargetMessage m;
  m.kind = static_cast<char>(r.int8());
  m.name = r.cstring();
  if (!r.ok() || !r.at_end() || (m.kind != 'S' && m.kind != 'P')) return std::nullopt;
  return m;
}

std::optional<ExecuteMessage> read_execute(std::string_view body) {
  Reader r(body);
  ExecuteMessage m;
  m.portal = r.cstring();
  m.max_rows = r.int32();
  if (!r.ok() || !r.at_end()) return std::nullopt;
  return m;
}

std::string_view error_field(std::string_view body, char code) {
  Reader r(body);
  for (;;) {
    const char field = static_cast<char>(r.int8());
    if (field == 0 || !r.ok()) return {};
    const auto value = r.cstring();
    if (!r.ok()) return {};
    if (field == code) return value;
  }
}

std::string with_shifted_position(std::string_view body, int prefix_characters) {
  std::string out;
  {
    Message m(out, 'E');
    Reader r(body);
    for (;;) {
      const char field = static_cast<char>(r.int8());
      if (field == 0 || !r.ok()) break;
      const auto value = r.cstring();
      if (!r.ok()) break;
      if (field != 'P') {
        m.int8(static_cast<std::uint8_t>(field)).cstring(value);
        continue;
      }
      int position = 0;
      std::from_chars(value.data(), value.data() + value.size(), position);
      if (prefix_characters >= 0 && position > prefix_characters) {
        m.int8('P').cstring(std::to_string(position - prefix_characters));
      }
    }
    m.int8(0);
  }
  return out;
}

std::optional<std::vector<std::optional<std::string_view>>> read_data_row(std::string_view body) {
  Reader r(body);
  const std::size_t n = r.int16();
  std::vector<std::optional<std::string_view>> values;
  for (std::size_t i = 0; i < n && r.ok(); ++i) {
    const std::uint32_t length = r.int32();
    if (length == 0xffffffffu) values.emplace_back();
    else values.emplace_back(r.bytes(length));
  }
  if (!r.ok() || !r.at_end()) return std::nullopt;
  return values;
}

}  // namespace pgsteer::protocol
