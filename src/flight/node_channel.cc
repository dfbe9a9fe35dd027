// Calls over libarrow_flight, with our deadlines, stops and errors.
#include "flight/node_channel.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <random>
#include <system_error>
#include <utility>

#include <arrow/buffer.h>
#include <arrow/flight/types.h>
#include <arrow/record_batch.h>
#include <arrow/util/base64.h>
#include <arrow/util/byte_size.h>

#include "base/watchdog.h"
#include "flight/errors.h"

namespace cenote::flight {
namespace {

namespace fl = arrow::flight;

// In 24 days; none at all would leave the socket without its mark.
constexpr int kNoKeepalive = std::numeric_limits<int>::max() - 1;
constexpr size_t kMostCancels = 1'000;
constexpr Duration kCancelTimeout = std::chrono::seconds(2);
// Of one message of an ingest; nodes take 16 MiB by default.
constexpr int64_t kMostMessage = int64_t{4} << 20;

int64_t milliseconds(Duration time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
}

std::string new_request_id() {
  static const uint64_t process = std::random_device()() * uint64_t{0x9E3779B97F4A7C15};
  static std::atomic<uint64_t> count = 0;
  return std::to_string(process) + "-" + std::to_string(count.fetch_add(1));
}

// What a call ended with; a caller that stopped it hears that, not what gRPC calls it.
Status ended(const Status& status, const std::string& location, bool stopped) {
  Status error = from_wire(status, location);
  if (!stopped || error_kind(error) != ErrorKind::kConnection) return error;
  ErrorDetail detail;
  detail.kind = ErrorKind::kCancelled;
  detail.endpoint = location;
  detail.sent = Sent::kMaybe;
  return make_error(std::move(detail), "the statement was cancelled by its caller");
}

Result<Answer> read_answer(const std::shared_ptr<arrow::Buffer>& metadata,
                           const std::string& location) {
  if (metadata == nullptr) {
    return make_error(ErrorKind::kInternal,
                      "node " + location + " did not answer as a cenote node does; is it one?");
  }
  return decode<Answer>(std::string_view(*metadata));
}

Status inherited_error() {
  ErrorDetail detail;
  detail.kind = ErrorKind::kInterface;
  detail.sent = Sent::kNo;
  return make_error(
      std::move(detail),
      "this process was forked while it spoke to the node, and a connection to a node "
      "stays with the process that made it: begin anew in the child");
}

// gRPC's threads and locks do not live through a fork, and it cannot begin anew: a call of such a
// child would abort the process ("Mutex::Fer while waiting on Condition").
Status check_grpc() {
  static const uint64_t first_used = fork_generation();
  if (first_used == fork_generation()) return Status::OK();
  ErrorDetail detail;
  detail.kind = ErrorKind::kInterface;
  detail.sent = Sent::kNo;
  return make_error(std::move(detail),
                    "this process was forked from one that had called nodes already, and gRPC does "
                    "not work in such a child: fork before the first call, or start workers anew "
                    "(multiprocessing's spawn)");
}

// The location with the address in place of its host.
std::string reached(const ChannelOptions& options) {
  const std::string& location = options.location;
  const size_t scheme = location.find("://");
  if (options.address.empty() || scheme == std::string::npos) return location;
  const bool six = options.address.find(':') != std::string::npos;
  return location.substr(0, scheme + 3) + (six ? "[" + options.address + "]" : options.address) +
         location.substr(location.rfind(':'));
}

}  // namespace

// The rows of an answer.
class RemoteStream final : public arrow::RecordBatchReader {
 public:
  RemoteStream(std::shared_ptr<NodeChannel> channel, std::unique_ptr<fl::FlightStreamReader> reader,
               std::shared_ptr<arrow::Schema> schema, std::stop_token stop, OnAnswer on_answer)
      : channel_(std::move(channel)),
        reader_(std::move(reader)),
        schema_(std::move(schema)),
        on_answer_(std::move(on_answer)),
        on_stop_(std::move(stop), [this] {
          stopped_.store(true);
          if (!channel_->inherited()) reader_->Cancel();
        }) {}
  ~RemoteStream() override {
    (void)Close();
    if (channel_->inherited()) (void)reader_.release();
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    batch->reset();
    if (channel_->inherited()) return inherited_error();
    const Silence::Wait wait(channel_->silence_);
    while (after_end_.ok() && !at_end_) {
      arrow::Result<fl::FlightStreamChunk> chunk = reader_->Next();
      if (!chunk.ok()) return fail(chunk.status());
      channel_->silence_.heard();
      if (chunk->app_metadata != nullptr && on_answer_ != nullptr) {
        const Result<Answer> answer = read_answer(chunk->app_metadata, channel_->location());
        if (answer.ok()) std::exchange(on_answer_, nullptr)(*answer);
      }
      at_end_ = chunk->data == nullptr && chunk->app_metadata == nullptr;
      // A first batch without rows only carries the answer.
      if (chunk->data == nullptr || chunk->data->num_rows() == 0) continue;
      *batch = std::move(chunk->data);
      return Status::OK();
    }
    return after_end_;
  }

  Status Close() override {
    if (at_end_ || !after_end_.ok() || channel_->inherited()) return Status::OK();
    after_end_ = make_error(ErrorKind::kInterface, "the stream is closed; query again");
    reader_->Cancel();
    return Status::OK();
  }

 private:
  Status fail(const Status& status) {
    Status error = ended(status, channel_->location(), stopped_.load());
    after_end_ = error;
    return error;
  }

  const std::shared_ptr<NodeChannel> channel_;  // must outlive its calls
  std::unique_ptr<fl::FlightStreamReader> reader_;
  const std::shared_ptr<arrow::Schema> schema_;
  OnAnswer on_answer_;
  bool at_end_ = false;
  Status after_end_;
  std::atomic<bool> stopped_ = false;
  std::stop_callback<std::function<void()>> on_stop_;  // last: uses the others
};

Result<std::shared_ptr<NodeChannel>> NodeChannel::open(ChannelOptions options) {
  ARROW_RETURN_NOT_OK(check_grpc());
  const auto location = fl::Location::Parse(reached(options));
  if (!location.ok()) {
    return make_error(ErrorKind::kConfig, "'" + options.location +
                                              "' is no place of a node: write grpc://host:port or "
                                              "grpc+tls://host:port");
  }
  fl::FlightClientOptions client = fl::FlightClientOptions::Defaults();
  client.tls_root_certs = options.root_ca;
  client.cert_chain = options.certificate;
  client.private_key = options.key;
  client.override_hostname = options.server_name;
  const auto connect = static_cast<int>(milliseconds(options.connect_timeout));
  // gRPC's time for one try to connect is this first backoff; after it the call fails.
  client.generic_options = {{"grpc.min_reconnect_backoff_ms", connect},
                            {"grpc.initial_reconnect_backoff_ms", 100},
                            {"grpc.max_reconnect_backoff_ms", 1'000},
                            // One node, one connection of our own; not shared with other channels
                            // to the same place, whose tokens and fate may differ.
                            {"grpc.use_local_subchannel_pool", 1}};
  std::shared_ptr<NodeChannel> channel(new NodeChannel(std::move(options)));
  client.generic_options.emplace_back("grpc.keepalive_time_ms", kNoKeepalive);
  client.generic_options.emplace_back("grpc.keepalive_timeout_ms", channel->mark_.milliseconds());
  const ChannelOptions& own = channel->options_;
  if (!own.token.empty()) {
    channel->authorization_ = "Bearer " + own.token;
  } else if (!own.username.empty()) {
    channel->authorization_ =
        "Basic " + arrow::util::base64_encode(own.username + ":" + own.password);
  }
  const Status connected = fl::FlightClient::Connect(*location, client).Value(&channel->client_);
  if (!connected.ok()) {
    return make_error(ErrorKind::kConfig, "node " + own.location + ": " + connected.message());
  }
  return channel;
}

NodeChannel::~NodeChannel() {
  if (inherited()) {
    // Without the lock, which a thread may hold that did not come along.
    if (canceller_.joinable()) canceller_.detach();
    (void)client_.release();
    return;
  }
  {
    const Lock lock(mutex_);
    canceller_.request_stop();
  }
  wake_.notify_all();
}

Result<NodeChannel::Timed> NodeChannel::prepare(Call& call, const QueryOptions& options) const {
  if (inherited()) return inherited_error();
  Timed timed;
  // gRPC puts a message's bytes wherever they fall, and not every reader of frames bears that.
  timed.options.read_options.ensure_alignment = arrow::ipc::Alignment::kDataTypeSpecificAlignment;
  if (options.timeout) timed.deadline = Deadline::in(*options.timeout);
  if (!timed.deadline.is_never()) {
    const Duration left = timed.deadline.left();
    timed.options.timeout = left;
    // The node gives up a little earlier, so that its own words arrive instead of gRPC's.
    const Duration margin = std::min<Duration>(left / 8, std::chrono::milliseconds(100));
    call.left_ms = milliseconds(left - margin);
  }
  if (!authorization_.empty()) timed.options.headers.emplace_back("authorization", authorization_);
  if (options.access) call.access = static_cast<int32_t>(*options.access);
  call.batch_rows = options.limits.rows;
  call.batch_bytes = options.limits.bytes;
  call.whole = options.limits.whole;
  call.eager = options.limits.eager;
  call.tag = options.tag;
  call.request_id = new_request_id();
  return timed;
}

Result<std::unique_ptr<fl::FlightStreamReader>> NodeChannel::get(const Call& call,
                                                                 const Timed& timed,
                                                                 const QueryOptions& options) {
  if (options.stop.stop_requested() || timed.deadline.passed()) {
    ErrorDetail detail;
    detail.kind = options.stop.stop_requested() ? ErrorKind::kCancelled : ErrorKind::kQueryTimeout;
    detail.sent = Sent::kNo;
    return make_error(std::move(detail), "the statement was not sent: its time was already over");
  }
  const InterruptGuard guard({Deadline(), options.stop},
                             [this, &call] { cancel_soon(call.request_id); });
  auto reader = client_->DoGet(timed.options, fl::Ticket(encode_any(call)));
  if (!reader.ok()) {
    return ended(reader.status(), location(), options.stop.stop_requested());
  }
  return std::move(*reader);
}

Result<RowStream> NodeChannel::stream(Call call, const QueryOptions& options, OnAnswer on_answer) {
  ARROW_ASSIGN_OR_RAISE(const Timed timed, prepare(call, options));
  const Silence::Wait wait(silence_);
  ARROW_ASSIGN_OR_RAISE(auto reader, get(call, timed, options));
  ARROW_ASSIGN_OR_RAISE(auto schema, reader->GetSchema());
  silence_.heard();
  return std::make_shared<RemoteStream>(shared_from_this(), std::move(reader), std::move(schema),
                                        options.stop, std::move(on_answer));
}

Result<Answer> NodeChannel::ask(Call call, const QueryOptions& options, const OnAnswer& on_answer) {
  ARROW_ASSIGN_OR_RAISE(const Timed timed, prepare(call, options));
  const Silence::Wait wait(silence_);
  ARROW_ASSIGN_OR_RAISE(auto reader, get(call, timed, options));
  auto chunk = reader->Next();
  if (!chunk.ok()) {
    return ended(chunk.status(), location(), options.stop.stop_requested());
  }
  silence_.heard();
  ARROW_ASSIGN_OR_RAISE(Answer answer, read_answer(chunk->app_metadata, location()));
  // To the end, so that gRPC does not count the call as cancelled.
  while (chunk.ok() && (chunk->data != nullptr || chunk->app_metadata != nullptr)) {
    chunk = reader->Next();
  }
  if (on_answer != nullptr) on_answer(answer);
  return answer;
}

Result<Answer> NodeChannel::send(Call call, arrow::RecordBatchReader& rows,
                                 const QueryOptions& options, const OnAnswer& on_answer) {
  ARROW_ASSIGN_OR_RAISE(const Timed timed, prepare(call, options));
  const Silence::Wait wait(silence_);
  const auto put =
      client_->DoPut(timed.options, fl::FlightDescriptor::Command(encode_any(call)), rows.schema());
  if (!put.ok()) return ended(put.status(), location(), options.stop.stop_requested());
  const InterruptGuard guard({Deadline(), options.stop},
                             [this, &call] { cancel_soon(call.request_id); });
  const auto write = [&]() -> Status {
    for (;;) {
      std::shared_ptr<arrow::RecordBatch> batch;
      ARROW_RETURN_NOT_OK(rows.ReadNext(&batch));
      if (batch == nullptr) return put->writer->DoneWriting();
      const int64_t size = std::max<int64_t>(arrow::util::TotalBufferSize(*batch), 1);
      const int64_t step =
          std::max<int64_t>(1, batch->num_rows() / ((size + kMostMessage - 1) / kMostMessage));
      for (int64_t at = 0; at < batch->num_rows(); at += step) {
        ARROW_RETURN_NOT_OK(put->writer->WriteRecordBatch(*batch->Slice(at, step)));
        // What is full takes no more: the node made room.
        silence_.heard();
      }
    }
  };
  const Status written = write();
  std::shared_ptr<arrow::Buffer> metadata;
  if (written.ok()) (void)put->reader->ReadMetadata(&metadata);
  // What the node said goes before what the writing met.
  const Status closed = put->writer->Close();
  const bool stopped = options.stop.stop_requested();
  if (!closed.ok()) return ended(closed, location(), stopped);
  if (!written.ok()) return ended(written, location(), stopped);
  ARROW_ASSIGN_OR_RAISE(Answer answer, read_answer(metadata, location()));
  if (on_answer != nullptr) on_answer(answer);
  return answer;
}

void NodeChannel::cancel_soon(std::string request_id) {
  {
    const Lock lock(mutex_);
    if (cancels_.size() >= kMostCancels) return;  // the deadline ends it then
    try {
      if (!canceller_.joinable()) {
        canceller_ = std::jthread([this](const std::stop_token& stop) { run_cancels(stop); });
      }
    } catch (const std::system_error&) {
      return;  // no thread to be had: likewise
    }
    cancels_.push_back(std::move(request_id));
  }
  wake_.notify_all();
}

void NodeChannel::run_cancels(const std::stop_token& stop) {
  for (;;) {
    Call call;
    {
      Lock lock(mutex_);
      while (cancels_.empty() && !stop.stop_requested()) wake_.wait(lock);
      if (stop.stop_requested()) return;
      call.name = std::move(cancels_.front());
      cancels_.pop_front();
    }
    call.operation = Operation::kCancel;
    QueryOptions options;
    options.timeout = kCancelTimeout;
    (void)ask(std::move(call), options);
  }
}

}  // namespace cenote::flight
