// Nodes as services of Consul, `cenote-<cluster>`, each with a check that it must pass; what they
// are is in the service's meta, cut into values of the length that Consul takes.
#include <map>
#include <utility>

#include "base/log.h"
#include "discovery/keyed_directory.h"

namespace cenote::discovery {
namespace {

using store::ConsulClient;

constexpr size_t kValue = 512;      // characters of one value of the meta
constexpr size_t kMostPieces = 56;  // of the 64 values that Consul takes

std::string piece_key(size_t number) {
  return (number < 10 ? "entry-0" : "entry-") + std::to_string(number);
}

Result<std::map<std::string, std::string>> meta_of(const Entry& entry) {
  const std::string text = entry_text(entry);
  if (text.size() > kValue * kMostPieces) {
    return make_error(ErrorKind::kConfig,
                      "node '" + entry.about.node_id +
                          "' has too many pools for Consul, which takes 28 KiB of each node");
  }
  // For people who look at Consul's own pages.
  std::map<std::string, std::string> meta = {
      {"location", entry.about.location}, {"incarnation", std::to_string(entry.about.incarnation)}};
  for (size_t at = 0; at < text.size(); at += kValue) {
    meta.emplace(piece_key(at / kValue), text.substr(at, kValue));
  }
  return meta;
}

Result<Entry> entry_of(const store::consul::Service& service) {
  std::string text;
  for (size_t i = 0; i < kMostPieces; ++i) {
    const auto piece = service.meta.find(piece_key(i));
    if (piece == service.meta.end()) break;
    text += piece->second;
  }
  ARROW_ASSIGN_OR_RAISE(Entry entry, entry_from(text));
  entry.alive = service.passing;
  return entry;
}

// One node may be registered at several agents: at one that died, then at another.
bool newer(const Entry& a, const Entry& b) {
  return std::pair(a.about.incarnation, a.sequence) > std::pair(b.about.incarnation, b.sequence);
}

class ConsulDirectory final : public KeyedDirectory {
 public:
  ConsulDirectory(ConsulClient client, const DirectoryOptions& options)
      : KeyedDirectory("cenote/" + options.cluster + "/"),
        keys_(std::move(client)),
        service_("cenote-" + options.cluster),
        cluster_(options.cluster),
        ttl_(options.ttl) {}

  Result<Listing> list(const std::stop_token& stop) override {
    ARROW_ASSIGN_OR_RAISE(const ConsulClient::Services services,
                          keys_.client().services({{}, stop}, service_));
    // Without rights Consul shows an empty list; a key it refuses.
    if (services.list.empty())
      ARROW_RETURN_NOT_OK(keys_.client().get({{}, stop}, head_key()).status());
    return listing_of(services);
  }

  Result<Listing> wait(const std::stop_token& stop, const Listing& known, Duration most) override {
    ARROW_ASSIGN_OR_RAISE(const ConsulClient::Services services,
                          keys_.client().wait_services(stop, service_, known.revision, most));
    // An index that falls is that of another store, or one that was made anew.
    if (services.index < known.revision || (services.list.empty() && !known.entries.empty())) {
      return list(stop);
    }
    return listing_of(services);
  }

  Status enter(const std::stop_token& stop, const Entry& entry) override {
    ARROW_ASSIGN_OR_RAISE(const Listing listing, list(stop));
    for (const Entry& other : listing.entries) {
      if (other.about.node_id != entry.about.node_id || !other.alive) continue;
      if (other.about.incarnation <= entry.about.incarnation) continue;
      return make_error(ErrorKind::kOperational,
                        "node '" + entry.about.node_id + "' is registered by a newer process (" +
                            std::to_string(other.about.incarnation) + ", this is " +
                            std::to_string(entry.about.incarnation) +
                            "): stop this one, or give one of the two another node id");
    }
    return update(stop, entry);
  }

  Status renew(const std::stop_token& stop) override {
    // The same note each time: Consul tells its servers of changes only.
    ARROW_ASSIGN_OR_RAISE(const bool known, keys_.client().pass({{}, stop}, check_id(), "renewed"));
    if (known) return Status::OK();
    return make_error(ErrorKind::kInterface,
                      "Consul's agent at " + keys_.client().url() + " does not know this node");
  }

  Status update(const std::stop_token& stop, const Entry& entry) override {
    node_id_ = entry.about.node_id;
    store::consul::Registration registration;
    registration.id = service_id();
    registration.name = service_;
    registration.check_id = check_id();
    registration.ttl = ttl_;
    ARROW_ASSIGN_OR_RAISE(registration.meta, meta_of(entry));
    return keys_.client().enter({{}, stop}, registration);
  }

  void leave(const Entry& entry) override {
    if (node_id_.empty()) return;
    Entry last = entry;
    last.draining = true;
    // A short word on the way out; the check becomes critical if nobody hears it.
    if (update({}, last).ok()) (void)keys_.client().leave({}, service_id());
  }

 private:
  store::Keys& keys() override { return keys_; }
  Listing listing_of(const ConsulClient::Services& services) const {
    std::map<std::string, Entry> newest;
    for (const store::consul::Service& service : services.list) {
      Result<Entry> entry = entry_of(service);
      if (!entry.ok()) {
        log(LogLevel::kWarning, "discovery",
            "Consul: service " + service.id + " is passed over: " + entry.status().message());
        continue;
      }
      const auto known = newest.find(entry->about.node_id);
      if (known != newest.end() && newer(known->second, *entry)) continue;
      newest.insert_or_assign(entry->about.node_id, std::move(*entry));
    }
    Listing listing;
    listing.revision = services.index;
    for (auto& [id, entry] : newest) listing.entries.push_back(std::move(entry));
    return listing;
  }
  std::string service_id() const { return cluster_ + "." + node_id_; }
  std::string check_id() const { return "cenote:" + service_id(); }

  store::ConsulKeys keys_;
  const std::string service_;
  const std::string cluster_;
  const Duration ttl_;
  std::string node_id_;  // empty: never entered
};

}  // namespace

Result<std::unique_ptr<Directory>> consul_directory(const DirectoryOptions& options) {
  ARROW_RETURN_NOT_OK(check_cluster_name(options.cluster));
  ARROW_ASSIGN_OR_RAISE(ConsulClient client, ConsulClient::make(options.store));
  return std::make_unique<ConsulDirectory>(std::move(client), options);
}

}  // namespace cenote::discovery
