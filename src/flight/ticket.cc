// Parameters to and from Arrow IPC.
#include "flight/ticket.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include <arrow/array/util.h>
#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <arrow/type.h>
#include <arrow/util/utf8.h>

namespace cenote::flight {
namespace {

// ADBC numbers the columns of parameters from 0, JDBC and others call them by their place too.
bool is_made_up(std::string_view name) {
  static constexpr std::array<std::string_view, 7> kPrefixes = {
      "", "$", "?", "param", "param_", "parameter", "parameter_"};
  const std::string_view prefix = name.substr(0, name.find_first_of("0123456789"));
  if (std::find(kPrefixes.begin(), kPrefixes.end(), prefix) == kPrefixes.end()) return false;
  const std::string_view number = name.substr(prefix.size());
  if (number.empty()) return prefix.empty() || prefix == "?";
  return number.find_first_not_of("0123456789") == std::string_view::npos;
}

enum Plain : int32_t { kNull = 0, kBool = 1, kInt64 = 2, kDouble = 3, kText = 4, kBinary = 5 };

// False where the value needs Arrow IPC.
bool set_plain(const arrow::Scalar& value, PlainValue* plain) {
  switch (value.type->id()) {
    case arrow::Type::NA:
      plain->type = kNull;
      return true;
    case arrow::Type::BOOL:
      plain->type = kBool;
      plain->number = static_cast<const arrow::BooleanScalar&>(value).value ? 1 : 0;
      return value.is_valid;
    case arrow::Type::INT64:
      plain->type = kInt64;
      plain->number = static_cast<const arrow::Int64Scalar&>(value).value;
      return value.is_valid;
    case arrow::Type::DOUBLE:
      plain->type = kDouble;
      plain->number = std::bit_cast<int64_t>(static_cast<const arrow::DoubleScalar&>(value).value);
      return value.is_valid;
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      plain->type = value.type->id() == arrow::Type::STRING ? kText : kBinary;
      // A null of a type keeps its type only in IPC.
      if (!value.is_valid) return false;
      plain->bytes.assign(static_cast<const arrow::BaseBinaryScalar&>(value).view());
      return true;
    default:
      return false;
  }
}

Result<std::shared_ptr<arrow::Scalar>> scalar_of(const PlainValue& plain) {
  switch (plain.type) {
    case kNull:
      return Params::scalar(nullptr);
    case kBool:
      return Params::scalar(plain.number != 0);
    case kInt64:
      return Params::scalar(plain.number);
    case kDouble:
      return Params::scalar(std::bit_cast<double>(plain.number));
    case kText:
      if (!arrow::util::ValidateUTF8(plain.bytes)) {
        return make_error(ErrorKind::kInterface, "a text parameter is not UTF-8");
      }
      return Params::scalar(std::string_view(plain.bytes));
    case kBinary:
      return std::make_shared<arrow::BinaryScalar>(std::string(plain.bytes));
    default:
      return make_error(ErrorKind::kNotSupported,
                        "a parameter is of a kind that this node does not know; is the client "
                        "newer?");
  }
}

}  // namespace

Status set_params(const Params& params, Call* call) {
  bool all_plain = true;
  for (size_t i = 0; i < params.values.size() && all_plain; ++i) {
    PlainValue& plain = call->plain.emplace_back();
    if (i < params.names.size()) plain.name = params.names[i];
    all_plain = params.values[i] != nullptr && set_plain(*params.values[i], &plain);
  }
  if (all_plain) return Status::OK();
  call->plain.clear();
  return encode_params(params).Value(&call->params);
}

Result<Params> params_of(const Call& call) {
  if (call.plain.empty()) return decode_params(call.params);
  Params params;
  bool named = false;
  for (const PlainValue& plain : call.plain) {
    ARROW_ASSIGN_OR_RAISE(auto value, scalar_of(plain));
    params.values.push_back(std::move(value));
    params.names.push_back(plain.name);
    named = named || !plain.name.empty();
  }
  if (!named) params.names.clear();
  return params;
}

Result<Bytes> encode_params(const Params& params) {
  if (params.empty()) return Bytes();
  arrow::FieldVector fields;
  arrow::ArrayVector columns;
  for (size_t i = 0; i < params.values.size(); ++i) {
    if (params.values[i] == nullptr) {
      return make_error(ErrorKind::kInterface, "a parameter is a null pointer");
    }
    ARROW_ASSIGN_OR_RAISE(auto column, arrow::MakeArrayFromScalar(*params.values[i], 1));
    fields.push_back(arrow::field(i < params.names.size() ? params.names[i] : "", column->type()));
    columns.push_back(std::move(column));
  }
  const auto schema = arrow::schema(std::move(fields));
  const auto batch = arrow::RecordBatch::Make(schema, 1, std::move(columns));
  ARROW_ASSIGN_OR_RAISE(const auto sink, arrow::io::BufferOutputStream::Create(1024));
  ARROW_ASSIGN_OR_RAISE(const auto writer, arrow::ipc::MakeStreamWriter(sink, schema));
  ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(*batch));
  ARROW_RETURN_NOT_OK(writer->Close());
  ARROW_ASSIGN_OR_RAISE(const auto buffer, sink->Finish());
  return Bytes(buffer->ToString());
}

Result<Params> decode_params(std::string_view bytes) {
  Params params;
  if (bytes.empty()) return params;
  const auto damaged = [](const Status& status) {
    return make_error(ErrorKind::kInterface,
                      "the parameters of the call are damaged: " + status.message());
  };
  const auto source =
      std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(std::string(bytes)));
  const auto reader = arrow::ipc::RecordBatchStreamReader::Open(source);
  if (!reader.ok()) return damaged(reader.status());
  std::shared_ptr<arrow::RecordBatch> batch;
  const Status status = (*reader)->ReadNext(&batch);
  if (!status.ok()) return damaged(status);
  if (batch == nullptr || batch->num_rows() != 1) {
    return damaged(Status::Invalid("there must be exactly one row"));
  }
  const Status valid = batch->ValidateFull();
  if (!valid.ok()) return damaged(valid);
  bool named = false;
  for (int i = 0; i < batch->num_columns(); ++i) {
    ARROW_ASSIGN_OR_RAISE(auto value, batch->column(i)->GetScalar(0));
    params.values.push_back(std::move(value));
    params.names.push_back(batch->column_name(i));
    named = named || !batch->column_name(i).empty();
  }
  if (!named) params.names.clear();
  return params;
}

Result<Params> params_of(const arrow::RecordBatch& batch, int64_t row) {
  Params params;
  bool named = batch.num_columns() > 0;
  for (int i = 0; i < batch.num_columns(); ++i) {
    ARROW_ASSIGN_OR_RAISE(auto value, batch.column(i)->GetScalar(row));
    params.values.push_back(std::move(value));
    params.names.push_back(batch.column_name(i));
    named = named && !is_made_up(batch.column_name(i));
  }
  if (!named) params.names.clear();
  return params;
}

}  // namespace cenote::flight
