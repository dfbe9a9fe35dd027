// What answers while another coordinator leads: reads of what the store keeps, flagged as stale;
// everything else is sent on to the leader.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "base/mutex.h"
#include "coordinator/setup.h"
#include "coordinator/shared_store.h"
#include "coordinator/turn.h"

namespace cenote::coordinator {

// A shared store as one term's coordinator has it, or one look of a standby: `stop` ends the calls
// under way.
std::unique_ptr<Store> borrowed(SharedStore& store, std::stop_token stop);

// 307 with the leader's place, or 503 where nobody leads.
HttpResponse sent_on(const std::string& leader, const HttpRequest& http);

class Standby {
 public:
  // Serves when this returns. The store outlives it.
  static Result<std::unique_ptr<Standby>> start(const CoordinatorServerOptions& options,
                                                SharedStore& store);
  ~Standby();
  // As CoordinatorServer's.
  Status reload(const CoordinatorServerOptions& options);

 private:
  struct Look;
  Standby(const Setup& setup, SharedStore& store) : store_(store), setup_(setup) {}
  HttpResponse answer(const ApiRow& row, size_t index, const HttpRequest& http);
  // The store as it was at most a second ago.
  Result<std::shared_ptr<Look>> look();

  SharedStore& store_;
  std::stop_source stop_;
  Turn turn_;  // guards all below, while the store is read too
  Setup setup_ CENOTE_GUARDED_BY(turn_);
  std::shared_ptr<Look> look_ CENOTE_GUARDED_BY(turn_);
  std::unique_ptr<HttpServer> http_;  // last: ends before what its handlers use
};

}  // namespace cenote::coordinator
