// A store between a coordinator and a real one that fails as a test tells it to.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "coordinator/store.h"

namespace cenote::coordinator {

// Outlives the store. Thread-safe.
class Faults {
 public:
  enum class Kind : uint8_t {
    kNone,
    kLost,     // a commit is done, and its answer says that nobody knows
    kRefused,  // nothing is done
    kHang,     // no call returns until release()
    kLate,     // a commit reaches the store with deliver(), and nobody knows meanwhile
  };

  void set(Kind kind) {
    const Lock lock(mutex_);
    kind_ = kind;
    changed_.notify_all();
  }
  void release() { set(Kind::kNone); }
  void wait_for_hanging(int calls) {
    Lock lock(mutex_);
    while (hanging_ < calls) changed_.wait(lock);
  }
  void keep(std::function<void()> late) {
    const Lock lock(mutex_);
    late_.push_back(std::move(late));
  }
  void deliver() {
    std::vector<std::function<void()>> late;
    {
      const Lock lock(mutex_);
      late.swap(late_);
    }
    for (const auto& each : late) each();
  }
  int calls() const {
    const Lock lock(mutex_);
    return calls_;
  }

  // A call begins: what is to become of it.
  Kind met() {
    Lock lock(mutex_);
    ++calls_;
    if (kind_ != Kind::kHang) return kind_;
    ++hanging_;
    changed_.notify_all();
    while (kind_ == Kind::kHang) changed_.wait(lock);
    --hanging_;
    return Kind::kNone;
  }

 private:
  mutable Mutex mutex_;
  std::condition_variable_any changed_;
  Kind kind_ CENOTE_GUARDED_BY(mutex_) = Kind::kNone;
  int calls_ CENOTE_GUARDED_BY(mutex_) = 0;
  int hanging_ CENOTE_GUARDED_BY(mutex_) = 0;
  std::vector<std::function<void()>> late_ CENOTE_GUARDED_BY(mutex_);
};

class FaultyStore final : public Store {
 public:
  FaultyStore(std::unique_ptr<Store> real, Faults* faults)
      : real_(std::move(real)), faults_(faults) {}

  Result<std::optional<Item>> get(const CallContext& /*context*/, std::string_view key) override {
    faults_->met();
    return real_->get(ample(), key);
  }
  Result<std::vector<Item>> list(const CallContext& /*context*/, std::string_view prefix) override {
    faults_->met();
    return real_->list(ample(), prefix);
  }
  Result<uint64_t> commit(const CallContext& /*context*/, const StoreWrite& write) override {
    const Faults::Kind kind = faults_->met();
    if (kind == Faults::Kind::kRefused) return failed(Sent::kNo, "the disk is full");
    if (kind == Faults::Kind::kLate) {
      faults_->keep([this, write] { (void)real_->commit(ample(), write); });
      return failed(Sent::kMaybe, "no answer came");
    }
    Result<uint64_t> written = real_->commit(ample(), write);
    if (kind == Faults::Kind::kLost) return failed(Sent::kMaybe, "no answer came");
    return written;
  }
  Result<std::string> backup(const CallContext& /*context*/) override {
    return real_->backup(ample());
  }
  uint64_t term() const override { return real_->term(); }

 private:
  // The real disk may be slow, on a machine under test.
  static CallContext ample() { return {Deadline::in(std::chrono::seconds(60)), {}}; }
  static Status failed(Sent sent, std::string why) {
    ErrorDetail detail;
    detail.kind = ErrorKind::kOperational;
    detail.sent = sent;
    return make_error(std::move(detail), std::move(why));
  }

  const std::unique_ptr<Store> real_;
  Faults* const faults_;
};

}  // namespace cenote::coordinator
