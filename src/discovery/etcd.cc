// Nodes in etcd, each bound to its lease: /cenote/<cluster>/nodes/<id>.
#include <utility>

#include "base/log.h"
#include "discovery/keyed_directory.h"

namespace cenote::discovery {
namespace {

using store::EtcdClient;
using Target = store::etcd::Compare::Target;

Status lost(const std::string& why) {
  return make_error(ErrorKind::kInterface, why);
}

class EtcdDirectory final : public KeyedDirectory {
 public:
  EtcdDirectory(EtcdClient client, const DirectoryOptions& options)
      : KeyedDirectory("/cenote/" + options.cluster + "/"),
        keys_(std::move(client)),
        nodes_(prefix_ + "nodes/"),
        end_(store::etcd::end_of_prefix(nodes_)),
        ttl_(options.ttl) {}

  Result<Listing> list(const std::stop_token& stop) override {
    ARROW_ASSIGN_OR_RAISE(const store::etcd::Range range,
                          keys_.client().range({{}, stop}, nodes_, end_));
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
                          keys_.client().changed(stop, nodes_, end_, known.revision + 1, most));
    if (changed) return list(stop);
    // Nothing was heard. Whether nothing happened, only an answer tells: what was modified since,
    // and how many there are.
    ARROW_ASSIGN_OR_RAISE(const store::etcd::Range range,
                          keys_.client().range({{}, stop}, nodes_, end_, known.revision + 1));
    const bool same = range.items.empty() && range.count == known.entries.size() &&
                      range.revision >= known.revision;
    if (!same) return list(stop);
    Listing confirmed = known;
    confirmed.revision = range.revision;
    return confirmed;
  }

  Status enter(const std::stop_token& stop, const Entry& entry) override {
    const std::string key = nodes_ + entry.about.node_id;
    ARROW_ASSIGN_OR_RAISE(const store::etcd::Range found,
                          keys_.client().range({{}, stop}, key, ""));
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
    ARROW_ASSIGN_OR_RAISE(lease_, keys_.client().grant({{}, stop}, static_cast<uint64_t>(seconds)));
    return put(stop, entry, seen);
  }

  Status renew(const std::stop_token& stop) override {
    ARROW_ASSIGN_OR_RAISE(const uint64_t left, keys_.client().keep_alive({{}, stop}, lease_));
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
    if (put({}, last, revision_).ok()) (void)keys_.client().revoke({}, lease_);
  }

 private:
  store::Keys& keys() override { return keys_; }

  // Over what was seen and nothing else.
  Status put(const std::stop_token& stop, const Entry& entry, uint64_t seen) {
    const std::string key = nodes_ + entry.about.node_id;
    ARROW_ASSIGN_OR_RAISE(const store::etcd::Committed done,
                          keys_.client().commit({{}, stop}, {{{key, Target::kModRevision, seen}},
                                                             {{key, entry_text(entry), lease_}},
                                                             {}}));
    if (!done.succeeded) {
      return lost("node '" + entry.about.node_id + "' was changed in etcd by somebody else");
    }
    revision_ = done.revision;
    return Status::OK();
  }

  store::EtcdKeys keys_;
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
