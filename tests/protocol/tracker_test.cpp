// The reply tracker against scripts: what is asked, what the server says, and what each message must then mean.
#include <doctest.h>

#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/reply_tracker.hpp"

using pgsteer::protocol::Meaning;
using pgsteer::protocol::Request;
using Tracker = pgsteer::protocol::ReplyTracker<int>;

namespace {

/// Steps of a script, blank-separated. Client, in capitals of the messages: >Q >P >B >Ds >Dp >E >C >S >F, >c (CopyDone or CopyFail);
/// with ! in front of the letter the server is known to ignore it (">!S"). Server: <Z=Q#3 says ReadyForQuery finishes (=), is part of
/// (~; /S#4: and the fourth, a Sync, gets no reply), is the error of (x), is nobody's (.), or cannot be matched (?) the third request sent, a Query.
struct Script {
  const char* name;
  const char* steps;
};

std::string letter(Request kind) {
  switch (kind) {
    case Request::query: return "Q";
    case Request::parse: return "P";
    case Request::bind: return "B";
    case Request::describe_statement: return "Ds";
    case Request::describe_portal: return "Dp";
    case Request::execute: return "E";
    case Request::close: return "C";
    case Request::sync: return "S";
    case Request::function_call: return "F";
    case Request::copy_end: return "c";
  }
  return "-";
}

Request kind_of(std::string_view text) {
  for (const auto kind : {Request::query, Request::parse, Request::bind, Request::describe_statement, Request::describe_portal,
                          Request::execute, Request::close, Request::sync, Request::function_call}) {
    if (letter(kind) == text) return kind;
  }
  FAIL("no such request: " << text);
  return Request::query;
}

/// What happened, in the words of the script; equal to the script when all is right.
std::string play(Tracker& tracker, const std::string& steps) {
  std::istringstream in(steps);
  std::string step, out;
  int number = 0;
  while (in >> step) {
    if (!out.empty()) out += ' ';
    if (step[0] == '>') {
      std::string what = step.substr(step[1] == '!' ? 2 : 1);
      if (what == "c") {
        tracker.copy_done();
        out += step;
        continue;
      }
      const bool due = tracker.expect(kind_of(what), false, int(++number));
      out += std::string(">") + (due ? "" : "!") + what;
      continue;
    }
    const auto result = tracker.on_server_message(step[1]);
    out += step.substr(0, 2);
    switch (result.meaning) {
      case Meaning::asynchronous: out += '.'; break;
      case Meaning::unexpected: out += '?'; break;
      case Meaning::part: out += '~' + letter(result.kind) + '#' + std::to_string(result.context); break;
      case Meaning::finished: out += '=' + letter(result.kind) + '#' + std::to_string(result.context); break;
      case Meaning::error: out += 'x' + letter(result.kind) + '#' + std::to_string(result.context); break;
    }
    if (result.meaning == Meaning::part)  // swallowed by COPY-in
      for (const auto& swallowed : result.dropped) out += '/' + letter(swallowed.kind) + '#' + std::to_string(swallowed.context);
  }
  return out;
}

const Script scripts[] = {
    {"a simple query", ">Q <T~Q#1 <D~Q#1 <C~Q#1 <Z=Q#1"},
    {"several statements in one query", ">Q <T~Q#1 <D~Q#1 <C~Q#1 <C~Q#1 <T~Q#1 <C~Q#1 <Z=Q#1"},
    {"an empty query", ">Q <I~Q#1 <Z=Q#1"},
    {"an error in a simple query", ">Q <T~Q#1 <ExQ#1 <Z=Q#1 >Q <C~Q#2 <Z=Q#2"},
    {"three queries without waiting", ">Q >Q >Q <C~Q#1 <Z=Q#1 <ExQ#2 <Z=Q#2 <C~Q#3 <Z=Q#3"},
    {"one extended execution", ">P >B >Dp >E >S <1=P#1 <2=B#2 <T=Dp#3 <D~E#4 <C=E#4 <Z=S#5"},
    {"describe a statement", ">P >Ds >S <1=P#1 <t~Ds#2 <T=Ds#2 <Z=S#3"},
    {"describe what returns nothing", ">P >Ds >S <1=P#1 <t~Ds#2 <n=Ds#2 <Z=S#3"},
    {"an empty statement", ">P >B >E >S <1=P#1 <2=B#2 <I=E#3 <Z=S#4"},
    {"several Syncs in flight: each ReadyForQuery is its own", ">P >B >E >S >P >B >E >S >S <1=P#1 <2=B#2 <C=E#3 <Z=S#4 <1=P#5 <2=B#6 <D~E#7 <C=E#7 <Z=S#8 <Z=S#9"},
    {"an error in the middle of a pipeline", ">P >B >E >P >B >E >S >P >S <1=P#1 <2=B#2 <C=E#3 <ExP#4 <Z=S#7 <1=P#8 <Z=S#9"},
    {"an error: what follows before Sync is ignored", ">P >B >E <1=P#1 <2=B#2 <ExE#3 >!P >!B >!E >!C >!Q >S <Z=S#9 >Q <C~Q#10 <Z=Q#10"},
    {"error, simple query, late Sync (pgdog 1356)", ">P >B >E >Q >S <1=P#1 <ExB#2 <Z=S#5 >Q <C~Q#6 <Z=Q#6"},
    {"error, simple query after it is known, late Sync", ">P <ExP#1 >!Q >S <Z=S#3"},
    {"Parse, Describe, Flush; Bind, Execute, Flush; Sync (pgdog 760)", ">P >Ds <1=P#1 <t~Ds#2 <T=Ds#2 >B >E <2=B#3 <D~E#4 <C=E#4 >S <Z=S#5"},
    {"a portal suspended and gone on with", ">P >B >E <1=P#1 <2=B#2 <D~E#3 <s=E#3 >E <D~E#4 <s=E#4 >E >S <C=E#5 <Z=S#6"},
    {"Close after an error gets no reply", ">P >B >C >S <1=P#1 <ExB#2 <Z=S#4 >C >S <3=C#5 <Z=S#6"},
    {"a simple query inside of a group", ">P >B >E >Q >P >S <1=P#1 <2=B#2 <C=E#3 <C~Q#4 <Z=Q#4 <1=P#5 <Z=S#6"},
    {"an error at Sync itself (deferred constraint)", ">P >B >E >S <1=P#1 <2=B#2 <C=E#3 <ExS#4 <Z=S#4"},
    {"COPY OUT, simple", ">Q <H~Q#1 <d~Q#1 <d~Q#1 <c~Q#1 <C~Q#1 <Z=Q#1"},
    {"COPY OUT, extended", ">P >B >E >S <1=P#1 <2=B#2 <H~E#3 <d~E#3 <c~E#3 <C=E#3 <Z=S#4"},
    {"COPY IN, simple", ">Q <G~Q#1 >c <C~Q#1 <Z=Q#1"},
    {"COPY IN, simple, everything ahead", ">Q >c >Q <G~Q#1 <C~Q#1 <Z=Q#1 <C~Q#2 <Z=Q#2"},
    {"two COPY INs in one query, everything ahead", ">Q >c >c >Q <G~Q#1 <C~Q#1 <G~Q#1 <C~Q#1 <Z=Q#1 <C~Q#2 <Z=Q#2"},
    {"COPY IN, extended: the early Sync is ignored (pgbouncer PR 1025)", ">P >B >E >S <1=P#1 <2=B#2 <G~E#3/S#4 >c >S <C=E#3 <Z=S#5"},
    {"COPY IN, extended: a Sync in COPY mode is ignored", ">P >B >E <1=P#1 <2=B#2 <G~E#3 >!S >c >S <C=E#3 <Z=S#5"},
    {"COPY IN, extended, everything ahead: the Sync behind CopyDone counts", ">P >B >E >S >c >S >Q <1=P#1 <2=B#2 <G~E#3/S#4 <C=E#3 <Z=S#5 <C~Q#6 <Z=Q#6"},
    {"COPY IN that never began: the Sync counts", ">P >B >E >S >c >S <1=P#1 <2=B#2 <ExE#3 <Z=S#4 <Z=S#5"},
    {"COPY IN fails, data and CopyDone come late (pgbouncer PR 1471)", ">Q <G~Q#1 <ExQ#1 <Z=Q#1 >c >c >Q <C~Q#2 <Z=Q#2"},
    {"COPY IN fails, late CopyDone before ReadyForQuery is read", ">Q <G~Q#1 <ExQ#1 >c <Z=Q#1 >Q <C~Q#2 <Z=Q#2"},
    {"COPY IN, extended, fails: skips to the Sync behind CopyDone", ">P >B >E <1=P#1 <2=B#2 <G~E#3 <ExE#3 >c >S <Z=S#4"},
    {"COPY IN, extended, fails with CopyDone and Sync under way", ">P >B >E <1=P#1 <2=B#2 <G~E#3 >c >S <ExE#3 <Z=S#4 >Q <C~Q#5 <Z=Q#5"},
    {"a Sync in COPY mode that the server saw after its error", ">P >B >E <1=P#1 <2=B#2 <G~E#3 >!S <ExE#3 <Z=S#0 >Q <C~Q#5 <Z=Q#5"},
    {"COPY BOTH", ">Q <W~Q#1 <d~Q#1 >c <c~Q#1 <C~Q#1 <Z=Q#1"},
    {"function calls", ">F <V~F#1 <Z=F#1 >F <ExF#2 <Z=F#2 >F >F <V~F#3 <Z=F#3 <V~F#4 <Z=F#4"},
    {"notices, notifications and settings belong to nobody", "<S. <N. <A. >Q <N. <T~Q#1 <A. <D~Q#1 <S. <C~Q#1 <Z=Q#1 <N. <A."},
    {"a FATAL while idle", "<E."},
    {"what nobody asked for", "<Z? <D? <C? <1?"},
    {"the wrong reply", ">P <2?"},
    {"rows for a Parse", ">P <D?"},
    {"ReadyForQuery before the answers", ">P >S <Z?"},
    {"CopyInResponse for a Bind", ">B <G?"},
    {"an unknown type", ">Q <!?"},
};

}  // namespace

TEST_CASE("every message means what the manual's Message Flow says") {
  for (const auto& script : scripts) {
    CAPTURE(script.name);
    Tracker tracker;
    CHECK(play(tracker, script.steps) == script.steps);
  }
}

TEST_CASE("the same scripts with one reply left out never finish everything in order unnoticed") {
  for (const auto& script : scripts) {
    CAPTURE(script.name);
    std::istringstream in(script.steps);
    std::vector<std::string> steps;
    for (std::string step; in >> step;) steps.push_back(step);
    for (std::size_t out = 0; out < steps.size(); ++out) {
      // What ends a request cannot be missing without the rest showing it, or its request staying open.
      if (steps[out][0] != '<' || steps[out][2] != '=') continue;
      std::string rest;
      for (std::size_t i = 0; i < steps.size(); ++i) {
        if (i != out) rest += (rest.empty() ? "" : " ") + steps[i];
      }
      Tracker tracker;
      const std::string got = play(tracker, rest);
      CHECK_MESSAGE((got != rest || !tracker.empty() || tracker.skipping()), rest);
    }
  }
}

TEST_CASE("an error names all requests that get no reply any more, in order, and leaves those behind Sync") {
  Tracker tracker;
  tracker.expect(Request::parse, false, 1);
  tracker.expect(Request::bind, true, 2);
  tracker.expect(Request::execute, false, 3);
  tracker.expect(Request::sync, false, 4);
  tracker.expect(Request::parse, false, 5);
  tracker.on_server_message('1');
  const auto result = tracker.on_server_message('E');
  CHECK(result.meaning == Meaning::error);
  CHECK(result.hidden);
  REQUIRE(result.dropped.size() == 2);
  CHECK(result.dropped[0].context == 2);
  CHECK(result.dropped[1].context == 3);
  CHECK_FALSE(tracker.skipping());
  REQUIRE(tracker.size() == 2);
  CHECK(tracker.head()->context == 4);
}

TEST_CASE("hidden requests are told apart") {
  Tracker tracker;
  tracker.expect(Request::query, true, 1);
  tracker.expect(Request::query, false, 2);
  CHECK(tracker.on_server_message('T').hidden);
  CHECK(tracker.on_server_message('C').hidden);
  CHECK(tracker.on_server_message('Z').hidden);
  CHECK_FALSE(tracker.on_server_message('C').hidden);
}

TEST_CASE("any bytes: the tracker answers every server message and keeps its queue bounded by what was asked") {
  const char types[] = "123ACDEGHIKNRSTVWZcdntsv!";
  std::uint32_t state = 12345;
  const auto next = [&](std::uint32_t n) {
    state = state * 1664525 + 1013904223;
    return (state >> 8) % n;
  };
  for (int round = 0; round < 2000; ++round) {
    Tracker tracker;
    std::size_t asked = 0;
    for (int i = 0; i < 60; ++i) {
      const auto what = next(22);
      if (what < 9) {
        tracker.expect(static_cast<Request>(what), false, int(i));
        ++asked;
      } else if (what == 9) {
        tracker.copy_done();
        ++asked;
      } else {
        tracker.on_server_message(types[next(sizeof types - 1)]);
      }
      REQUIRE(tracker.size() <= asked);
      if (const auto* head = tracker.head()) REQUIRE(head->kind != Request::copy_end);
    }
  }
}
