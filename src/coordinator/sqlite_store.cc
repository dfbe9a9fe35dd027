// One thread works on the file; callers wait for it, each until its deadline. A disk that hangs in
// an fsync cannot be interrupted, so that whoever waited for it would hang too.
#include "coordinator/sqlite_store.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <thread>
#include <utility>

#include "base/mutex.h"
#include "coordinator/sqlite_file.h"

namespace cenote::coordinator {
namespace {

constexpr size_t kMostJobs = 1'000;

class SqliteStore final : public Store {
 public:
  SqliteStore(std::unique_ptr<SqliteFile> file, std::string name)
      : file_(std::move(file)),
        name_(std::move(name)),
        term_(file_->term()),
        thread_([this](const std::stop_token& stop) { work(stop); }) {}

  Result<std::optional<Item>> get(const CallContext& context, std::string_view key) override {
    return ask<std::optional<Item>>(
        context, Sent::kNo, [key = std::string(key)](SqliteFile& file, const CallContext& within) {
          return file.get(within, key);
        });
  }

  Result<std::vector<Item>> list(const CallContext& context, std::string_view prefix) override {
    return ask<std::vector<Item>>(
        context, Sent::kNo,
        [prefix = std::string(prefix)](SqliteFile& file, const CallContext& within) {
          return file.list(within, prefix);
        });
  }

  Result<uint64_t> commit(const CallContext& context, const StoreWrite& write) override {
    return ask<uint64_t>(context, Sent::kMaybe,
                         [write](SqliteFile& file, const CallContext& within) {
                           return file.commit(within, write);
                         });
  }

  Result<std::string> backup(const CallContext& context) override {
    return ask<std::string>(context, Sent::kNo, [](SqliteFile& file, const CallContext& within) {
      return file.backup(within);
    });
  }

  uint64_t term() const override { return term_; }

 private:
  struct Job {
    enum State : uint8_t { kQueued, kRunning, kDone };
    std::function<void(SqliteFile&)> run;
    State state = kQueued;
  };

  // `while_running`: whether what it does may have happened if the caller leaves meanwhile.
  template <typename T>
  Result<T> ask(const CallContext& context, Sent while_running,
                std::function<Result<T>(SqliteFile&, const CallContext&)> what) {
    auto answer = std::make_shared<Result<T>>();
    auto job = std::make_shared<Job>();
    job->run = [answer, context, what = std::move(what)](SqliteFile& file) {
      *answer = what(file, context);
    };
    const std::stop_callback left(context.stop, [this] {
      const Lock lock(mutex_);
      done_.notify_all();
    });
    Lock lock(mutex_);
    if (jobs_.size() >= kMostJobs) return given_up(Sent::kNo, "has too much to do");
    jobs_.push_back(job);
    work_.notify_one();
    while (job->state != Job::kDone) {
      if (context.deadline.passed() || context.stop.stop_requested()) {
        const bool began = job->state == Job::kRunning;
        std::erase(jobs_, job);
        return given_up(began ? while_running : Sent::kNo, "did not answer in time");
      }
      done_.wait_until(lock, context.deadline.at());
    }
    return std::move(*answer);
  }

  Status given_up(Sent sent, const std::string& why) const {
    ErrorDetail detail;
    detail.kind = ErrorKind::kQueryTimeout;
    detail.sent = sent;
    return make_error(std::move(detail), "the coordinator's store " + name_ + " " + why +
                                             "; is its disk slow or stuck?");
  }

  void work(const std::stop_token& stop) noexcept {
    const std::stop_callback wake(stop, [this] {
      const Lock lock(mutex_);
      work_.notify_all();
    });
    Lock lock(mutex_);
    for (;;) {
      while (jobs_.empty() && !stop.stop_requested()) work_.wait(lock);
      if (stop.stop_requested()) return;
      const std::shared_ptr<Job> job = jobs_.front();
      jobs_.pop_front();
      job->state = Job::kRunning;
      lock.unlock();
      job->run(*file_);
      lock.lock();
      job->state = Job::kDone;
      done_.notify_all();
    }
  }

  const std::unique_ptr<SqliteFile> file_;  // the thread's alone
  const std::string name_;
  const uint64_t term_;
  Mutex mutex_;  // guards the jobs; memory only
  std::condition_variable_any work_;
  std::condition_variable_any done_;
  std::deque<std::shared_ptr<Job>> jobs_ CENOTE_GUARDED_BY(mutex_);
  std::jthread thread_;  // last: ends before what it uses
};

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite_store(const std::filesystem::path& file) {
  ARROW_ASSIGN_OR_RAISE(std::unique_ptr<SqliteFile> opened, SqliteFile::open(file));
  return std::make_unique<SqliteStore>(std::move(opened), file.string());
}

}  // namespace cenote::coordinator
