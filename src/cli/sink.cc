// The text formats: table, CSV, JSON.
#include "cli/sink.h"

#include <utility>
#include <vector>

#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "frame/csv.h"
#include "frame/json.h"

namespace cenote::cli {
namespace {

constexpr size_t kFlush = size_t{64} << 10;  // bytes of text that are written at once

class TextSink : public Sink {
 protected:
  explicit TextSink(std::shared_ptr<arrow::io::OutputStream> out) : out_(std::move(out)) {}

  Status flush() {
    const Status status = out_->Write(text_);
    text_.clear();
    return status;
  }
  Status flush_if_full() { return text_.size() < kFlush ? Status::OK() : flush(); }

  std::string text_;

 private:
  const std::shared_ptr<arrow::io::OutputStream> out_;
};

class TableSink final : public TextSink {
 public:
  TableSink(std::shared_ptr<arrow::io::OutputStream> out, std::shared_ptr<arrow::Schema> schema,
            const PrintOptions& options)
      : TextSink(std::move(out)), preview_(std::move(schema), options) {}

  Status write(const std::shared_ptr<arrow::RecordBatch>& batch) override {
    preview_.add(batch);
    return Status::OK();
  }
  Status finish() override {
    text_ = preview_.str();
    return flush();
  }

 private:
  Preview preview_;
};

class CsvSink final : public TextSink {
 public:
  CsvSink(std::shared_ptr<arrow::io::OutputStream> out, const arrow::Schema& schema)
      : TextSink(std::move(out)) {
    if (schema.num_fields() > 0) append_csv_header(schema, &text_);
  }

  Status write(const std::shared_ptr<arrow::RecordBatch>& batch) override {
    for (int64_t row = 0; row < batch->num_rows(); ++row) {
      append_csv(*batch, row, row + 1, &text_);
      ARROW_RETURN_NOT_OK(flush_if_full());
    }
    return flush();
  }
  Status finish() override { return flush(); }
};

// An array of objects, one to a line.
class JsonSink final : public TextSink {
 public:
  JsonSink(std::shared_ptr<arrow::io::OutputStream> out, const arrow::Schema& schema)
      : TextSink(std::move(out)), keys_(json_keys(schema)) {
    text_ = "[";
  }

  Status write(const std::shared_ptr<arrow::RecordBatch>& batch) override {
    for (int64_t row = 0; row < batch->num_rows(); ++row) {
      text_ += first_ ? "\n" : ",\n";
      first_ = false;
      append_json_row(*batch, keys_, row, &text_);
      ARROW_RETURN_NOT_OK(flush_if_full());
    }
    return flush();
  }
  Status finish() override {
    text_ += first_ ? "]\n" : "\n]\n";
    return flush();
  }

 private:
  const std::vector<std::string> keys_;
  bool first_ = true;
};

}  // namespace

Result<std::unique_ptr<Sink>> make_sink(const SinkOptions& options,
                                        const std::shared_ptr<arrow::Schema>& schema,
                                        std::shared_ptr<arrow::io::OutputStream> out) {
  if (options.format == "csv") return std::make_unique<CsvSink>(std::move(out), *schema);
  if (options.format == "json") return std::make_unique<JsonSink>(std::move(out), *schema);
  if (options.format == "arrow") return make_arrow_sink(schema, std::move(out), options.arrow_file);
  if (options.format == "parquet") return make_parquet_sink(schema, std::move(out));
  return std::make_unique<TableSink>(std::move(out), schema, options.print);
}

}  // namespace cenote::cli
