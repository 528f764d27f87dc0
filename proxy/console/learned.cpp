// PIN, UNPIN, BAN, TRAIN, ROLLBACK MODEL, PIN MODEL: a person's word over what was learned.
#include <fmt/format.h>

#include "proxy/console/command.hpp"
#include "proxy/console/result.hpp"
#include "proxy/learner/learner.hpp"

namespace pgsteer::proxy::console {
namespace {

bool is_fingerprint(const std::string& text) {
  return text.size() == 16 && text.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
}

ConsoleResult learning_off() { return failure("55000", "learning is off", "learning.enabled = true turns it on."); }

ConsoleResult bad_fingerprint(const std::string& text) {
  return failure("22023", fmt::format("'{}' is not a fingerprint: expected 16 hexadecimal digits", text),
                 "SHOW QUERIES lists fingerprints.");
}

/// What the learner said: "" is done.
ConsoleResult outcome(const std::string& error, std::string tag) {
  return error.empty() ? done(std::move(tag)) : failure("55000", error);
}

}  // namespace

ConsoleResult pin(const Request& request) {
  const auto& words = request.arguments;
  if (words.size() != 3 || !words[1].is("TO")) return usage("PIN '<fingerprint>' TO '<label>'");
  if (!is_fingerprint(words[0].text)) return bad_fingerprint(words[0].text);
  if (!request.hub.learner) return learning_off();
  return outcome(request.hub.learner->pin(words[0].text, words[2].text), "PIN");
}

ConsoleResult unpin(const Request& request) {
  const auto& words = request.arguments;
  if (words.size() != 1) return usage("UNPIN '<fingerprint>'");
  if (!is_fingerprint(words[0].text)) return bad_fingerprint(words[0].text);
  if (!request.hub.learner) return learning_off();
  return outcome(request.hub.learner->unpin(words[0].text), "UNPIN");
}

ConsoleResult ban(const Request& request) {
  const auto& words = request.arguments;
  if (words.size() != 2) return usage("BAN '<fingerprint>' '<label>'");
  if (!is_fingerprint(words[0].text)) return bad_fingerprint(words[0].text);
  if (!request.hub.learner) return learning_off();
  return outcome(request.hub.learner->ban(words[0].text, words[1].text), "BAN");
}

ConsoleResult approve(const Request& request) {
  const auto& words = request.arguments;
  const bool shaped = words.size() == 2 || (words.size() >= 4 && words.size() % 2 == 0 && words.size() <= 6);
  std::string plan, database;
  bool good = shaped;
  for (std::size_t i = 2; good && i + 1 < words.size(); i += 2) {
    if (words[i].is("PLAN")) plan = words[i + 1].text;
    else if (words[i].is("IN")) database = words[i + 1].text;
    else good = false;
  }
  if (!good) return usage("APPROVE '<fingerprint>' '<arm>' [PLAN '<plan>'] [IN '<database>']");
  if (!is_fingerprint(words[0].text)) return bad_fingerprint(words[0].text);
  if (!request.hub.learner) return learning_off();
  return outcome(request.hub.learner->approve(words[0].text, words[1].text, plan, database), "APPROVE");
}

ConsoleResult explore(const Request& request) {
  const auto& words = request.arguments;
  const auto time = words.size() == 1 ? policies::parse_duration(words[0].text) : std::nullopt;
  if (!time) return usage("EXPLORE '<duration>', such as EXPLORE '10min'");
  if (!request.hub.learner) return learning_off();
  request.hub.learner->explore(std::chrono::duration<double, std::milli>(*time).count());
  return done("EXPLORE");
}

ConsoleResult resume_policy(const Request& request) {
  const auto& words = request.arguments;
  if (words.size() != 1 || words[0].text.empty()) return usage("RESUME POLICY '<rule>' | ALL");
  if (!request.hub.learner) return learning_off();
  return outcome(request.hub.learner->resume_policy(words[0].is("ALL") ? "" : words[0].text), "RESUME POLICY");
}

/// In the background: the console never blocks. SHOW HEALTH and SHOW MODELS say when it is done.
ConsoleResult train(const Request& request) {
  if (!request.hub.learner) return learning_off();
  return outcome(request.hub.learner->train(false), "TRAIN");
}

ConsoleResult rollback_model(const Request& request) {
  const auto& words = request.arguments;
  if (words.size() > 1) return usage("ROLLBACK MODEL [name]");
  if (!request.hub.learner) return learning_off();
  return outcome(request.hub.learner->rollback_model(words.empty() ? "latency" : words[0].text), "ROLLBACK MODEL");
}

ConsoleResult pin_model(const Request& request) {
  const auto& words = request.arguments;
  if (words.size() != 1 || words[0].text.empty()) return usage("PIN MODEL <version>");
  if (!request.hub.learner) return learning_off();
  return outcome(request.hub.learner->pin_model(words[0].text), "PIN MODEL");
}

ConsoleResult unpin_model(const Request& request) {
  if (!request.hub.learner) return learning_off();
  return outcome(request.hub.learner->pin_model(""), "UNPIN MODEL");
}

}  // namespace pgsteer::proxy::console
