// The rows of one statement as record batches, from COPY's stream or from single rows.
#pragma once

#include <memory>
#include <vector>

#include <arrow/record_batch.h>

#include "driver/postgresql/connection.h"
#include "driver/postgresql/rows.h"

namespace cenote::postgresql {

// The first batch is read before the reader is handed out, so that what fails before the first row
// fails the query. Closed early, it leaves the session and the caller's transaction as they were:
// a statement that reads is cancelled and its scope undone, one that writes is read to its end.
class Reader final : public arrow::RecordBatchReader {
 public:
  Reader(Session* session, StatementPtr statement, const BatchLimits& limits, Scope scope)
      : session_(session), statement_(std::move(statement)), limits_(limits), scope_(scope) {}
  ~Reader() override { (void)Close(); }

  // `first` is the statement's first result; the shape may be null where it has no columns.
  Status open_rows(PgResult first, std::shared_ptr<const RowShape> shape);
  // COPY was sent.
  Status open_copy(std::shared_ptr<const RowShape> shape);

  // All rows; of a reader that was not read from.
  Result<std::shared_ptr<arrow::Table>> table();

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override;
  Status Close() override;

 private:
  Status open(std::shared_ptr<const RowShape> shape);
  // Reads until a batch is full or the rows end.
  Status pull();
  Status pull_copy();
  Status pull_rows();
  Status append_rows(const PGresult* rows);
  Status end();
  // For the statement's next execution, after a small result.
  void keep_decoder();
  // Reads everything, to know the types of raw numerics.
  Status settle();
  // The call was ended by an error of the server or of the wire.
  Status ended(Status status);
  // An error of ours: the rest is thrown away.
  Status refuse(Status status);
  void leave();

  Session* session_;  // null once closed
  const StatementPtr statement_;
  const BatchLimits limits_;
  const Scope scope_;
  bool by_copy_ = false;
  bool live_ = true;  // the call is under way
  PgResult rows_;     // the result to append next
  int next_row_ = 0;  // of it
  int64_t total_ = 0;
  std::shared_ptr<const RowShape> shape_;
  std::shared_ptr<arrow::Schema> schema_;
  std::unique_ptr<RowDecoder> decoder_;                       // null once a small result was read
  std::vector<std::shared_ptr<arrow::RecordBatch>> settled_;  // in reverse
};

}  // namespace cenote::postgresql
