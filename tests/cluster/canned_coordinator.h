// A coordinator that says what a test tells it to, over a real socket: the list, the watch, and to
// every node that its lease holds.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/mutex.h"
#include "cluster/wire.h"
#include "net/http_server.h"

namespace cenote {

class CannedCoordinator {
 public:
  CannedCoordinator() {
    snapshot_.cluster = "test";
    snapshot_.term = 1;
    start("127.0.0.1:0");
  }

  std::string url() const { return "http://" + address_; }

  // A new revision with these nodes; whoever watches lists again.
  void set(std::vector<cluster::Node> nodes) {
    {
      const Lock lock(mutex_);
      snapshot_.nodes = std::move(nodes);
      ++snapshot_.revision;
    }
    if (server_ != nullptr) server_->wake();
  }

  // How often a client said that the node's port refused a connection.
  int refusals(const std::string& node_id) {
    const Lock lock(mutex_);
    return refusals_[node_id];
  }
  // False: heartbeats and registrations are refused.
  void give_leases(bool given) {
    const Lock lock(mutex_);
    leases_ = given;
  }

  void stop() { server_.reset(); }
  void start_again() { start(address_); }

 private:
  void start(const std::string& listen) {
    HttpServerOptions options;
    options.listen = listen;
    const auto list = [this](const HttpRequest&) {
      const Lock lock(mutex_);
      return HttpResponse{200, "application/json", cluster::to_json(snapshot_).dump()};
    };
    const auto watch = [this](const HttpRequest&) {
      HttpResponse response{200, "text/event-stream", ""};
      response.feed = std::make_shared<HttpFeed>();
      response.feed->interval = std::chrono::milliseconds(100);
      const Lock lock(mutex_);
      response.feed->next = [this, from = snapshot_.revision](bool due, std::string* bytes) {
        const Lock inner(mutex_);
        if (snapshot_.revision != from) {
          *bytes += "event: reset\ndata: {}\n\n";
          return false;
        }
        const Json bookmark = {{"cluster", snapshot_.cluster},
                               {"term", json_number(snapshot_.term)},
                               {"revision", json_number(snapshot_.revision)}};
        if (due) *bytes += "event: bookmark\ndata: " + bookmark.dump() + "\n\n";
        return true;
      };
      return response;
    };
    const auto refused = [this](const HttpRequest& request) {
      const Lock lock(mutex_);
      ++refusals_[request.params.at("id")];
      return HttpResponse{200, "application/json", "{}"};
    };
    const auto lease = [this](const HttpRequest&) {
      const Lock lock(mutex_);
      if (!leases_) return HttpResponse{404, "application/json", "{}"};
      const Json answer = {{"lease", 1},
                           {"heartbeat_ms", 100},
                           {"config_version", 0},
                           {"draining", false},
                           {"cluster", snapshot_.cluster},
                           {"term", json_number(snapshot_.term)},
                           {"revision", json_number(snapshot_.revision)}};
      return HttpResponse{200, "application/json", answer.dump()};
    };
    constexpr size_t kBody = size_t{1} << 20;
    auto started = HttpServer::start(options, {{"/v1/nodes", list},
                                               {"/v1/watch", watch},
                                               {"/v1/nodes/{id}/refused", refused, "POST"},
                                               {"/v1/nodes", lease, "POST", kBody},
                                               {"/v1/nodes/{id}", lease, "DELETE"},
                                               {"/v1/nodes/{id}/heartbeat", lease, "PUT", kBody},
                                               {"/v1/nodes/{id}/metrics", lease, "PUT", kBody}});
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = std::move(*started);
    address_ = server_->address();
  }

  Mutex mutex_;
  cluster::Snapshot snapshot_ CENOTE_GUARDED_BY(mutex_);
  std::map<std::string, int> refusals_ CENOTE_GUARDED_BY(mutex_);
  bool leases_ CENOTE_GUARDED_BY(mutex_) = true;
  std::string address_;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace cenote
