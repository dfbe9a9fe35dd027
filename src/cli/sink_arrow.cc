// The binary formats, by Arrow's writers: IPC and Parquet.
#include <utility>

#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/util/byte_size.h>
#include <parquet/arrow/writer.h>
#include <parquet/exception.h>

#include "cli/sink.h"

namespace cenote::cli {
namespace {

class ArrowSink final : public Sink {
 public:
  explicit ArrowSink(std::shared_ptr<arrow::ipc::RecordBatchWriter> writer)
      : writer_(std::move(writer)) {}
  Status write(const std::shared_ptr<arrow::RecordBatch>& batch) override {
    return writer_->WriteRecordBatch(*batch);
  }
  Status finish() override { return writer_->Close(); }

 private:
  const std::shared_ptr<arrow::ipc::RecordBatchWriter> writer_;
};

// A row group is kept in memory until it is written, so it ends at a number of bytes too.
class ParquetSink final : public Sink {
 public:
  explicit ParquetSink(std::unique_ptr<parquet::arrow::FileWriter> writer)
      : writer_(std::move(writer)) {}
  Status write(const std::shared_ptr<arrow::RecordBatch>& batch) override {
    constexpr int64_t kGroupBytes = int64_t{128} << 20;
    if (bytes_ > kGroupBytes) {
      ARROW_RETURN_NOT_OK(writer_->NewBufferedRowGroup());
      bytes_ = 0;
    }
    bytes_ += arrow::util::TotalBufferSize(*batch);
    return writer_->WriteRecordBatch(*batch);
  }
  Status finish() override { return writer_->Close(); }

 private:
  const std::unique_ptr<parquet::arrow::FileWriter> writer_;
  int64_t bytes_ = 0;
};

}  // namespace

Result<std::unique_ptr<Sink>> make_arrow_sink(const std::shared_ptr<arrow::Schema>& schema,
                                              std::shared_ptr<arrow::io::OutputStream> out,
                                              bool file) {
  ARROW_ASSIGN_OR_RAISE(auto writer, file ? arrow::ipc::MakeFileWriter(std::move(out), schema)
                                          : arrow::ipc::MakeStreamWriter(std::move(out), schema));
  return std::make_unique<ArrowSink>(std::move(writer));
}

Result<std::unique_ptr<Sink>> make_parquet_sink(const std::shared_ptr<arrow::Schema>& schema,
                                                std::shared_ptr<arrow::io::OutputStream> out) {
  const auto properties =
      parquet::WriterProperties::Builder().compression(parquet::Compression::ZSTD)->build();
  // Keeps Arrow's own schema in the file, so that types that Parquet lacks come back.
  const auto arrow_properties = parquet::ArrowWriterProperties::Builder().store_schema()->build();
  auto writer = parquet::arrow::FileWriter::Open(*schema, arrow::default_memory_pool(),
                                                 std::move(out), properties, arrow_properties);
  if (!writer.ok()) {
    return make_error(ErrorKind::kNotSupported,
                      "Parquet cannot hold this result: " + writer.status().message() +
                          "; cast the column to text in the statement");
  }
  return std::make_unique<ParquetSink>(std::move(*writer));
}

}  // namespace cenote::cli
