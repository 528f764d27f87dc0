// Reading and applying rules in the syntax of pg_hba.conf.
#include "proxy/auth/hba.hpp"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <regex.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>

namespace pgsteer::proxy {
namespace {

namespace ip = boost::asio::ip;
using Rule = HbaFile::Rule;
using Field = std::vector<Rule::Item>;
using Bytes = std::vector<unsigned char>;

bool blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/// The first thing that is wrong with a line; what follows it is read all the same and means nothing.
class Faults {
 public:
  std::nullopt_t refuse(std::string text) {
    if (first_.empty()) first_ = std::move(text);
    return std::nullopt;
  }
  const std::string& first() const { return first_; }

 private:
  std::string first_;
};

/// One word as the server's tokenizer reads it: blanks and a comma end it, quotes protect both and make keywords names, "" inside of them
/// is one. Takes it off the front.
std::optional<Rule::Item> next_word(std::string_view& line, bool* comma, Faults& faults) {
  *comma = false;
  while (!line.empty() && blank(line.front())) line.remove_prefix(1);
  Rule::Item word;
  bool in_quotes = false, was_quote = false, saw_quote = false, first = true;
  while (!line.empty() && (in_quotes || !blank(line.front()))) {
    const char c = line.front();
    if (!in_quotes && c == '#') {
      line = {};
      break;
    }
    line.remove_prefix(1);
    if (!in_quotes && c == ',') {
      *comma = true;
      break;
    }
    if (c != '"' || was_quote) word.text += c;
    was_quote = in_quotes && c == '"' ? !was_quote : false;
    if (c == '"') {
      in_quotes = !in_quotes;
      saw_quote = true;
      if (first) word.quoted = true;
    }
    first = false;
  }
  if (in_quotes) return faults.refuse("expected a closing quote");
  if (!saw_quote && word.text.empty()) return std::nullopt;
  return word;
}

/// Fields of a line; each is a list with commas.
std::vector<Field> fields_of(std::string_view line, Faults& faults) {
  std::vector<Field> fields;
  while (!line.empty()) {
    Field field;
    for (bool comma = true; comma;) {
      auto word = next_word(line, &comma, faults);
      if (!word) break;
      if (!word->quoted && word->text.starts_with('@'))
        faults.refuse(fmt::format("expected the names themselves, got '{}': files of names are not read", word->text));
      field.push_back(std::move(*word));
    }
    if (!field.empty()) fields.push_back(std::move(field));
    while (!line.empty() && blank(line.front())) line.remove_prefix(1);
  }
  return fields;
}

void compile(Rule::Item& item, Faults& faults) {
  if (item.quoted || !item.text.starts_with('/')) return;
  auto expression = std::make_unique<regex_t>();
  if (const int code = ::regcomp(expression.get(), item.text.c_str() + 1, REG_EXTENDED | REG_NOSUB); code != 0) {
    char why[200];
    ::regerror(code, expression.get(), why, sizeof why);
    faults.refuse(fmt::format("expected a regular expression, got '{}': {}", item.text, why));
    return;
  }
  item.expression = std::shared_ptr<const regex_t>(expression.release(), [](const regex_t* e) {
    auto* const mine = const_cast<regex_t*>(e);
    ::regfree(mine);
    delete mine;
  });
}

Bytes bytes_of(const ip::address& address) {
  if (address.is_v4()) {
    const auto b = address.to_v4().to_bytes();
    return {b.begin(), b.end()};
  }
  const auto b = address.to_v6().to_bytes();
  return {b.begin(), b.end()};
}

ip::address address_of(const Bytes& bytes) {
  if (bytes.size() == 4) {
    ip::address_v4::bytes_type b{};
    std::copy(bytes.begin(), bytes.end(), b.begin());
    return ip::address_v4(b);
  }
  ip::address_v6::bytes_type b{};
  std::copy(bytes.begin(), bytes.end(), b.begin());
  return ip::address_v6(b);
}

ip::address mask_of(std::size_t bits, bool v4) {
  Bytes bytes(v4 ? 4 : 16, 0);
  for (std::size_t i = 0; i < bits; ++i) bytes[i / 8] = static_cast<unsigned char>(bytes[i / 8] | 0x80 >> i % 8);
  return address_of(bytes);
}

bool in_network(const ip::address& address, const ip::address& network, const ip::address& mask) {
  if (address.is_v4() != network.is_v4() || network.is_v4() != mask.is_v4()) return false;
  const Bytes a = bytes_of(address), n = bytes_of(network), m = bytes_of(mask);
  for (std::size_t i = 0; i < a.size(); ++i)
    if ((a[i] & m[i]) != (n[i] & m[i])) return false;
  return true;
}

std::optional<ip::address> address_of(const sockaddr* name) {
  if (name && name->sa_family == AF_INET)
    return ip::address_v4(ntohl(reinterpret_cast<const sockaddr_in*>(name)->sin_addr.s_addr));
  if (name && name->sa_family == AF_INET6) {
    ip::address_v6::bytes_type b{};
    std::memcpy(b.data(), &reinterpret_cast<const sockaddr_in6*>(name)->sin6_addr, b.size());
    return ip::address_v6(b);
  }
  return std::nullopt;
}

/// Whether it is one of this machine's own addresses, or in one of the networks they are in.
bool near_by(const ip::address& address, bool network_too) {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return false;
  bool found = false;
  for (const ifaddrs* one = all; one && !found; one = one->ifa_next) {
    const auto own = address_of(one->ifa_addr), mask = address_of(one->ifa_netmask);
    if (own) found = network_too && mask ? in_network(address, *own, *mask) : in_network(address, *own, mask_of(own->is_v4() ? 32 : 128, own->is_v4()));
  }
  ::freeifaddrs(all);
  return found;
}

const std::string& only(const Field& field, std::string_view what, Faults& faults) {
  if (field.size() != 1) faults.refuse(fmt::format("expected one {}, got a list", what));
  return field.front().text;
}

/// CIDR, an address with its mask in the next field, or one of the words. Returns how many fields it took.
std::size_t read_address(Rule& rule, const std::vector<Field>& fields, std::size_t at, Faults& faults) {
  const auto refuse = [&](std::string text) {
    faults.refuse(std::move(text));
    return std::size_t{1};
  };
  if (at >= fields.size()) return refuse("expected an address behind the users, got the end of the line");
  const std::string& text = only(fields[at], "address", faults);
  const auto& item = fields[at].front();
  if (item.keyword("all")) return 1;
  if (item.keyword("samehost") || item.keyword("samenet")) {
    rule.address = item.text == "samehost" ? Rule::Address::samehost : Rule::Address::samenet;
    return 1;
  }
  rule.address = Rule::Address::network;
  const auto slash = text.find('/');
  boost::system::error_code ec;
  rule.network = ip::make_address(text.substr(0, slash), ec);
  if (ec) return refuse(fmt::format("expected an IP address, all, samehost or samenet, got '{}' (host names are not looked up)", text));
  const std::size_t most = rule.network.is_v4() ? 32 : 128;
  if (slash != text.npos) {
    std::size_t bits = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + slash + 1, end, bits);
    if (error != std::errc() || stop != end || bits > most) return refuse(fmt::format("expected a network such as 10.0.0.0/8, got '{}'", text));
    rule.mask = mask_of(bits, rule.network.is_v4());
    return 1;
  }
  if (at + 1 >= fields.size()) return refuse(fmt::format("expected a mask behind the address {}, got the end of the line", text));
  const std::string& mask = only(fields[at + 1], "mask", faults);
  rule.mask = ip::make_address(mask, ec);
  if (ec || rule.mask.is_v4() != rule.network.is_v4()) return refuse(fmt::format("expected {}/<bits>, or a mask behind it, got '{}'", text, mask));
  return 2;
}

void read_method(Rule& rule, const std::string& name, Faults& faults) {
  constexpr std::array kMethods{LoginMethod::trust,    LoginMethod::reject, LoginMethod::scram_sha_256, LoginMethod::md5,
                                LoginMethod::password, LoginMethod::cert,   LoginMethod::peer};
  const auto found = std::find_if(kMethods.begin(), kMethods.end(), [&](LoginMethod m) { return to_string(m) == name; });
  if (found == kMethods.end()) {
    faults.refuse(fmt::format("expected a method (trust, reject, scram-sha-256, md5, password, cert or peer), got '{}'", name));
    return;
  }
  rule.method = *found;
  if (rule.method == LoginMethod::peer && rule.connection != Rule::Connection::local) faults.refuse("expected peer on local lines only");
  if (rule.method == LoginMethod::cert && rule.connection != Rule::Connection::hostssl) faults.refuse("expected cert on hostssl lines only");
  if (rule.method == LoginMethod::cert) rule.certificate = HbaFile::Certificate::verify_full;
}

void read_option(Rule& rule, const std::string& option, Faults& faults) {
  const auto equals = option.find('=');
  const std::string name = option.substr(0, equals), value = equals == option.npos ? "" : option.substr(equals + 1);
  if (name != "clientcert") faults.refuse(fmt::format("expected no option but clientcert, got '{}'", option));
  if (rule.connection != Rule::Connection::hostssl) faults.refuse("expected clientcert on hostssl lines only");
  if (value != "verify-ca" && value != "verify-full") faults.refuse(fmt::format("expected clientcert=verify-ca or verify-full, got '{}'", option));
  if (value == "verify-ca" && rule.method == LoginMethod::cert) faults.refuse("expected clientcert=verify-full with cert, got verify-ca");
  rule.certificate = value == "verify-ca" ? HbaFile::Certificate::verify_ca : HbaFile::Certificate::verify_full;
}

Rule read_rule(std::vector<Field> fields, Faults& faults) {
  constexpr std::array<std::string_view, 4> kConnections{"local", "host", "hostssl", "hostnossl"};
  Rule rule;
  const std::string& kind = only(fields[0], "kind of connection", faults);
  const auto found = std::find(kConnections.begin(), kConnections.end(), kind);
  if (found == kConnections.end()) {
    faults.refuse(fmt::format("expected local, host, hostssl or hostnossl, got '{}'", kind));
    return rule;
  }
  rule.connection = static_cast<Rule::Connection>(found - kConnections.begin());
  if (fields.size() < 3) {
    faults.refuse(fmt::format("expected databases and users behind '{}', got the end of the line", kind));
    return rule;
  }
  rule.databases = std::move(fields[1]);
  rule.users = std::move(fields[2]);
  for (auto& item : rule.databases) {
    if (item.keyword("samerole") || item.keyword("samegroup")) faults.refuse(fmt::format("expected databases, got '{}': memberships are not known here", item.text));
    compile(item, faults);
  }
  for (auto& item : rule.users) {
    if (!item.quoted && item.text.starts_with('+')) faults.refuse(fmt::format("expected users, got '{}': memberships are not known here", item.text));
    compile(item, faults);
  }
  std::size_t at = 3;
  if (rule.connection != Rule::Connection::local) at += read_address(rule, fields, at, faults);
  if (at >= fields.size()) {
    faults.refuse("expected a method, got the end of the line");
    return rule;
  }
  read_method(rule, only(fields[at], "method", faults), faults);
  for (++at; at < fields.size(); ++at)
    for (const auto& option : fields[at]) read_option(rule, option.text, faults);
  return rule;
}

bool database_matches(const Rule& rule, const LoginRequest& request) {
  return std::any_of(rule.databases.begin(), rule.databases.end(), [&](const Rule::Item& item) {
    if (request.physical_replication) return item.keyword("replication");
    if (item.keyword("all")) return true;
    if (item.keyword("sameuser")) return request.database == request.user;
    return !item.keyword("replication") && item.matches(request.database);
  });
}

bool user_matches(const Rule& rule, const LoginRequest& request) {
  return std::any_of(rule.users.begin(), rule.users.end(), [&](const Rule::Item& item) { return item.keyword("all") || item.matches(request.user); });
}

bool connection_matches(const Rule& rule, const LoginRequest& request) {
  using Connection = Rule::Connection;
  if (!request.address) return rule.connection == Connection::local;
  if (rule.connection == Connection::local || (rule.connection == Connection::hostssl && !request.encrypted) ||
      (rule.connection == Connection::hostnossl && request.encrypted)) {
    return false;
  }
  ip::address address = *request.address;
  // A client of a socket that takes both families.
  if (address.is_v6() && address.to_v6().is_v4_mapped()) address = ip::make_address_v4(ip::v4_mapped, address.to_v6());
  switch (rule.address) {
    case Rule::Address::any: return true;
    case Rule::Address::network: return in_network(address, rule.network, rule.mask);
    case Rule::Address::samehost: return near_by(address, false);
    case Rule::Address::samenet: return near_by(address, true);
  }
  return false;
}

}  // namespace

std::string_view to_string(LoginMethod method) {
  switch (method) {
    case LoginMethod::trust: return "trust";
    case LoginMethod::reject: return "reject";
    case LoginMethod::scram_sha_256: return "scram-sha-256";
    case LoginMethod::md5: return "md5";
    case LoginMethod::password: return "password";
    case LoginMethod::cert: return "cert";
    case LoginMethod::peer: return "peer";
  }
  return "?";
}

bool HbaFile::Rule::Item::matches(std::string_view name) const {
  if (!expression) return text == name;
  return ::regexec(expression.get(), std::string(name).c_str(), 0, nullptr, 0) == 0;
}

std::shared_ptr<const HbaFile> HbaFile::parse(std::string_view text, std::string* error) {
  auto file = std::make_shared<HbaFile>();
  for (int number = 1; !text.empty();) {
    const int first = number;
    std::string line;
    for (bool more = true; more && !text.empty();) {  // a backslash at its end joins a line and the next
      const auto end = text.find('\n');
      std::string_view part = text.substr(0, end);
      text = end == text.npos ? std::string_view() : text.substr(end + 1);
      ++number;
      if (part.ends_with('\r')) part.remove_suffix(1);
      more = part.ends_with('\\');
      line += more ? part.substr(0, part.size() - 1) : part;
    }
    Faults faults;
    auto fields = fields_of(line, faults);
    if (!fields.empty() && faults.first().empty()) {
      file->rules_.push_back(read_rule(std::move(fields), faults));
      file->rules_.back().line = first;
    }
    if (!faults.first().empty()) {
      *error = fmt::format("{}: {}", first, faults.first());
      return nullptr;
    }
  }
  return file;
}

std::shared_ptr<const HbaFile> HbaFile::load(const std::string& path, std::string* error) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream || stream.peek() == std::ifstream::traits_type::eof()) {
    *error = fmt::format("expected a readable file, got '{}'", path);
    return nullptr;
  }
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  auto file = parse(text, error);
  if (!file) *error = path + ":" + *error;
  if (!file || !file->rules_.empty()) return file;
  *error = fmt::format("expected a rule, got none in '{}'", path);
  return nullptr;
}

const HbaFile::Rule* HbaFile::find(const LoginRequest& request) const {
  const auto found = std::find_if(rules_.begin(), rules_.end(), [&](const Rule& rule) {
    return connection_matches(rule, request) && database_matches(rule, request) && user_matches(rule, request);
  });
  return found == rules_.end() ? nullptr : &*found;
}

}  // namespace pgsteer::proxy
