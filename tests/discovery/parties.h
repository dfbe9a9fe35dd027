// Those who meet by a discovery: a client with its view, a node that is one; each on a thread of
// its own.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "cluster/view.h"
#include "discovery/service_discovery.h"
#include "shared.h"

namespace cenote::discovery {

class Client final : public Watcher {
 public:
  explicit Client(std::unique_ptr<ServiceDiscovery> discovery)
      : discovery_(std::move(discovery)),
        thread_([this](const std::stop_token& stop) { discovery_->watch(stop, *this); }) {}

  cluster::View::Next list(const cluster::Snapshot& snapshot) override {
    return apply([&] {
      ++lists_;
      least_ = std::min(least_.value_or(snapshot.nodes.size()), snapshot.nodes.size());
      return view_.apply(Clock::now(), snapshot);
    });
  }
  cluster::View::Next change(std::string_view cluster, uint64_t term,
                             const cluster::Change& change) override {
    return apply([&] { return view_.apply(Clock::now(), cluster, term, change); });
  }
  cluster::View::Next bookmark(std::string_view cluster, uint64_t term,
                               uint64_t revision) override {
    return apply([&] {
      ++bookmarks_;
      return view_.bookmark(Clock::now(), cluster, term, revision);
    });
  }
  void failed(const Status& why) override {
    shared_.change([&] {
      ++failures_;
      last_failure_ = why;
    });
  }

  // Waits until the node is in that state.
  bool sees(const std::string& id, cluster::NodeState state = cluster::NodeState::kUp) {
    return shared_.wait([&] {
      const auto found = view_.nodes().find(id);
      return found != view_.nodes().end() && found->second.state == state;
    });
  }
  bool wait(const std::function<bool(Client&)>& until) {
    return shared_.wait([&] { return until(*this); });
  }
  Status last_failure() {
    Status status;
    shared_.change([&] { status = last_failure_; });
    return status;
  }

  // Of wait() only.
  std::set<std::string> were_up_;
  std::set<std::string> left_up_;  // those who were up and then were not, be it for a moment
  int lists_ = 0;
  int bookmarks_ = 0;
  int failures_ = 0;
  std::optional<size_t> least_;  // the fewest nodes of all lists
  Status last_failure_;
  cluster::View view_{cluster::View::Options()};

 private:
  cluster::View::Next apply(const std::function<cluster::View::Next()>& how) {
    cluster::View::Next next = cluster::View::Next::kGoOn;
    shared_.change([&] {
      next = how();
      const auto& nodes = view_.nodes();
      const auto up = [](const cluster::Node& node) {
        return node.state == cluster::NodeState::kUp;
      };
      for (const std::string& id : were_up_) {
        const auto found = nodes.find(id);
        if (found == nodes.end() || !up(found->second)) left_up_.insert(id);
      }
      for (const auto& [id, node] : nodes) {
        if (up(node)) were_up_.insert(id);
      }
    });
    return next;
  }
  Shared shared_{std::chrono::seconds(60)};
  const std::unique_ptr<ServiceDiscovery> discovery_;
  std::jthread thread_;
};

class Node final : public Member {
 public:
  Node(std::unique_ptr<ServiceDiscovery> discovery, std::string id, uint64_t incarnation = 3)
      : id_(std::move(id)),
        incarnation_(incarnation),
        discovery_(std::move(discovery)),
        thread_([this](const std::stop_token& stop) { discovery_->serve(stop, *this); }) {}

  cluster::Registration about() override {
    cluster::Registration about;
    about.node_id = id_;
    about.incarnation = incarnation_;
    about.location = "grpc://127.0.0.1:1";
    about.zone = "z\u00fcrich";
    return about;
  }
  void fill(cluster::Heartbeat* beat) override {
    shared_.change([&] {
      beat->pools = {{.pool_id = "main_db", .type = "sqlite", .max = 10, .active = ++active_}};
      beat->pools[0].healthy = healthy_;
      beat->draining = draining_;
      beat->config_version = applied_;
      beat->config_rejected = rejected_;
      beat->config_reason = rejected_ ? "no such host" : "";
    });
  }
  cluster::MetricsReport metrics() override { return {}; }
  Status apply_config(uint64_t version, std::string_view content) override {
    const bool refuses = refuses_;
    shared_.change([&] {
      content_ = content;
      (refuses ? rejected_.emplace() : applied_) = version;
    });
    return refuses ? make_error(ErrorKind::kConfig, "no such host") : Status::OK();
  }
  void set_draining(bool) override {}
  void renewed(const Status& status) override {
    shared_.change([&] {
      ++(status.ok() ? renewals_ : failures_);
      last_ = status;
    });
  }
  bool wait(const std::function<bool(Node&)>& until) {
    return shared_.wait([&] { return until(*this); });
  }
  void change(const std::function<void(Node&)>& how) {
    shared_.change([&] { how(*this); });
  }
  // No word after this.
  void stop() {
    thread_.request_stop();
    thread_.join();
  }

  // Of wait() and change() only.
  int renewals_ = 0;
  int failures_ = 0;
  Status last_;
  bool healthy_ = true;
  bool draining_ = false;
  uint64_t applied_ = 0;
  std::optional<uint64_t> rejected_;
  std::string content_;
  std::atomic<bool> refuses_ = false;

 private:
  Shared shared_{std::chrono::seconds(60)};
  const std::string id_;
  const uint64_t incarnation_;
  int active_ = 0;
  const std::unique_ptr<ServiceDiscovery> discovery_;
  std::jthread thread_;
};

}  // namespace cenote::discovery
