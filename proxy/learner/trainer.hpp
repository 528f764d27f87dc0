#pragma once
#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>

#include "predictor/feedback.hpp"
#include "predictor/watch.hpp"
#include "proxy/hub.hpp"
#include "proxy/learner/audit.hpp"
#include "proxy/learner/learner.hpp"

namespace pgsteer::proxy::learning {

/// Runs `<executable> train --state-dir <dir>` as a child at the lowest priority: it may crash or be killed and no
/// client notices. It learns from the store the daemon writes: `store_url`, which goes by the environment, "" = the embedded one. Its output is in state_dir/train.log. poll() from one thread reaps it; the rest is thread-safe.
class Trainer {
 public:
  Trainer(std::string executable, std::string state_dir, std::string store_url);
  ~Trainer();
  /// Empty = started (and, with `wait`, finished well), else what is wrong. One training at a time.
  std::string train(bool wait);
  void poll();
  bool running() const;
  void stop();
  /// "ok" or how the last training ended.
  std::string health() const;

 private:
  std::string spawn();
  const std::string executable_, state_dir_, store_url_;
  mutable std::mutex mutex_;
  std::condition_variable finished_;
  pid_t pid_ = -1;
  bool stopping_ = false;
  std::uint64_t runs_finished_ = 0;
  std::string last_error_;
};

/// Publishes models/latency/current whenever it points at something else. A model that cannot be loaded is refused with
/// one warning; the one in use stays. The version that the current one replaced runs on in its shadow, on the same rows:
/// when the current one proves worse, it is rolled back; when its intervals no longer cover or the statements are unlike those
/// it knows, drifted() asks for training. All thread-safe.
class ModelWatcher {
 public:
  ModelWatcher(Hub& hub, Audit& audit, std::string state_dir);
  void poll();
  void observe(const std::vector<predictor::Feedback>& rows);
  /// Once for a version that drifted: why a new model is needed, else "".
  std::string drifted();
  std::string health() const;
  std::string watched() const;  ///< in words
  Learner::ModelFigures figures() const;

 private:
  void judge(predictor::ModelWatch::Verdict verdict);
  Hub& hub_;
  Audit& audit_;
  const std::string state_dir_;
  mutable std::mutex mutex_;
  bool told_ = false;  ///< of a drift of this version
  std::uint64_t drifts_ = 0, rollbacks_ = 0;
  std::string seen_, error_, drift_, last_drift_;
  std::shared_ptr<const predictor::Model> model_, before_;
  predictor::ModelWatch watch_;
};

}  // namespace pgsteer::proxy::learning
