// Bulk loading: COPY … FROM STDIN, in binary form where every column has one, else in text.
#include <string>
#include <utility>
#include <vector>

#include "driver/postgresql/connection.h"
#include "driver/postgresql/encode.h"
#include "driver/postgresql/numeric.h"
#include "driver/postgresql/parameters.h"
#include "driver/postgresql/types.h"

namespace cenote::postgresql {
namespace {

constexpr size_t kChunk = size_t{128} << 10;

// COPY's rows in one of its formats.
class RowWriter {
 public:
  virtual ~RowWriter() = default;
  virtual Status bind(const arrow::RecordBatch& batch) = 0;
  virtual Status append(int64_t row, std::string& out) = 0;
};

class BinaryWriter final : public RowWriter {
 public:
  // Null where a column has no binary form for its target.
  static std::unique_ptr<RowWriter> make(const arrow::Schema& schema,
                                         const std::vector<uint32_t>& targets) {
    auto writer = std::make_unique<BinaryWriter>();
    for (int i = 0; i < schema.num_fields(); ++i) {
      auto encoder = Encoder::make(*schema.field(i)->type(), targets[static_cast<size_t>(i)]);
      if (!encoder) return nullptr;
      writer->columns_.push_back(std::move(encoder));
    }
    return writer;
  }
  Status bind(const arrow::RecordBatch& batch) override {
    arrays_ = batch.columns();  // columns are boxed on demand: these must live on
    for (size_t i = 0; i < columns_.size(); ++i) {
      ARROW_RETURN_NOT_OK(columns_[i]->bind(*arrays_[i]));
    }
    return Status::OK();
  }
  Status append(int64_t row, std::string& out) override {
    put_int16(out, static_cast<int16_t>(columns_.size()));
    for (const auto& column : columns_) ARROW_RETURN_NOT_OK(column->append(row, out));
    return Status::OK();
  }

 private:
  arrow::ArrayVector arrays_;
  std::vector<std::unique_ptr<Encoder>> columns_;
};

// Tabs between the values, backslashes before what would end them; the server converts.
class TextWriter final : public RowWriter {
 public:
  Status bind(const arrow::RecordBatch& batch) override {
    batch_ = &batch;
    return Status::OK();
  }
  Status append(int64_t row, std::string& out) override {
    for (int i = 0; i < batch_->num_columns(); ++i) {
      if (i > 0) out += '\t';
      ARROW_ASSIGN_OR_RAISE(const auto scalar, batch_->column(i)->GetScalar(row));
      if (!scalar->is_valid) {
        out += "\\N";
        continue;
      }
      ARROW_ASSIGN_OR_RAISE(const std::string text, value_text(*scalar));
      for (const char c : text) escape(c, out);
    }
    out += '\n';
    return Status::OK();
  }

 private:
  static void escape(char c, std::string& out) {
    switch (c) {
      case '\\':
        out += "\\\\";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        out += c;
    }
  }

  const arrow::RecordBatch* batch_ = nullptr;
};

Result<std::string> definitions_of(const arrow::Schema& schema) {
  std::string definitions;
  for (const auto& field : schema.fields()) {
    auto type = column_type(*field->type());
    if (!type.ok()) {
      return make_error(ErrorKind::kNotSupported,
                        "column '" + field->name() + "': " + type.status().message());
    }
    definitions +=
        (definitions.empty() ? "" : ", ") + quote_identifier(field->name()) + " " + *type;
  }
  return definitions;
}

// Feeds a COPY that the server has accepted.
Status feed(Channel& channel, arrow::RecordBatchReader& rows, RowWriter& writer,
            std::string chunk) {
  const auto push = [&]() -> Status {
    const int put = PQputCopyData(channel.conn(), chunk.data(), static_cast<int>(chunk.size()));
    chunk.clear();
    return channel.flush(put);
  };
  for (int64_t before = 0;;) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(rows.ReadNext(&batch));
    if (!batch) return chunk.empty() ? Status::OK() : push();
    ARROW_RETURN_NOT_OK(writer.bind(*batch));
    for (int64_t row = 0; row < batch->num_rows(); ++row) {
      if (const Status written = writer.append(row, chunk); !written.ok()) {
        return make_error(error_kind(written),
                          "row " + std::to_string(before + row + 1) + ": " + written.message());
      }
      if (chunk.size() >= kChunk) ARROW_RETURN_NOT_OK(push());
    }
    before += batch->num_rows();
  }
}

}  // namespace

Result<int64_t> Session::ingest(const CallContext& context, const IngestTarget& target,
                                arrow::RecordBatchReader& rows) {
  if (rows.schema()->num_fields() == 0) {
    return make_error(ErrorKind::kInterface, "there is no column to ingest");
  }
  const bool own = !in_transaction();
  if (own) ARROW_RETURN_NOT_OK(begin(context, {}));
  Result<int64_t> count = load(context, target, rows);
  if (!own || !usable()) return count;
  if (count.ok()) {
    ARROW_RETURN_NOT_OK(commit(context));
  } else if (!rollback({Deadline::in(kCancelWait), {}}).ok()) {
    channel_.give_up();
  }
  return count;
}

Result<std::vector<uint32_t>> Session::target_types(const std::string& table,
                                                    const std::string& columns) {
  Statement probe;
  ARROW_RETURN_NOT_OK(
      describe_as(probe, "SELECT " + columns + " FROM " + table, {}, Scope::kNone, false, nullptr));
  std::vector<uint32_t> oids;
  for (const ColumnHead& column : probe.columns) oids.push_back(column.oid);
  return oids;
}

Result<int64_t> Session::load(const CallContext& context, const IngestTarget& target,
                              arrow::RecordBatchReader& rows) {
  const std::string table = quoted_table(target.table);
  const arrow::Schema& schema = *rows.schema();
  std::string columns;
  for (const auto& field : schema.fields()) {
    columns += (columns.empty() ? "" : ", ") + quote_identifier(field->name());
  }
  if (target.mode == IngestMode::kReplace) {
    ARROW_RETURN_NOT_OK(run(context, "DROP TABLE IF EXISTS " + table));
  }
  if (target.mode != IngestMode::kAppend) {
    ARROW_ASSIGN_OR_RAISE(const std::string definitions, definitions_of(schema));
    const bool maybe = target.mode == IngestMode::kCreateAppend;
    ARROW_RETURN_NOT_OK(run(context, std::string("CREATE TABLE ") +
                                         (maybe ? "IF NOT EXISTS " : "") + table + " (" +
                                         definitions + ")"));
  }

  ARROW_RETURN_NOT_OK(channel_.start(context));
  ARROW_ASSIGN_OR_RAISE(const std::vector<uint32_t> targets, target_types(table, columns));
  std::unique_ptr<RowWriter> writer = BinaryWriter::make(schema, targets);
  const bool binary = writer != nullptr;
  if (!binary) writer = std::make_unique<TextWriter>();
  const std::string copy =
      "COPY " + table + " (" + columns + ") FROM STDIN" + (binary ? " (FORMAT binary)" : "");
  ARROW_RETURN_NOT_OK(channel_.flush(PQsendQuery(channel_.conn(), copy.c_str())));
  ARROW_ASSIGN_OR_RAISE(const PgResult accepted, channel_.next());
  std::string head;
  if (binary) {
    head.assign("PGCOPY\n\377\r\n\0", 11);
    put_int64(head, 0);  // flags, and no extension
  }
  Status fed = feed(channel_, rows, *writer, std::move(head));
  if (!fed.ok()) {
    // The server throws away what came so far. (An error of the wire has ended the call already.)
    if (channel_.busy() && !channel_.run_out(Deadline::in(kCancelWait))) channel_.give_up();
    return fed;
  }
  if (binary) {
    std::string trailer;
    put_int16(trailer, -1);
    ARROW_RETURN_NOT_OK(channel_.flush(PQputCopyData(channel_.conn(), trailer.data(), 2)));
  }
  ARROW_RETURN_NOT_OK(channel_.flush(PQputCopyEnd(channel_.conn(), nullptr)));
  ARROW_ASSIGN_OR_RAISE(const int64_t count, channel_.drain());
  channel_.finish();
  return count;
}

}  // namespace cenote::postgresql
