// A store that all processes share, as etcd and Consul are: one linear history of keys with
// versions, leases that end, conditions that are compared in the same step as the write. It can be
// slow, be wiped, or answer empty like one that was asked without a token.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/store.h"
#include "simulation/world.h"

namespace cenote::simulation {

class KvStore {
 public:
  explicit KvStore(World& world);

  ProcessId process() const { return process_; }

  struct Item {
    std::string value;
    uint64_t version = 0;  // the revision of its last write
    uint64_t created = 0;  // and of its first
    uint64_t lease = 0;    // 0: lives until it is deleted
  };
  struct Range {
    uint64_t revision = 0;
    std::map<std::string, Item> items;
  };
  struct Put {
    std::string key;
    std::string value;
    uint64_t lease = 0;
  };
  // The key must have this value since this revision.
  struct Fence {
    std::string key;
    uint64_t created = 0;
    std::string value;
  };
  struct Write {
    std::vector<coordinator::StoreWrite::Condition> conditions;
    std::optional<Fence> fence{};
    std::vector<Put> puts;
    std::vector<std::string> deletes;
    uint64_t term = 0;  // of the coordinator that writes; for the checks
  };
  enum class Outcome : uint8_t { kWritten, kStale, kFenced };
  struct Committed {
    Outcome outcome = Outcome::kWritten;
    uint64_t revision = 0;
  };

  // ---- What it does with a request that has reached it. Called in its own process.
  Range range(std::string_view prefix);
  // The same, or none if nothing has changed since `known`.
  std::optional<Range> newer(std::string_view prefix, uint64_t known);
  std::optional<Item> get(const std::string& key);
  Committed commit(const Write& write);
  uint64_t grant(Duration ttl);
  // False: there is no such lease.
  bool keep_alive(uint64_t lease);
  void revoke(uint64_t lease);

  // ---- Requests from another process.
  static constexpr Duration kTimeout = std::chrono::seconds(1);
  template <class Answer>
  void ask(ProcessId from, std::function<Answer()> serve, std::function<void(Result<Answer>)> done,
           Duration timeout = kTimeout) {
    world_.call<Answer>(
        from, process_, timeout, [serve = std::move(serve)]() -> Result<Answer> { return serve(); },
        // The slow one's work is done; its answer comes when nobody waits for it any more.
        [this, done = std::move(done)](Result<Answer> answer) {
          done(slow_ ? Result<Answer>(no_answer()) : std::move(answer));
        });
  }
  // The same for code that waits: the answer is there when this returns. A write that is given up
  // may still arrive later.
  Result<Committed> commit_from(ProcessId from, const Write& write);
  Result<Range> range_from(ProcessId from, std::string_view prefix);
  template <class Answer>
  Result<Answer> ask_from(ProcessId from, const std::function<Answer()>& serve) {
    const World::Passage passage = world_.pass(from, process_);
    if (passage == World::Passage::kRefused) return refused();
    if (passage == World::Passage::kLost) return no_answer();
    Answer answer = serve();
    if (passage == World::Passage::kAnswerLost || slow_) return no_answer();
    return answer;
  }

  // ---- What befalls it.
  void wipe();
  void slow(bool on) { slow_ = on; }
  bool is_slow() const { return slow_; }
  void answer_empty(bool on) { empty_ = on; }
  uint64_t wipes() const { return wipes_; }
  TimePoint wiped_at() const { return wiped_at_; }

  // For checks, which see everything: told of every write before it is done.
  std::function<void(const Write&)> on_write;

 private:
  struct Lease {
    Duration ttl{};
    TimePoint ends;
  };

  void boot();
  void expire();
  // After how long.
  Duration commit_late(const Write& write, Duration most);

  World& world_;
  const ProcessId process_;
  std::map<std::string, Item> items_;
  std::map<uint64_t, Lease> leases_;
  TimePoint next_end_ = TimePoint::max();  // of a lease, or before
  uint64_t revision_ = 1;
  uint64_t last_lease_ = 0;
  uint64_t wipes_ = 0;
  TimePoint wiped_at_;
  bool slow_ = false;
  bool empty_ = false;
};

}  // namespace cenote::simulation
