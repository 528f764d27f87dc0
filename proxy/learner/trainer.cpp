#include "proxy/learner/trainer.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <utility>

#include "predictor/feedback.hpp"
#include "predictor/predictor.hpp"
#include "proxy/process.hpp"

namespace pgsteer::proxy::learning {

namespace {

std::string last_line(const std::string& file) {
  std::ifstream in(file);
  std::string line, last;
  while (std::getline(in, line))
    if (!line.empty()) last = line;
  return last;
}

}  // namespace

Trainer::Trainer(std::string executable, std::string state_dir, std::string store_url)
    : executable_(std::move(executable)), state_dir_(std::move(state_dir)), store_url_(std::move(store_url)) {}
Trainer::~Trainer() { stop(); }

std::string Trainer::spawn() {
  const std::string log = state_dir_ + "/train.log";
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t pid = -1;  // client and server sockets are close-on-exec
  const int failure = proxy::spawn(executable_, {executable_, "train", "--state-dir", state_dir_}, actions, &pid,
                                   {"PGSTEER_LEARNING__STORE_URL=" + store_url_});
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) return fmt::format("cannot start {}: {}", executable_, std::strerror(failure));
  setpriority(PRIO_PROCESS, static_cast<id_t>(pid), 19);
  pid_ = pid;
  return {};
}

std::string Trainer::train(bool wait) {
  std::unique_lock lock(mutex_);
  if (stopping_) return "shutting down";
  if (pid_ < 0) {
    if (auto error = spawn(); !error.empty()) {
      last_error_ = error;
      return error;
    }
    spdlog::info("training started pid={}", pid_);
  } else if (!wait) {
    return "a training is running already";
  }
  if (!wait) return {};
  const auto before = runs_finished_;
  finished_.wait(lock, [&] { return runs_finished_ != before || stopping_; });
  return stopping_ ? "shutting down" : last_error_;
}

void Trainer::poll() {
  const std::lock_guard lock(mutex_);
  if (pid_ < 0) return;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return;
  pid_ = -1;
  ++runs_finished_;
  const std::string said = last_line(state_dir_ + "/train.log");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    last_error_.clear();
    spdlog::info("training finished message=\"{}\"", said);
  } else {
    last_error_ = fmt::format("training ended with {} {}: {}", WIFSIGNALED(status) ? "signal" : "exit code",
                              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), said);
    spdlog::warn("{}", last_error_);
  }
  finished_.notify_all();
}

bool Trainer::running() const {
  const std::lock_guard lock(mutex_);
  return pid_ >= 0;
}

void Trainer::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  if (pid_ >= 0) {
    ::kill(pid_, SIGKILL);  // it writes a new version beside the old ones and moves a link last: nothing is lost
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  finished_.notify_all();
}

std::string Trainer::health() const {
  const std::lock_guard lock(mutex_);
  return last_error_.empty() ? "ok" : last_error_;
}

ModelWatcher::ModelWatcher(Hub& hub, Audit& audit, std::string state_dir)
    : hub_(hub), audit_(audit), state_dir_(std::move(state_dir)) {}

void ModelWatcher::poll() {
  const std::lock_guard lock(mutex_);
  const std::string directory = predictor::current_model(state_dir_);
  if (directory == seen_) return;
  seen_ = directory;
  error_.clear();
  std::shared_ptr<const predictor::Model> model;
  if (!directory.empty()) {
    model = predictor::Model::load(directory, &error_);
    if (!model) {
      if (error_.empty()) error_ = "cannot be loaded";
      spdlog::warn("model refused directory={} error=\"{}\"", directory, error_);
      return;
    }
  }
  std::string ignored;
  before_ = nullptr;
  if (model && !model->parent().empty())
    before_ = predictor::Model::load(directory.substr(0, directory.rfind('/') + 1) + model->parent(), &ignored);
  model_ = model;
  watch_.reset();
  told_ = false;
  hub_.update([&](Snapshot& snapshot) { snapshot.model = model; });
  audit_.write("model", "", model ? model->version() : "none", "activated");
}

void ModelWatcher::observe(const std::vector<predictor::Feedback>& rows) {
  const std::lock_guard lock(mutex_);
  if (!model_) return;
  for (const auto& row : rows) {
    if (row.source != "server" || row.candidate != "as-is" || !row.sqlstate.empty() || row.feature_schema != model_->schema() || !(row.server_ms > 0)) continue;
    const auto now = model_->predict(row.features, 1);
    if (now.empty()) continue;
    predictor::ModelWatch::Row seen;
    seen.fingerprint = row.fingerprint;
    seen.log_ms = std::log(std::max(row.server_ms, 1e-3));
    seen.predicted = now.front();
    if (before_)
      if (const auto then = before_->predict(row.features, 1); !then.empty()) seen.before = then.front();
    seen.half_width = predictor::half_width(*model_, row.features);
    seen.foreign = model_->foreign(row.features);
    if (const auto verdict = watch_.add(seen); verdict != predictor::ModelWatch::Verdict::holds) return judge(verdict);
  }
}

void ModelWatcher::judge(predictor::ModelWatch::Verdict verdict) {
  const std::string why = fmt::format("{} after {} rows: mean log error {:.3f}, the version before {:.3f}, intervals cover {:.0f} %",
                                      predictor::to_string(verdict), watch_.rows(), watch_.error(), watch_.error_before(), 100 * watch_.covered());
  watch_.reset();
  if (verdict != predictor::ModelWatch::Verdict::worse_than_before) {
    last_drift_ = why;
    if (std::exchange(told_, true)) return;  // once for a version: the next training is asked for already
    ++drifts_;
    drift_ = why;
    spdlog::warn("model drifted version={} why=\"{}\"", model_->version(), why);
    audit_.write("model", "", model_->version(), "drifted: " + why);
    return;
  }
  std::string error;
  if (predictor::rollback_model(state_dir_, "latency", &error)) {
    ++rollbacks_;
    spdlog::warn("model rolled back version={} why=\"{}\"", model_->version(), why);
    audit_.write("model", "", model_->version(), "rolled back: " + why);
  } else {
    spdlog::warn("model is worse than the one before it and stays version={} why=\"{}\" error=\"{}\"", model_->version(), why, error);
  }
}

std::string ModelWatcher::drifted() {
  const std::lock_guard lock(mutex_);
  return std::exchange(drift_, {});
}

Learner::ModelFigures ModelWatcher::figures() const {
  const std::lock_guard lock(mutex_);
  return {watch_.rows(), watch_.covered(), watch_.error(), drifts_, rollbacks_};
}

std::string ModelWatcher::watched() const {
  const std::lock_guard lock(mutex_);
  if (!model_) return "no model in use";
  std::string text = fmt::format("{} rows: intervals cover {:.1f} %, mean log error {:.3f}", watch_.rows(), 100 * watch_.covered(), watch_.error());
  if (before_) text += fmt::format(", {} in its shadow {:.3f}", before_->version(), watch_.error_before());
  if (!last_drift_.empty()) text += "; last drift: " + last_drift_;
  return text;
}

std::string ModelWatcher::health() const {
  const std::lock_guard lock(mutex_);
  return error_.empty() ? "ok" : error_;
}

}  // namespace pgsteer::proxy::learning
