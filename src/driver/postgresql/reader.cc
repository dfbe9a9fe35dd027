// Reads batch by batch; every path ends the session's call exactly once.
#include "driver/postgresql/reader.h"

#include <algorithm>
#include <utility>

#include "frame/table.h"

namespace cenote::postgresql {
namespace {

// How long a reader that is closed early in the caller's transaction reads on before it cancels,
// where no savepoint keeps the transaction from failing.
constexpr std::chrono::seconds kPatience{1};
// How long the rows of a statement that has written may take: cancelling would undo it.
constexpr std::chrono::seconds kRunOut{30};

}  // namespace

Status Reader::open_rows(PgResult first, std::shared_ptr<const RowShape> shape) {
  rows_ = std::move(first);
  return open(std::move(shape));
}

Status Reader::open_copy(std::shared_ptr<const RowShape> shape) {
  by_copy_ = true;
  const auto first = session_->channel().next();
  if (!first.ok()) return ended(first.status());
  if (PQresultStatus(first->get()) != PGRES_COPY_OUT) {
    return refuse(make_error(ErrorKind::kInternal, "the server did not answer COPY with its rows"));
  }
  return open(std::move(shape));
}

Status Reader::open(std::shared_ptr<const RowShape> shape) {
  if (!shape) {
    static const auto empty = RowShape::make({}, {});
    shape = empty;
  }
  shape_ = std::move(shape);
  schema_ = shape_->schema;
  if (statement_->decoder && statement_->decoder->fits(shape_, limits_)) {
    decoder_ = std::move(statement_->decoder);
  } else {
    decoder_ = std::make_unique<RowDecoder>(shape_, limits_);
  }
  return shape_->unsettled() ? settle() : pull();
}

Status Reader::settle() {
  while (live_ || decoder_->rows() > 0) {
    ARROW_RETURN_NOT_OK(pull());
    if (decoder_->rows() == 0) break;
    auto batch = decoder_->finish();
    if (!batch.ok()) return refuse(batch.status());
    settled_.push_back(std::move(*batch));
  }
  auto schema = settle_numerics(*shape_, settled_);
  if (!schema.ok()) return refuse(schema.status());
  schema_ = std::move(*schema);
  std::reverse(settled_.begin(), settled_.end());
  return Status::OK();
}

Status Reader::pull() {
  if (!live_) return Status::OK();
  return by_copy_ ? pull_copy() : pull_rows();
}

Status Reader::pull_copy() {
  Channel& channel = session_->channel();
  while (!decoder_->full()) {
    const auto message = channel.copy_next();
    if (!message.ok()) return ended(message.status());
    if (!message->bytes) return end();
    const Status appended = decoder_->append_copy(
        reinterpret_cast<const uint8_t*>(message->bytes.get()), static_cast<size_t>(message->size));
    if (!appended.ok()) return refuse(appended);
  }
  return Status::OK();
}

Status Reader::pull_rows() {
  while (true) {
    if (!rows_) return end();
    if (const Status appended = append_rows(rows_.get()); !appended.ok()) return refuse(appended);
    if (decoder_->full()) return Status::OK();
    next_row_ = 0;
    auto next = session_->channel().next();
    if (!next.ok()) return ended(next.status());
    rows_ = std::move(*next);
  }
}

Status Reader::append_rows(const PGresult* rows) {
  const int count = PQntuples(rows);
  const size_t columns = shape_->types.size();
  if (count > 0 && static_cast<size_t>(PQnfields(rows)) != columns) {
    return make_error(ErrorKind::kNotSupported,
                      "the statement has several results of different columns");
  }
  for (; next_row_ < count && !decoder_->full(); ++next_row_) {
    for (size_t i = 0; i < columns; ++i) {
      const auto column = static_cast<int>(i);
      const bool null = PQgetisnull(rows, next_row_, column) != 0;
      const auto* value = reinterpret_cast<const uint8_t*>(PQgetvalue(rows, next_row_, column));
      const uint8_t* bytes = null ? nullptr : value;
      const auto size = static_cast<size_t>(PQgetlength(rows, next_row_, column));
      ARROW_RETURN_NOT_OK(decoder_->append_field(i, bytes, size));
    }
    decoder_->end_row();
  }
  return Status::OK();
}

// The rows have ended; what was sent behind them (COMMIT, RELEASE) may still fail.
Status Reader::end() {
  Channel& channel = session_->channel();
  const auto drained = channel.drain();
  if (!drained.ok()) return ended(drained.status());
  if (!by_copy_ && scope_ == Scope::kSavepoint) {
    const Status released = session_->run_inside(kScopeRelease);
    if (!released.ok()) return ended(released);
  }
  channel.finish();
  live_ = false;
  statement_->last_rows = total_ + decoder_->rows();
  return Status::OK();
}

Status Reader::ended(Status status) {
  live_ = false;
  session_->undo_scope(scope_, true);
  return status;
}

Status Reader::refuse(Status status) {
  leave();
  return status;
}

void Reader::leave() {
  rows_.reset();
  if (!live_) return;
  live_ = false;
  Channel& channel = session_->channel();
  if (statement_->kind.verb != Verb::kRead) {
    if (!channel.run_out(Deadline::in(kRunOut))) channel.give_up();
    return;
  }
  const bool exposed = scope_ == Scope::kNone && channel.in_transaction();
  channel.abandon(exposed ? Duration(kPatience) : Duration::zero());
  session_->undo_scope(scope_, false);
}

Status Reader::ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) {
  batch->reset();
  if (session_ == nullptr) return make_error(ErrorKind::kInterface, "the reader was closed");
  if (!settled_.empty()) {
    *batch = std::move(settled_.back());
    settled_.pop_back();
    return Status::OK();
  }
  if (!decoder_) return Status::OK();
  // The first batch was read with open().
  if (decoder_->rows() == 0) ARROW_RETURN_NOT_OK(pull());
  if (decoder_->rows() == 0) return Status::OK();
  total_ += decoder_->rows();
  auto finished = decoder_->finish();
  if (!finished.ok()) return refuse(finished.status());
  *batch = std::move(*finished);
  keep_decoder();
  return Status::OK();
}

void Reader::keep_decoder() {
  if (live_ || total_ > kSmallResult) return;
  decoder_->restart();
  statement_->decoder = std::move(decoder_);
}

Result<std::shared_ptr<arrow::Table>> Reader::table() {
  const bool one_batch = !live_ && settled_.empty() && decoder_ && decoder_->rows() > 0;
  if (!one_batch) return table_of(*this);
  total_ = decoder_->rows();
  auto table = decoder_->finish_table();
  keep_decoder();
  return table;
}

Status Reader::Close() {
  if (session_ == nullptr) return Status::OK();
  leave();
  settled_.clear();
  session_ = nullptr;
  return Status::OK();
}

}  // namespace cenote::postgresql
