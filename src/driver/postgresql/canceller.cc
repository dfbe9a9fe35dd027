// One request after the other: all go to the same server, and each takes one connect.
#include "driver/postgresql/canceller.h"

#include <utility>

#include <unistd.h>

namespace cenote::postgresql {

Canceller::~Canceller() {
  bool forked = false;
  {
    const Lock lock(mutex_);
    waiting_.clear();
    forked = process_ != 0 && process_ != ::getpid();
  }
  // A forked child has a handle of a thread that is not there; joining it would wait for ever.
  if (forked) thread_.detach();
}

bool Canceller::send(CancelHandle handle, Deadline until) {
  if (!handle) return false;
  const auto request = std::make_shared<Request>();
  request->handle = std::move(handle);
  request->until = until;
  Lock lock(mutex_);
  if (process_ != ::getpid()) {
    if (process_ != 0) thread_.detach();
    process_ = ::getpid();
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
  waiting_.push_back(request);
  changed_.notify_all();
  while (!request->sent) {
    if (changed_.wait_until(lock, until.at()) == std::cv_status::timeout && !request->sent) {
      return false;
    }
  }
  return *request->sent;
}

void Canceller::run(const std::stop_token& stop) {
  const std::stop_callback wake(stop, [this] {
    const Lock lock(mutex_);
    changed_.notify_all();
  });
  Lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (waiting_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const std::shared_ptr<Request> request = waiting_.front();
    waiting_.pop_front();
    if (request->until.passed()) continue;
    lock.unlock();
    char message[256];
    const bool sent = PQcancel(request->handle.get(), message, sizeof message) == 1;
    lock.lock();
    request->sent = sent;
    changed_.notify_all();
  }
}

}  // namespace cenote::postgresql
