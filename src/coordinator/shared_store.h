// A store that several coordinators share, Consul or etcd: one of them leads and may write, and the
// store itself refuses the writes of one that led before. The locks of neither are exclusive by
// themselves (a paused leader wakes up and writes): every write names the right by which it is
// made.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/mutex.h"
#include "coordinator/store.h"
#include "store/endpoints.h"

namespace cenote::coordinator {

struct SharedStoreOptions {
  store::StoreOptions store;
  std::string cluster = "cenote";
  std::string url;                         // of this coordinator, told to the others
  Duration ttl = std::chrono::seconds(3);  // of the right to lead
  // Without a renewal for this long the leader gives up by its own clock, before others can follow.
  Duration give_up_after = std::chrono::seconds(2);
};

// Thread-safe; campaign(), renew() and resign() are one thread's.
class SharedStore : public Store {
 public:
  // Tries to become the leader. False: another leads, or was faster; leader() says who.
  virtual Result<bool> campaign(const CallContext& context) = 0;
  // kReadOnly: this process leads no more. Other errors: it is not known; it leads until
  // `give_up_after` is over.
  virtual Status renew(const CallContext& context) = 0;
  // Lets others follow at once.
  virtual void resign() = 0;
  // Whether writes may be tried, by this process's own clock.
  virtual bool leads() const = 0;
  // The URL of another that leads, as it was seen last; empty: nobody, or this process.
  virtual std::string leader() const = 0;
  // While another leads: its term.
  uint64_t term() const override = 0;
};

Result<std::unique_ptr<SharedStore>> open_etcd_store(const SharedStoreOptions& options);
Result<std::unique_ptr<SharedStore>> open_consul_store(const SharedStoreOptions& options);

// Who leads, as the leader's key says it.
struct Leader {
  std::string url;
  uint64_t term = 0;
};
std::string leader_text(const Leader& leader);
// None for what is no leader's text.
std::optional<Leader> leader_from(std::string_view text);

// What both do alike: the clock of the right, who has it, the number of the term.
class Leadership {
 public:
  Leadership(std::string url, Duration give_up_after)
      : url_(std::move(url)), give_up_after_(give_up_after) {}
  // Begins a term, by a right that was asked for at `sent`.
  void begin(uint64_t term, TimePoint sent) CENOTE_EXCLUDES(mutex_);
  void renewed(TimePoint sent) CENOTE_EXCLUDES(mutex_);
  void lose() CENOTE_EXCLUDES(mutex_);
  bool held() const CENOTE_EXCLUDES(mutex_);
  // What the leader's key says of others; none: nobody leads.
  void see(const std::optional<Leader>& leader) CENOTE_EXCLUDES(mutex_);
  std::string leader() const CENOTE_EXCLUDES(mutex_);
  uint64_t term() const CENOTE_EXCLUDES(mutex_);

  // The next term: above the last one in the store and all that were seen, and not below the time
  // in seconds, so that one of a store that lost its data is never taken for an old one.
  uint64_t next_term(const std::string& last) const CENOTE_EXCLUDES(mutex_);

 private:
  const std::string url_;
  const Duration give_up_after_;
  mutable Mutex mutex_;  // guards all below; memory only
  TimePoint until_ CENOTE_GUARDED_BY(mutex_) = TimePoint::min();
  std::string leader_ CENOTE_GUARDED_BY(mutex_);
  uint64_t term_ CENOTE_GUARDED_BY(mutex_) = 0;
};

// Of a write by one who leads no more; it has not happened.
Status leads_no_more(const std::string& leader);
// Of a write whose first deletes happened, and no more.
Status in_part(const Status& why);

}  // namespace cenote::coordinator
