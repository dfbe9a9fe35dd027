// The rows of an executed statement as record batches.
#pragma once

#include <memory>
#include <vector>

#include <arrow/record_batch.h>

#include "cenote/driver.h"

#include "driver/odbc/call.h"
#include "driver/odbc/column.h"
#include "driver/odbc/session.h"

namespace cenote::odbc {

// What the driver says about a column of a statement that was prepared or has run.
Result<ColumnInfo> describe_column(const Library& odbc, const Statement& statement,
                                   SQLUSMALLINT number);

class Reader final : public arrow::RecordBatchReader {
 public:
  Reader(Session& session, std::unique_ptr<Call> call, Statement statement,
         const BatchLimits& limits);
  ~Reader() override { (void)Close(); }

  // Describes and binds; on an error all is closed already.
  Status start();

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override;
  Status Close() override;

 private:
  Status describe();
  Status bind();
  // Reads one batch's worth; null at the end. Ticks are left as they are.
  Result<std::shared_ptr<arrow::RecordBatch>> fill();
  Result<size_t> fetch(int64_t& bytes);
  Status read_long(Column& column, int number, int64_t& bytes);
  Status read_single(Column& column, int number, int64_t& bytes);
  Status decide_units();
  Result<std::shared_ptr<arrow::RecordBatch>> convert(
      const std::shared_ptr<arrow::RecordBatch>& batch) const;
  Status finish();
  Status fail(Status status);

  Session* session_;
  std::unique_ptr<Call> call_;
  Statement statement_;
  BatchLimits limits_;
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<Column> columns_;
  std::vector<TickUnit> units_;  // of each column; only ticks have one that counts
  bool has_ticks_ = false;
  std::vector<std::shared_ptr<arrow::RecordBatch>> ready_;  // read early, to decide units; reversed
  size_t first_long_ = 0;  // this column and all behind it come by SQLGetData
  size_t block_ = 1;       // rows of one fetch
  SQLULEN fetched_ = 0;
  std::vector<SQLUSMALLINT> states_;  // of the rows of a block
  bool at_end_ = false;
  bool closed_ = false;
  std::string piece_;
};

}  // namespace cenote::odbc
