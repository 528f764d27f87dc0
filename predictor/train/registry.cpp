#include "predictor/train/registry.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>

#include "predictor/models/meta.hpp"

namespace pgsteer::predictor {
namespace {

namespace fs = std::filesystem;

/// v0001 -> 1; 0 for anything else.
std::uint64_t number_of(std::string_view version) {
  std::uint64_t number = 0;
  if (version.size() < 5 || version.size() > 16 || version.front() != 'v') return 0;
  const auto [end, code] = std::from_chars(version.data() + 1, version.data() + version.size(), number);
  return code == std::errc{} && end == version.data() + version.size() ? number : 0;
}

bool fail(std::string* error, const std::string& path, const char* action) {
  if (error) *error = fmt::format("{}: cannot {}: {}", path, action, std::strerror(errno));
  return false;
}

bool sync_directory(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool done = ::fsync(fd) == 0;
  ::close(fd);
  return done;
}

bool write_file(const std::string& path, const std::string& content, std::string* error) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return fail(error, path, "create");
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = ::write(fd, content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
  }
  const bool written = done == content.size() && ::fsync(fd) == 0;
  if (!written) fail(error, path, "write");
  ::close(fd);
  return written;
}

bool valid_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

}  // namespace

Registry::Registry(const std::string& state_dir, std::string name)
    : root_(valid_name(name) ? state_dir + "/models/" + name : std::string()) {}

Registry::~Registry() {
  if (lock_ >= 0) ::close(lock_);
}

bool Registry::lock(std::string* error) {
  if (root_.empty()) {
    *error = "a model name has only a-z, 0-9, _ and -";
    return false;
  }
  std::error_code code;
  fs::create_directories(root_, code);
  if (code) {
    *error = fmt::format("{}: {}", root_, code.message());
    return false;
  }
  lock_ = ::open((root_ + "/.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_ < 0) return fail(error, root_ + "/.lock", "open");
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    *error = fmt::format("{}: another training or rollback is at work", root_);
    return false;
  }
  for (const auto& entry : fs::directory_iterator(root_, code))
    if (entry.path().filename().string().starts_with(".tmp-")) fs::remove_all(entry.path(), code);
  return true;
}

std::vector<std::string> Registry::versions() const {
  std::vector<std::string> out;
  std::error_code code;
  if (root_.empty()) return out;
  for (const auto& entry : fs::directory_iterator(root_, code)) {
    const std::string name = entry.path().filename().string();
    std::error_code ignored;
    if (number_of(name) > 0 && !entry.is_symlink(ignored) && fs::exists(entry.path() / "meta.json", ignored)) out.push_back(name);
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return number_of(a) < number_of(b); });
  return out;
}

std::string Registry::current() const {
  std::error_code code;
  if (root_.empty()) return {};
  // A link that leads out of this folder or to nothing is no version.
  const std::string target = fs::read_symlink(root_ + "/current", code).string();
  if (code || number_of(target) == 0 || !fs::exists(directory(target) + "/meta.json", code)) return {};
  return target;
}

std::string Registry::pinned() const {
  std::string text, ignored;
  if (root_.empty() || !read_file(root_ + "/pinned", 64, &text, &ignored)) return {};
  return number_of(text) > 0 ? text : std::string();
}

bool Registry::pin(const std::string& version, std::string* error) {
  const std::string temporary = root_ + "/.tmp-pinned", file = root_ + "/pinned";
  if (version.empty()) return ::unlink(file.c_str()) == 0 || errno == ENOENT || fail(error, file, "remove");
  ::unlink(temporary.c_str());
  if (!write_file(temporary, version, error)) return false;
  if (::rename(temporary.c_str(), file.c_str()) != 0) return fail(error, file, "replace");
  return sync_directory(root_) || fail(error, root_, "sync");
}

std::string Registry::before(const std::string& version) const {
  const std::vector<std::string> all = versions();
  std::string text, ignored;
  ModelMeta meta;
  if (read_file(directory(version) + "/meta.json", 1u << 20, &text, &ignored) && from_json(text, &meta, &ignored) &&
      std::find(all.begin(), all.end(), meta.parent) != all.end())
    return meta.parent;
  const auto here = std::find(all.begin(), all.end(), version);
  return here == all.end() || here == all.begin() ? std::string() : *(here - 1);
}

std::string Registry::next_version() const {
  std::uint64_t last = 0;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(root_, code)) last = std::max(last, number_of(entry.path().filename().string()));
  return fmt::format("v{:04}", last + 1);
}

bool Registry::publish(const std::string& version, const std::map<std::string, std::string>& files, const Check& check,
                       std::string* error) {
  const std::string temporary = root_ + "/.tmp-" + version;
  std::error_code code;
  fs::remove_all(temporary, code);
  if (!fs::create_directory(temporary, code)) {
    *error = fmt::format("{}: {}", temporary, code.message());
    return false;
  }
  for (const auto& [name, content] : files)
    if (!write_file(temporary + "/" + name, content, error)) {
      fs::remove_all(temporary, code);
      return false;
    }
  if (!sync_directory(temporary)) return fail(error, temporary, "sync");
  if (check && !check(temporary, error)) {
    fs::remove_all(temporary, code);
    return false;
  }
  if (::rename(temporary.c_str(), directory(version).c_str()) != 0) {
    fail(error, directory(version), "rename to");
    fs::remove_all(temporary, code);
    return false;
  }
  return sync_directory(root_) || fail(error, root_, "sync");
}

bool Registry::make_current(const std::string& version, std::string* error) {
  const std::string temporary = root_ + "/.tmp-current";
  ::unlink(temporary.c_str());
  if (::symlink(version.c_str(), temporary.c_str()) != 0) return fail(error, temporary, "link");
  if (::rename(temporary.c_str(), (root_ + "/current").c_str()) != 0) return fail(error, root_ + "/current", "replace");
  return sync_directory(root_) || fail(error, root_, "sync");
}

void Registry::prune(int keep) {
  std::vector<std::string> all = versions();
  const std::string now = current();
  const std::string previous = before(now), kept = pinned();
  std::size_t left = all.size();
  for (const std::string& version : all) {
    if (left <= static_cast<std::size_t>(std::max(keep, 1))) break;
    if (version == now || version == previous || version == kept) continue;
    // Renamed first: a reader must never find half a version under a version's name.
    const std::string temporary = root_ + "/.tmp-old-" + version;
    std::error_code code;
    if (::rename(directory(version).c_str(), temporary.c_str()) == 0) fs::remove_all(temporary, code);
    --left;
  }
}

std::vector<ModelVersion> list_models(const std::string& state_dir) {
  std::vector<ModelVersion> out;
  std::error_code code;
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(state_dir + "/models", code)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    const Registry registry(state_dir, name);
    const std::string current = registry.current(), pinned = registry.pinned();
    for (const std::string& version : registry.versions()) {
      ModelVersion model{name, version, registry.directory(version), {}, version == current, version == pinned, {}};
      if (const std::string parent = registry.before(version); !parent.empty()) model.parent = parent;
      std::string error;
      if (!read_file(model.directory + "/metrics.json", 1u << 20, &model.metrics, &error)) model.metrics = "{}";
      out.push_back(std::move(model));
    }
  }
  return out;
}

std::string current_model(const std::string& state_dir, const std::string& name) {
  const Registry registry(state_dir, name);
  const std::string version = registry.current();
  return version.empty() ? std::string() : registry.directory(version);
}

bool rollback_model(const std::string& state_dir, const std::string& name, std::string* error) {
  std::string ignored;
  if (!error) error = &ignored;
  Registry registry(state_dir, name);
  // Looked at before the lock, so that a wrong name makes no folder.
  if (!registry.versions().empty() && !registry.lock(error)) return false;
  const std::string now = registry.current(), previous = now.empty() ? std::string() : registry.before(now);
  if (previous.empty()) {
    *error = now.empty() ? fmt::format("model {}: no current version", name) : fmt::format("model {}: {} is the oldest version kept", name, now);
    return false;
  }
  if (registry.pinned() == now) {
    *error = fmt::format("model {}: {} is pinned; UNPIN MODEL first", name, now);
    return false;
  }
  return registry.make_current(previous, error);
}

bool pin_model(const std::string& state_dir, const std::string& name, const std::string& version, std::string* error) {
  std::string ignored;
  if (!error) error = &ignored;
  Registry registry(state_dir, name);
  const std::vector<std::string> all = registry.versions();
  if (version.empty() ? registry.pinned().empty() : std::find(all.begin(), all.end(), version) == all.end()) {
    *error = version.empty() ? fmt::format("model {}: nothing is pinned", name)
                             : fmt::format("model {}: no version \"{}\"; SHOW MODELS lists them", name, version);
    return false;
  }
  if (!registry.lock(error) || !registry.pin(version, error)) return false;
  return version.empty() || registry.make_current(version, error);
}

}  // namespace pgsteer::predictor
