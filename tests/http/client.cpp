// A client of plain sockets and a strict reader of the exposition format: neither shares code with what they test.
#include "tests/http/client.hpp"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <regex>
#include <set>
#include <sstream>

namespace pgsteer::test {

std::string program() { return std::string(PGSTEER_BINARY_DIR) + "/pgsteer"; }

std::vector<Reply> send_raw(std::uint16_t port, const std::string& bytes, std::size_t replies, bool head) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::vector<Reply> list;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&where), sizeof where) != 0) {
    ::close(fd);
    return list;
  }
  for (std::size_t at = 0; at < bytes.size();) {
    const auto sent = ::send(fd, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (sent <= 0) break;  // it may answer and close before all is sent
    at += static_cast<std::size_t>(sent);
  }
  std::string buffer;
  const auto more = [&] {
    pollfd waiting{fd, POLLIN, 0};
    if (::poll(&waiting, 1, 20000) <= 0) return false;
    char chunk[65536];
    const auto got = ::recv(fd, chunk, sizeof chunk, 0);
    if (got > 0) buffer.append(chunk, static_cast<std::size_t>(got));
    return got > 0;
  };
  while (list.size() < replies) {
    while (buffer.find("\r\n\r\n") == std::string::npos && more()) {}
    const auto end = buffer.find("\r\n\r\n");
    if (end == std::string::npos) break;
    Reply reply;
    std::istringstream lines(buffer.substr(0, end));
    std::string line, version;
    lines >> version >> reply.status;
    std::getline(lines, line);
    while (std::getline(lines, line)) {
      while (!line.empty() && line.back() == '\r') line.pop_back();
      auto name = line.substr(0, line.find(':'));
      std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      reply.headers[name] = line.substr(std::min(line.size(), name.size() + 2));
    }
    const std::size_t length = head || !reply.headers.contains("content-length") ? 0 : std::strtoul(reply.headers["content-length"].c_str(), nullptr, 10);
    while (buffer.size() < end + 4 + length && more()) {}
    reply.body = buffer.substr(end + 4, length);
    buffer.erase(0, end + 4 + length);
    list.push_back(std::move(reply));
  }
  ::close(fd);
  return list;
}

Reply request(std::uint16_t port, const std::string& method, const std::string& target, const Headers& headers,
              const std::string& body) {
  std::string text = method + " " + target + " HTTP/1.1\r\nConnection: close\r\n";
  bool host = false;
  for (const auto& header : headers) {
    host = host || header.starts_with("Host:");
    text += header + "\r\n";
  }
  if (!host) text += "Host: 127.0.0.1:" + std::to_string(port) + "\r\n";
  if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  const auto replies = send_raw(port, text + "\r\n" + body, 1, method == "HEAD");
  return replies.empty() ? Reply{} : replies.front();
}

std::string read_stream(std::uint16_t port, const std::string& target, double seconds, const std::string& enough) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string got;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&where), sizeof where) == 0) {
    const std::string ask = "GET " + target + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    ::send(fd, ask.data(), ask.size(), MSG_NOSIGNAL);
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
      const auto found = got.find(enough);
      if (left <= 0 || (found != std::string::npos && got.find("\n\n", found) != std::string::npos)) break;
      pollfd waiting{fd, POLLIN, 0};
      if (::poll(&waiting, 1, static_cast<int>(left)) <= 0) break;
      char chunk[65536];
      const auto bytes = ::recv(fd, chunk, sizeof chunk, 0);
      if (bytes <= 0) break;
      got.append(chunk, static_cast<std::size_t>(bytes));
    }
  }
  ::close(fd);
  return got;
}

Reply command(std::uint16_t port, const std::string& text, const Headers& headers) {
  Headers all = headers;
  all.push_back("Content-Type: application/json");
  return request(port, "POST", "/api/v1/command", all, "{\"command\": \"" + text + "\"}");
}

double Exposition::sum(const std::string& name, const std::string& part) const {
  double total = 0;
  for (const auto& [sample, value] : samples)
    if (sample.substr(0, sample.find('{')) == name && sample.find(part) != std::string::npos) total += value;
  return total;
}

Exposition read_exposition(const std::string& text) {
  Exposition e;
  const auto fault = [&](const std::string& what, const std::string& line) { e.faults.push_back(what + ": " + line); };
  if (text.empty() || text.back() != '\n') e.faults.push_back("no line feed at the end");
  static const std::regex help(R"(# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+))"), type(R"(# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram))");
  static const std::regex sample(R"x(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[^"{}]*"(?:[^"\\]|\\.)*")*\})? (\S+))x");
  static const std::regex label(R"x(([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\"n])*)")x");
  std::string family, line;
  std::set<std::string> helped, closed;
  struct Buckets { std::vector<std::pair<double, double>> counts; bool has_sum = false; double count = -1; };
  std::map<std::string, Buckets> histograms;
  std::istringstream lines(text);
  while (std::getline(lines, line)) {
    std::smatch m;
    if (std::regex_match(line, m, help)) {
      if (!helped.insert(m[1]).second) fault("HELP twice", line);
      continue;
    }
    if (std::regex_match(line, m, type)) {
      if (e.types.contains(m[1])) fault("TYPE twice", line);
      if (!helped.contains(m[1])) fault("TYPE without HELP", line);
      if (!family.empty()) closed.insert(family);
      family = m[1];
      e.types[family] = m[2];
      if (m[2] == "counter" && !family.ends_with("_total")) fault("a counter that does not end in _total", line);
      if (m[2] != "counter" && family.ends_with("_total")) fault("_total, but no counter", line);
      continue;
    }
    if (!std::regex_match(line, m, sample)) {
      fault("neither comment nor sample", line);
      continue;
    }
    const std::string name = m[1], labels = m[2];
    if (!e.samples.emplace(name + labels, std::strtod(m[3].str().c_str(), nullptr)).second) fault("sample twice", line);
    const double value = e.samples[name + labels];
    char* end = nullptr;
    const std::string number = m[3];
    std::strtod(number.c_str(), &end);
    if (*end != '\0') fault("no number", line);
    std::string rest = labels.empty() ? "" : labels.substr(1, labels.size() - 2), le, others;
    std::set<std::string> names;
    while (!rest.empty()) {
      std::smatch l;
      if (!std::regex_search(rest, l, label, std::regex_constants::match_continuous)) {
        fault("labels", line);
        break;
      }
      if (!names.insert(l[1]).second) fault("label twice", line);
      if (l[1] == "le") le = l[2];
      else others += l.str() + ",";
      rest = l.suffix();
      if (rest.starts_with(",")) rest.erase(0, 1);
      else if (!rest.empty()) fault("no comma between labels", line);
    }
    const auto kind = e.types[family];
    if (kind == "histogram" ? !name.starts_with(family + "_") : name != family) fault("outside its family " + family, line);
    if (kind != "gauge" && !(value >= 0)) fault("negative", line);
    if (kind != "histogram") continue;
    auto& h = histograms[family + "|" + others];
    if (name == family + "_bucket") h.counts.emplace_back(le == "+Inf" ? INFINITY : std::strtod(le.c_str(), nullptr), value);
    else if (name == family + "_sum") h.has_sum = true;
    else if (name == family + "_count") h.count = value;
    else fault("no part of a histogram", line);
  }
  for (const auto& [name, h] : histograms) {
    if (h.counts.empty() || !std::isinf(h.counts.back().first)) fault("no +Inf bucket", name);
    else if (h.counts.back().second != h.count) fault("+Inf is not _count", name);
    if (!h.has_sum) fault("no _sum", name);
    for (std::size_t i = 1; i < h.counts.size(); ++i)
      if (h.counts[i].first <= h.counts[i - 1].first || h.counts[i].second < h.counts[i - 1].second) fault("buckets not in order", name);
  }
  return e;
}

}  // namespace pgsteer::test
