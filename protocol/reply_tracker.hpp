#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "protocol/ring.hpp"

namespace pgsteer::protocol {

/// What the client (or the proxy for it) asked the server, as far as replies go.
enum class Request : std::uint8_t {
  query,
  parse,
  bind,
  describe_statement,
  describe_portal,
  execute,
  close,
  sync,
  function_call,
  copy_end,  ///< CopyDone or CopyFail: no request, a mark in the queue that shows which Syncs a COPY swallows
};

/// What a server message means for the request at the head of the queue.
enum class Meaning : std::uint8_t {
  asynchronous,  ///< notice, notification, parameter status, login traffic: belongs to no request
  part,          ///< belongs to the head, which goes on
  finished,      ///< the head's last message: it is popped
  error,         ///< ErrorResponse of the head; in the extended protocol head and followers up to Sync are dropped
  unexpected,    ///< cannot be matched: the caller must stop interpreting this connection
};

/// Matches server messages to requests, in order, as the manual's "Message Flow" describes: pipelines with several
/// Syncs in flight, errors that skip to the next Sync, COPY in both protocols, portals. Sans-I/O; one per session.
/// Context is what the session wants to find again with each request (by value, movable; moved from, it holds nothing).
template <class Context>
class ReplyTracker {
 public:
  struct Expected {
    Request kind = Request::query;
    bool hidden = false;  ///< the proxy's own request: its replies are not for the client
    Context context{};
  };
  struct Result {
    Meaning meaning;
    Request kind = Request::query;
    bool hidden = false;
    Context context{};               ///< of the request this message belongs to (moved out when finished)
    std::vector<Expected> dropped{};   ///< the requests that will get no reply any more: after an error, or swallowed by COPY-in
  };

  /// Registers a request about to be sent. False: the server ignores it (it is skipping to Sync after an error, or is
  /// in COPY-in mode), so no reply is due. `dropped`, when given, receives the context of an ignored request.
  bool expect(Request kind, bool hidden, Context&& context) {
    if (!expect(kind, hidden)) return false;
    queue_.back().context = std::move(context);
    return true;
  }
  /// The same with nothing to find again.
  bool expect(Request kind, bool hidden) {
    if (copy_in_ && !copy_done_sent_ && kind == Request::sync) {
      ++syncs_in_copy_;
      return false;
    }
    if (skipping_) {
      if (kind != Request::sync) return false;
      skipping_ = false;
    }
    Expected& last = queue_.push_back();
    last.kind = kind;
    last.hidden = hidden;
    return true;
  }

  /// The client sent CopyDone or CopyFail. It may run ahead of the server's CopyInResponse: then it is kept in its place
  /// in the queue, for a Sync in front of it is ignored by the server and one behind it is answered. Outside of COPY the
  /// server ignores it.
  void copy_done() {
    if (copy_in_ && !copy_done_sent_) {
      copy_done_sent_ = true;
    } else if (!queue_.empty()) {
      Expected& mark = queue_.push_back();
      mark.kind = Request::copy_end;
      mark.hidden = false;
    }
  }

  bool empty() const { return queue_.empty(); }
  std::size_t size() const { return queue_.size(); }
  bool skipping() const { return skipping_; }
  bool in_copy() const { return copy_in_; }
  bool uncertain() const { return uncertain_syncs_ > 0; }  ///< a ReadyForQuery may come that nobody waits for
  const Ring<Expected>& queue() const { return queue_; }
  Expected* head() { return queue_.empty() ? nullptr : &queue_.front(); }

  Result on_server_message(char type) {
    switch (type) {
      case 'A': case 'N': case 'S': case 'R': case 'K': case 'v':
        return {Meaning::asynchronous};
      default:
        break;
    }
    if (type == 'Z' && uncertain_syncs_ > 0 && (queue_.empty() || !ends_with_ready(queue_.front().kind))) {
      --uncertain_syncs_;
      skipping_ = false;
      return {Meaning::finished, Request::sync};
    }
    if (queue_.empty()) {
      // A FATAL error may come at any time (57P01, idle timeouts); anything else has no place here.
      return {type == 'E' ? Meaning::asynchronous : Meaning::unexpected};
    }
    Expected& head = queue_.front();
    const bool query = head.kind == Request::query || head.kind == Request::function_call;
    const bool execute = head.kind == Request::execute;
    const bool describe = head.kind == Request::describe_statement || head.kind == Request::describe_portal;
    switch (type) {
      case '1': return head.kind == Request::parse ? finish() : unexpected();
      case '2': return head.kind == Request::bind ? finish() : unexpected();
      case '3': return head.kind == Request::close ? finish() : unexpected();
      case 't': return head.kind == Request::describe_statement ? part() : unexpected();
      case 'n': return describe ? finish() : unexpected();
      case 'T': return describe ? finish() : query ? part() : unexpected();
      case 'D': return query || execute ? part() : unexpected();
      case 'V': return head.kind == Request::function_call ? part() : unexpected();
      case 'C': case 'I':
        end_copy();
        return execute ? finish() : query ? part() : unexpected();
      case 's': return execute ? finish() : unexpected();
      case 'G': case 'W':
        if (!query && !execute) return unexpected();
        return begin_copy_in();
      case 'H': case 'd': case 'c': return query || execute ? part() : unexpected();
      case 'E': return on_error();
      case 'Z':
        end_copy();
        return query || head.kind == Request::sync ? finish() : unexpected();
      default: return unexpected();
    }
  }

 private:
  static bool ends_with_ready(Request kind) {
    return kind == Request::query || kind == Request::function_call || kind == Request::sync;
  }

  Result unexpected() { return {Meaning::unexpected}; }

  Result part() {
    Expected& head = queue_.front();
    return {Meaning::part, head.kind, head.hidden, head.context};
  }

  Result finish() {
    Expected& head = queue_.front();
    Result result{Meaning::finished, head.kind, head.hidden, std::move(head.context)};
    queue_.drop_front();
    drop_marks();
    return result;
  }

  Result on_error() {
    uncertain_syncs_ = syncs_in_copy_;
    end_copy();
    Expected& head = queue_.front();
    Result result{Meaning::error, head.kind, head.hidden, head.context};
    // Simple queries, function calls and Sync itself still get their ReadyForQuery.
    if (ends_with_ready(head.kind)) return result;
    while (!queue_.empty() && queue_.front().kind != Request::sync) {
      if (queue_.front().kind != Request::copy_end) result.dropped.push_back(std::move(queue_.front()));
      queue_.drop_front();
    }
    skipping_ = queue_.empty();
    return result;
  }

  /// In COPY-in mode the server ignores Sync: those already on their way get no ReadyForQuery.
  Result begin_copy_in() {
    Result result = part();
    copy_in_ = true;
    copy_done_sent_ = false;
    while (queue_.size() > 1 && !copy_done_sent_) {
      // Anything else than Sync ends the COPY: CopyDone, CopyFail, or a message the server takes for a fault.
      copy_done_sent_ = queue_[1].kind != Request::sync;
      if (queue_[1].kind != Request::copy_end) result.dropped.push_back(std::move(queue_[1]));
      queue_.drop_second();
    }
    return result;
  }

  void drop_marks() {
    while (!queue_.empty() && queue_.front().kind == Request::copy_end) queue_.drop_front();
  }

  void end_copy() {
    copy_in_ = copy_done_sent_ = false;
    syncs_in_copy_ = 0;
  }

  Ring<Expected> queue_;
  bool skipping_ = false;
  bool copy_in_ = false, copy_done_sent_ = false;
  int syncs_in_copy_ = 0;    ///< sent after CopyInResponse and before CopyDone: ignored, unless the COPY had failed by then
  int uncertain_syncs_ = 0;  ///< of a COPY that failed: a ReadyForQuery for them may come or not
};

}  // namespace pgsteer::protocol
