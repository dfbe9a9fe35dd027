// The election and the fence, alike on every shared store. What Consul and etcd do each in its own
// way is a Fence.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/shared_store.h"
#include "store/keys.h"

namespace cenote::coordinator {

// Keys of one store, and the right by which this process holds one of them. Calls of one lane are
// one thread's at a time; each lane has a connection of its own, so that a slow write delays no
// renewal.
class Fence {
 public:
  enum class Lane : uint8_t { kElection, kData };
  struct Found {
    std::string value;
    uint64_t version = 0;
    std::string right;  // by which it is held; empty: by none
  };
  // The leader's key for a new right, and the term if it has still that version (0: is absent).
  struct Claim {
    std::string leader_key, leader;
    std::string term_key, term;
    uint64_t term_version = 0;
  };
  virtual ~Fence() = default;

  virtual Result<std::optional<Found>> read(Lane lane, const CallContext& context,
                                            const std::string& key) = 0;

  // ---- Of the election's lane.
  // False: somebody holds the leader's key, or was faster. An error: nobody knows; give_up() ends
  // the right that may have been taken.
  virtual Result<bool> claim(const CallContext& context, const Claim& claim) = 0;
  // Renews the right. False: it is over.
  virtual Result<bool> keep(const CallContext& context, const std::string& leader_key) = 0;
  // Ends the right; what cannot be ended now is by the next call, or by its time.
  virtual void give_up(const CallContext& context) = 0;

  // ---- Of the data's lane.
  virtual Result<std::vector<store::KeyItem>> list(const CallContext& context,
                                                   const std::string& prefix) = 0;
  // As Keys', while the leader's key is held by this right; none: it is not, or a condition does
  // not hold.
  virtual Result<std::optional<uint64_t>> commit(const CallContext& context,
                                                 const std::string& leader_key,
                                                 const store::KeyChange& change) = 0;

  // ---- On any thread.
  virtual std::string right() const = 0;
  // That one transaction takes, the fence among them.
  virtual size_t most_steps() const = 0;
};

// `prefix`: of all keys, to which "leader", "term" and "data/…" are added.
std::unique_ptr<SharedStore> fenced_store(const SharedStoreOptions& options, std::string prefix,
                                          std::unique_ptr<Fence> fence);

}  // namespace cenote::coordinator
