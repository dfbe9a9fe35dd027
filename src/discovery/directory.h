// What a store offers to those who meet there: nodes that live as long as their lease is renewed,
// and numbered configurations. Consul and etcd differ in how; what is made of it (store_discovery,
// roster) does not.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/error.h"

#include "cluster/config_id.h"
#include "cluster/instance.h"
#include "store/endpoints.h"

namespace cenote::discovery {

// A node as the store keeps it.
struct Entry {
  cluster::Registration about;
  // Of the registrations of one process: Consul keeps one for each agent that was asked.
  uint64_t sequence = 0;
  bool draining = false;
  uint64_t config_version = 0;
  std::string config_hash{};
  std::optional<uint64_t> config_rejected{};
  std::string config_rejected_hash{};
  std::string config_reason{};
  bool alive = true;  // its lease runs; not stored

  cluster::ConfigId applied() const { return {config_version, config_hash}; }
  cluster::ConfigId rejected() const { return {config_rejected.value_or(0), config_rejected_hash}; }
  // Applied or refused.
  bool done_with(const cluster::ConfigId& version) const {
    return same(applied(), version) || same(rejected(), version);
  }
  bool operator==(const Entry&) const = default;
};

std::string entry_text(const Entry& entry);  // JSON, ASCII
Result<Entry> entry_from(std::string_view text);

struct Listing {
  uint64_t revision = 0;  // the store's own number of this state
  std::vector<Entry> entries;

  bool operator==(const Listing&) const = default;
};

// A configuration with its number.
struct ConfigVersion {
  uint64_t version = 0;  // 0: there is none yet
  std::string content;
  std::string at;        // when, as 2026-01-31T12:00:00Z
  std::string who;       // wrote it
  std::string reason{};  // of going back to an older one; or empty
  std::string hash{};    // of the content; config_from() works it out

  cluster::ConfigId id() const { return {version, hash}; }
};

struct DirectoryOptions {
  store::StoreOptions store;
  std::string cluster = "cenote";
  Duration ttl = std::chrono::seconds(5);  // of a lease; renewed at a third of it
};

// Used by one thread. Every call but wait() ends within about a second.
class Directory {
 public:
  virtual ~Directory() = default;

  // As the store's leader knows it. kAuthentication where the store would answer with an empty list
  // to someone without rights.
  virtual Result<Listing> list(const std::stop_token& stop) = 0;
  // A newer list than `known`; or the same, confirmed, when `most` has passed.
  virtual Result<Listing> wait(const std::stop_token& stop, const Listing& known,
                               Duration most) = 0;

  // Takes a lease and publishes the node. kOperational if a newer process has its id.
  virtual Status enter(const std::stop_token& stop, const Entry& entry) = 0;
  // kInterface: the lease is no more; enter again.
  virtual Status renew(const std::stop_token& stop) = 0;
  // Publishes what changed. kInterface as above.
  virtual Status update(const std::stop_token& stop, const Entry& entry) = 0;
  virtual void leave(const Entry& entry) = 0;

  // Which configuration is the newest.
  virtual Result<cluster::ConfigId> config_head(const std::stop_token& stop) = 0;
  // kUnknownPool: there is no such version.
  virtual Result<ConfigVersion> config(const std::stop_token& stop, uint64_t version) = 0;
  // Adds a version behind `head` and moves the head to it, both or neither. False: the head is
  // another by now.
  virtual Result<bool> append_config(const std::stop_token& stop, const cluster::ConfigId& head,
                                     const ConfigVersion& version) = 0;

  // The nodes that an operator wants to be drained, whether they are there or not.
  virtual Result<std::vector<std::string>> drained(const std::stop_token& stop) = 0;
  // `who` asks for it.
  virtual Status set_drained(const std::stop_token& stop, const std::string& node_id, bool on,
                             const std::string& who) = 0;
};

std::string config_text(const ConfigVersion& version);
Result<ConfigVersion> config_from(std::string_view text);
// Now, UTC, as 2026-01-31T12:00:00Z.
std::string utc_now();
std::string drain_text(const std::string& who);
// The head that this version is.
std::string head_text(const ConfigVersion& version);
Result<cluster::ConfigId> head_from(std::string_view text);

// kConfig for malformed endpoints, unreadable files, a cluster's name that is no word.
Result<std::unique_ptr<Directory>> etcd_directory(const DirectoryOptions& options);
Result<std::unique_ptr<Directory>> consul_directory(const DirectoryOptions& options);
Status check_cluster_name(std::string_view name);

}  // namespace cenote::discovery
