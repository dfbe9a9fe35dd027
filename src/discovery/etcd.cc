// Nodes and configurations in etcd:
//   /cenote/<cluster>/nodes/<id>   a node, bound to its lease
//   /cenote/<cluster>/config/v/<n> a configuration, never changed
//   /cenote/<cluster>/config/head  number and hash of the newest, moved with it in one transaction
//   /cenote/<cluster>/drain/<id>   there if the node is to take no work
#include <utility>

#include "base/log.h"
#include "discovery/directory.h"
#include "store/etcd_client.h"

namespace cenote::discovery {
namespace {

using store::EtcdClient;
using Target = store::etcd::Compare::Target;

Status lost(const std::string& why) {
  return make_error(ErrorKind::kInterface, why);
}

class EtcdDirectory final : public Directory {
 public:
  EtcdDirectory(EtcdClient client, const DirectoryOptions& options)
      : client_(std::move(client)),
        prefix_("/cenote/" + options.cluster + "/"),
        nodes_(prefix_ + "nodes/"),
        end_(store::etcd::end_of_prefix(nodes_)),
        ttl_(options.ttl) {}

  Result<Listing> list(const std::stop_token& stop) override {
    ARROW_ASSIGN_OR_RAISE(const store::etcd::Range range, client_.range({{}, stop}, nodes_, end_));
    Listing listing;
    listing.revision = range.revision;
    for (const store::etcd::KeyValue& item : range.items) {
      Result<Entry> entry = entry_from(item.value);
      if (entry.ok()) {
        listing.entries.push_back(std::move(*entry));
      } else {
        log(LogLevel::kWarning, "discovery",
            "etcd: " + item.key + " is passed over: " + entry.status().message());
      }
    }
    return listing;
  }

  Result<Listing> wait(const std::stop_token& stop, const Listing& known, Duration most) override {
    ARROW_ASSIGN_OR_RAISE(const bool changed,
                          client_.changed(stop, nodes_, end_, known.revision + 1, most));
    if (changed) return list(stop);
    // Nothing was heard. Whether nothing happened, only an answer tells: what was modified since,
    // and how many there are.
    ARROW_ASSIGN_OR_RAISE(const store::etcd::Range range,
                          client_.range({{}, stop}, nodes_, end_, known.revision + 1));
    const bool same = range.items.empty() && range.count == known.entries.size() &&
                      range.revision >= known.revision;
    if (!same) return list(stop);
    Listing confirmed = known;
    confirmed.revision = range.revision;
    return confirmed;
  }

  Status enter(const std::stop_token& stop, const Entry& entry) override {
    const std::string key = nodes_ + entry.about.node_id;
    ARROW_ASSIGN_OR_RAISE(const store::etcd::Range found, client_.range({{}, stop}, key, ""));
    uint64_t seen = 0;
    if (!found.items.empty()) {
      seen = found.items.front().mod_revision;
      const Result<Entry> other = entry_from(found.items.front().value);
      if (other.ok() && other->about.incarnation > entry.about.incarnation) {
        return make_error(ErrorKind::kOperational,
                          "node '" + entry.about.node_id + "' is registered by a newer process (" +
                              std::to_string(other->about.incarnation) + ", this is " +
                              std::to_string(entry.about.incarnation) +
                              "): stop this one, or give one of the two another node id");
      }
    }
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(ttl_).count();
    ARROW_ASSIGN_OR_RAISE(lease_, client_.grant({{}, stop}, static_cast<uint64_t>(seconds)));
    return put(stop, entry, seen);
  }

  Status renew(const std::stop_token& stop) override {
    ARROW_ASSIGN_OR_RAISE(const uint64_t left, client_.keep_alive({{}, stop}, lease_));
    return left > 0 ? Status::OK() : lost("etcd does not know our lease any more");
  }

  Status update(const std::stop_token& stop, const Entry& entry) override {
    return put(stop, entry, revision_);
  }

  void leave(const Entry& entry) override {
    if (lease_ == 0) return;
    Entry last = entry;
    last.draining = true;
    // A short word on the way out; the lease ends by itself if nobody hears it.
    if (put({}, last, revision_).ok()) (void)client_.revoke({}, lease_);
  }

  Result<cluster::ConfigId> config_head(const std::stop_token& stop) override {
    ARROW_ASSIGN_OR_RAISE(const store::etcd::Range found,
                          client_.range({{}, stop}, prefix_ + "config/head", ""));
    if (found.items.empty()) return cluster::ConfigId();
    return head_from(found.items.front().value);
  }

  Result<ConfigVersion> config(const std::stop_token& stop, uint64_t version) override {
    ARROW_ASSIGN_OR_RAISE(const store::etcd::Range found,
                          client_.range({{}, stop}, version_key(version), ""));
    if (found.items.empty()) {
      return make_error(ErrorKind::kUnknownPool,
                        "etcd has no configuration " + std::to_string(version));
    }
    return config_from(found.items.front().value);
  }

  Result<bool> append_config(const std::stop_token& stop, const cluster::ConfigId& head,
                             const ConfigVersion& version) override {
    const std::string head_key = prefix_ + "config/head";
    ARROW_ASSIGN_OR_RAISE(const store::etcd::Range found, client_.range({{}, stop}, head_key, ""));
    uint64_t seen = 0;
    cluster::ConfigId now;
    if (!found.items.empty()) {
      seen = found.items.front().mod_revision;
      ARROW_ASSIGN_OR_RAISE(now, head_from(found.items.front().value));
    }
    if (!same(now, head)) return false;
    const std::string key = version_key(head.version + 1);
    ARROW_ASSIGN_OR_RAISE(
        const store::etcd::Committed done,
        client_.commit({{}, stop},
                       {{{head_key, Target::kModRevision, seen}, {key, Target::kModRevision, 0}},
                        {{key, config_text(version), 0}, {head_key, head_text(version), 0}},
                        {}}));
    return done.succeeded;
  }

  Result<std::vector<std::string>> drained(const std::stop_token& stop) override {
    const std::string begin = prefix_ + "drain/";
    ARROW_ASSIGN_OR_RAISE(const store::etcd::Range found,
                          client_.range({{}, stop}, begin, store::etcd::end_of_prefix(begin)));
    std::vector<std::string> ids;
    for (const auto& item : found.items) ids.push_back(item.key.substr(begin.size()));
    return ids;
  }

  Status set_drained(const std::stop_token& stop, const std::string& node_id, bool on,
                     const std::string& who) override {
    const std::string key = prefix_ + "drain/" + node_id;
    store::etcd::Transaction change;
    if (on) {
      change.puts.push_back({key, drain_text(who), 0});
    } else {
      change.deletes.push_back(key);
    }
    return client_.commit({{}, stop}, change).status();
  }

 private:
  std::string version_key(uint64_t version) const {
    return prefix_ + "config/v/" + std::to_string(version);
  }

  // Over what was seen and nothing else.
  Status put(const std::stop_token& stop, const Entry& entry, uint64_t seen) {
    const std::string key = nodes_ + entry.about.node_id;
    ARROW_ASSIGN_OR_RAISE(const store::etcd::Committed done,
                          client_.commit({{}, stop}, {{{key, Target::kModRevision, seen}},
                                                      {{key, entry_text(entry), lease_}},
                                                      {}}));
    if (!done.succeeded) {
      return lost("node '" + entry.about.node_id + "' was changed in etcd by somebody else");
    }
    revision_ = done.revision;
    return Status::OK();
  }

  EtcdClient client_;
  const std::string prefix_;
  const std::string nodes_;
  const std::string end_;
  const Duration ttl_;
  uint64_t lease_ = 0;
  uint64_t revision_ = 0;  // of our own key
};

}  // namespace

Result<std::unique_ptr<Directory>> etcd_directory(const DirectoryOptions& options) {
  ARROW_RETURN_NOT_OK(check_cluster_name(options.cluster));
  ARROW_ASSIGN_OR_RAISE(EtcdClient client, EtcdClient::make(options.store));
  return std::make_unique<EtcdDirectory>(std::move(client), options);
}

}  // namespace cenote::discovery
