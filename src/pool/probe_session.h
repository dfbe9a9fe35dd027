// The health checker's own session: inside the pool's limit, but only while callers find a place
// beside it.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "cenote/driver.h"

#include "base/mutex.h"
#include "pool/handoff.h"

namespace cenote {

class ProbeSession {
 public:
  // May give the check more time.
  using Connect = std::function<Result<std::unique_ptr<Connection>>(CallContext&)>;

  explicit ProbeSession(Handoff& handoff) : handoff_(handoff) {}

  // Asks the server over this session, which it opens if there is a place for it; nothing if there
  // is none. One call at a time. `work` is what the handoff wants done after the session gave up
  // its place.
  std::optional<Result<Probe>> probe(const CallContext& context, const Connect& connect,
                                     Handoff::Work* work);
  // Closes it, now or when the check that uses it ends.
  Handoff::Work yield();
  // In a forked child, which has one thread and may have inherited a locked mutex: takes no lock.
  void leave_to_parent() noexcept CENOTE_ANNOTATE(no_thread_safety_analysis);

 private:
  Handoff& handoff_;
  Mutex mutex_;  // guards all below; not held during a call of the connection
  std::unique_ptr<Connection> connection_ CENOTE_GUARDED_BY(mutex_);
  std::optional<uint32_t> slot_ CENOTE_GUARDED_BY(mutex_);
  bool in_use_ CENOTE_GUARDED_BY(mutex_) = false;
  bool wanted_back_ CENOTE_GUARDED_BY(mutex_) = false;
};

}  // namespace cenote
