// Formats of a result, written batch by batch in the memory of a batch.
#pragma once

#include <memory>
#include <string>

#include <arrow/io/type_fwd.h>
#include <arrow/type_fwd.h>

#include "cenote/error.h"

#include "frame/print.h"

namespace cenote::cli {

class Sink {
 public:
  virtual ~Sink() = default;
  virtual Status write(const std::shared_ptr<arrow::RecordBatch>& batch) = 0;
  // What stands behind the last row. Without it the output is not whole, and its reader will
  // notice.
  virtual Status finish() = 0;
};

struct SinkOptions {
  std::string format;       // table, csv, json, arrow, parquet
  PrintOptions print;       // of a table
  bool arrow_file = false;  // the IPC file format instead of the stream format
};

Result<std::unique_ptr<Sink>> make_sink(const SinkOptions& options,
                                        const std::shared_ptr<arrow::Schema>& schema,
                                        std::shared_ptr<arrow::io::OutputStream> out);

// Of sink_arrow.cc, which alone pays for the headers of IPC and Parquet.
Result<std::unique_ptr<Sink>> make_arrow_sink(const std::shared_ptr<arrow::Schema>& schema,
                                              std::shared_ptr<arrow::io::OutputStream> out,
                                              bool file);
Result<std::unique_ptr<Sink>> make_parquet_sink(const std::shared_ptr<arrow::Schema>& schema,
                                                std::shared_ptr<arrow::io::OutputStream> out);

}  // namespace cenote::cli
