// The way to one node: one gRPC channel, shared by all pools and threads that use the node.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include <arrow/flight/client.h>

#include "cenote/deadline.h"
#include "cenote/error.h"
#include "cenote/pool.h"

#include "base/fork.h"
#include "base/mutex.h"
#include "flight/cut.h"
#include "flight/silence.h"
#include "flight/ticket.h"

namespace cenote::flight {

struct ChannelOptions {
  std::string location;  // "grpc://host:port" or "grpc+tls://host:port"
  std::string address;   // connect to this one of the host, a number; empty: gRPC resolves the host
  std::string username;  // empty: none
  std::string password;
  std::string token;        // in place of name and password
  std::string root_ca;      // PEM; empty: the system's
  std::string certificate;  // PEM, of the client, for mTLS
  std::string key;
  std::string server_name;  // expected in the server's certificate instead of the host
  Duration connect_timeout = std::chrono::seconds(3);
};

// Told what came back with the rows, on the thread of the call; must be quick.
using OnAnswer = std::function<void(const Answer&)>;

// An answer's rows, batch by batch. One thread reads; stop may be requested from any.
using RowStream = std::shared_ptr<arrow::RecordBatchReader>;

// Thread-safe.
class NodeChannel : public std::enable_shared_from_this<NodeChannel> {
 public:
  // Does not connect yet. kConfig for a location that is none.
  static Result<std::shared_ptr<NodeChannel>> open(ChannelOptions options);
  ~NodeChannel();

  const std::string& location() const { return options_.location; }
  // By a forked child, which has neither its threads nor gRPC's: every call fails with kInterface,
  // and what is destroyed leaves gRPC's part alone.
  bool inherited() const { return born_ != fork_generation(); }

  // Ends what waits for the node, which is dead: calls under way end with kConnection. Does not
  // block. The next call connects anew.
  void cut() const { mark_.cut(); }
  // How long calls have waited here without a word of the node; zero: none waits.
  Duration silent_for(TimePoint now) const { return silence_.lasts(now); }

  // Sends the call and waits for its answer's beginning: the rows' schema, and with it the
  // certainty that the statement was executed. `options` gives deadline, stop, limits and tag.
  Result<RowStream> stream(Call call, const QueryOptions& options, OnAnswer on_answer = {});
  // The same for calls without rows.
  Result<Answer> ask(Call call, const QueryOptions& options, const OnAnswer& on_answer = {});
  // Sends rows along.
  Result<Answer> send(Call call, arrow::RecordBatchReader& rows, const QueryOptions& options,
                      const OnAnswer& on_answer = {});

 private:
  explicit NodeChannel(ChannelOptions options) : options_(std::move(options)) {}
  struct Timed {
    arrow::flight::FlightCallOptions options;
    Deadline deadline;
  };
  Result<Timed> prepare(Call& call, const QueryOptions& options) const;
  Result<std::unique_ptr<arrow::flight::FlightStreamReader>> get(const Call& call,
                                                                 const Timed& timed,
                                                                 const QueryOptions& options);
  friend class RemoteStream;
  void cancel_soon(std::string request_id);
  void run_cancels(const std::stop_token& stop);

  const uint64_t born_ = fork_generation();
  const ChannelOptions options_;
  const SocketMark mark_ = SocketMark::next();
  Silence silence_;
  std::string authorization_;
  std::unique_ptr<arrow::flight::FlightClient> client_;

  // Calls to be cancelled on the node: libarrow_flight's DoGet cannot be interrupted before its
  // first message, so another call says it, on a thread that the first of them starts.
  Mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<std::string> cancels_ CENOTE_GUARDED_BY(mutex_);
  std::jthread canceller_ CENOTE_GUARDED_BY(mutex_);  // last: ends before what it uses
};

}  // namespace cenote::flight
