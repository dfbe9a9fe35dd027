// The watching thread, with a source that fails in ways of its own.
#include "manager/cluster_view.h"

#include <atomic>
#include <exception>
#include <stdexcept>

#include <gtest/gtest.h>

namespace cenote {
namespace {

// As a library does.
void fail(const char* why) {
  std::rethrow_exception(std::make_exception_ptr(std::runtime_error(why)));
}

// Throws where another would return an error, as when no file descriptor is left for a socket.
class Throwing final : public discovery::ServiceDiscovery {
 public:
  void watch(const std::stop_token& stop, discovery::Watcher& watcher) override {
    if (watches_++ == 0) fail("epoll: Too many open files");
    cluster::Snapshot all;
    all.cluster = "test";
    all.term = all.revision = 1;
    all.nodes.emplace_back().about.node_id = "n1";
    (void)watcher.list(all);
    Mutex mutex;
    std::condition_variable_any never;
    Lock lock(mutex);
    never.wait(lock, stop, [] { return false; });
  }
  void serve(const std::stop_token& /*stop*/, discovery::Member& /*member*/) override {}
  void tell_refused(const std::stop_token& /*stop*/, std::string_view /*node_id*/) override {
    ++told_;
    told_.notify_all();
    fail("likewise");
  }
  Status probe(const std::stop_token& /*stop*/) override { return Status::OK(); }

  std::atomic<int>& told() { return told_; }

 private:
  int watches_ = 0;
  std::atomic<int> told_{0};
};

TEST(ClusterView, a_source_that_throws_is_asked_again) {
  auto source = std::make_unique<Throwing>();
  std::atomic<int>& told = source->told();
  ClusterView view(std::move(source), {"etcd", "127.0.0.1:1", ""});
  EXPECT_TRUE(view.wait_until_known({Deadline::in(std::chrono::seconds(30)), {}}));
  view.refused("n1");
  told.wait(0);
  view.refused("n2");
  told.wait(1);
}

}  // namespace
}  // namespace cenote
