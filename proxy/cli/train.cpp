// pgsteer train: a process of its own, started by people and by the learner. The last line says what became of it; exit code 0 when
// a model was registered or when it was honestly refused, 1 when training was not possible.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <memory>

#include "predictor/feedback.hpp"
#include "proxy/cli/cli.hpp"
#include "proxy/cli/settings.hpp"
#include "proxy/config.hpp"
#include "proxy/learner/fleet_store.hpp"
#include "proxy/reload.hpp"

namespace pgsteer::proxy::cli {
namespace {

struct Options {
  Settings settings;
  predictor::TrainOptions train;
};

/// One bar that is drawn over itself on a terminal; plain lines, one per tenth, elsewhere.
class Progress {
 public:
  void operator()(double share, const std::string& message) {
    share = std::min(1.0, std::max(0.0, share));
    if (terminal_) {
      const auto full = static_cast<int>(share * 30);
      std::cerr << fmt::format("\r[{:<30}] {:3.0f} % {:<40.40}", std::string(static_cast<std::size_t>(full), '#'), share * 100, message) << std::flush;
    } else if (const int tenth = static_cast<int>(share * 10); tenth != last_tenth_ || message != last_message_) {
      std::cerr << fmt::format("{:3.0f} % {}\n", share * 100, message);
      last_tenth_ = tenth;
    }
    last_message_ = message;
  }
  void finish() const {
    if (terminal_ && !last_message_.empty()) std::cerr << "\n";
  }

 private:
  bool terminal_ = ::isatty(2) == 1;
  int last_tenth_ = -1;
  std::string last_message_;
};

/// libgomp reads its waiting policy when it is loaded: spinning barriers cost ten times the time on a busy machine. The only
/// way to have it set is to start again with it.
void start_again_with_passive_waiting(const std::string& executable) {
  if (std::getenv("OMP_WAIT_POLICY")) return;
  ::setenv("OMP_WAIT_POLICY", "passive", 1);
  std::vector<std::string> words;
  std::string all;
  if (FILE* file = std::fopen("/proc/self/cmdline", "rb")) {
    for (int c; (c = std::fgetc(file)) != EOF;) all += static_cast<char>(c);
    std::fclose(file);
  }
  for (std::size_t at = 0; at < all.size(); at = all.find('\0', at) + 1) words.emplace_back(all.c_str() + at);
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  if (!words.empty()) ::execv(executable.c_str(), argv.data());  // when it fails, training is only slower
}

void print_result(const predictor::TrainResult& result) {
  if (result.rows_train == 0) {
    std::cout << "not registered: " << result.message << "\n";
    return;
  }
  std::cout << fmt::format("rows: {} for training, {} held out of seen statements, {} of statements never seen\n", result.rows_train,
                           result.rows_test_seen, result.rows_test_unseen);
  std::cout << fmt::format("q-error (median / 90 %): seen {:.2f} / {:.2f}, unseen {:.2f} / {:.2f}, planner cost {:.2f} / {:.2f}\n",
                           result.seen_median_q, result.seen_p90_q, result.unseen_median_q, result.unseen_p90_q, result.baseline_median_q,
                           result.baseline_p90_q);
  std::cout << fmt::format("coverage of the 90 % interval: {:.1f} %\n", result.coverage * 100);
  // The last line is what the learner's log and SHOW HEALTH quote.
  if (result.registered) std::cout << fmt::format("registered: version {} in {}; {}\n", result.version, result.directory, result.message);
  else std::cout << "not registered: " << result.message << "\n";
}

int train(Options options, const std::string& executable) {
  std::vector<std::string> errors;
  const auto config = Config::load(options.settings.config_file, options.settings.overrides(), &errors);
  if (!config) {
    for (const auto& error : errors) std::cerr << error << "\n";
    return exit_config;
  }
  start_again_with_passive_waiting(executable);
  if (::nice(10) == -1) std::cerr << "cannot lower the priority\n";  // added to the learner's own
  options.train.state_dir = state_directory(*config);
  options.train.feedback = [config](std::uint64_t schema, const std::function<void(const predictor::Feedback&)>& row, std::string* error) {
    const auto store = learning::open_feedback_store(*config, /*read_only=*/true, error);
    return store && store->read(schema, row, error);
  };
  auto progress = std::make_shared<Progress>();
  options.train.progress = [progress](double share, const std::string& message) { (*progress)(share, message); };
  const auto result = predictor::train(options.train);
  progress->finish();
  print_result(result);
  return result.registered || result.rows_train > 0 ? exit_ok : exit_failure;
}

}  // namespace

std::function<int()> add_train(CLI::App& app, const std::string& executable) {
  auto options = std::make_shared<Options>();
  add_settings(app, options->settings, false);
  app.add_option("--name", options->train.name, "which model")->capture_default_str();
  app.add_option("--seed", options->train.seed, "the same seed and feedback give the same model")->capture_default_str();
  app.add_option("--max-trees", options->train.max_trees, "trees")->capture_default_str()->check(CLI::Range(1, 5000));
  app.add_option("--max-depth", options->train.max_depth, "depth of a tree")->capture_default_str()->check(CLI::Range(1, 16));
  app.add_option("--time-budget", options->train.time_budget_seconds, "stop adding trees after so many seconds")->capture_default_str();
  app.add_option("--min-rows", options->train.min_rows, "refuse to train on fewer executions")->capture_default_str();
  app.add_option("--keep-versions", options->train.keep_versions, "older ones are deleted")->capture_default_str();
  app.add_flag("--force", options->train.force, "register even when it is not better than the current version");
  return [options, executable] { return train(*options, executable); };
}

}  // namespace pgsteer::proxy::cli
