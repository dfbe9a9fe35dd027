// One of several coordinators on a shared store: it leads, or stands by. When the leader is gone
// for the time of its lease, one of the others takes over.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "coordinator/server.h"
#include "coordinator/shared_store.h"
#include "coordinator/standby.h"

namespace cenote::coordinator {

class ElectedCoordinator {
 public:
  // Serves, as a standby first, when this returns. kConfig for what the configuration has wrong.
  static Result<std::unique_ptr<ElectedCoordinator>> start(CoordinatorServerOptions options);
  // Lets another lead at once.
  ~ElectedCoordinator();

  // As the others know it.
  const std::string& url() const { return url_; }
  bool leads() const { return store_->leads(); }
  // As CoordinatorServer's.
  Status reload(const CoordinatorServerOptions& options);

 private:
  ElectedCoordinator(CoordinatorServerOptions options, std::string url,
                     std::unique_ptr<SharedStore> store);
  void run(const std::stop_token& stop) noexcept;
  // Stands by and runs for election, term after term.
  void elect(const std::stop_token& stop);
  // From the election to the end of the term.
  void lead(const std::stop_token& stop);
  Status take_over(std::stop_token over);
  // Until the right is lost.
  void keep_renewing(const std::stop_token& stop);
  Status stand_by();
  CoordinatorServerOptions options() const;

  const std::string url_;
  const std::unique_ptr<SharedStore> store_;

  mutable Mutex mutex_;  // guards all below; a reload reads files under it
  CoordinatorServerOptions options_ CENOTE_GUARDED_BY(mutex_);
  // One of them at a time, of the electing thread: they share an address.
  std::unique_ptr<Standby> standby_ CENOTE_GUARDED_BY(mutex_);
  std::unique_ptr<CoordinatorServer> leading_ CENOTE_GUARDED_BY(mutex_);

  std::jthread thread_;  // last: ends before what it uses
};

}  // namespace cenote::coordinator
