// Arrow crosses to other libraries by the C data interface only, so that any version of them will
// do.
#include "frame.h"

#include <algorithm>

#include <arrow/array.h>
#include <arrow/c/abi.h>
#include <arrow/c/bridge.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "error.h"
#include "frame/print.h"
#include "frame/text.h"
#include "visit.h"

namespace cenote::python {
namespace {

// What a capsule holds is released by whoever took it; a capsule that nobody opened releases it
// itself.
template <typename Struct>
void release(PyObject* capsule) {
  const char* const name = PyCapsule_GetName(capsule);
  auto* const held = static_cast<Struct*>(PyCapsule_GetPointer(capsule, name));
  if (held == nullptr) return;
  if (held->release != nullptr) {
    const Leave left;
    held->release(held);
  }
  delete held;
}

template <typename Struct>
nb::object capsule_of(std::unique_ptr<Struct> held, const char* name) {
  PyObject* const capsule = PyCapsule_New(held.get(), name, release<Struct>);
  if (capsule == nullptr) throw nb::python_error();
  held.release();
  return nb::steal(capsule);
}

template <typename Struct>
Struct* pointer_of(const nb::object& capsule, const char* name) {
  auto* const held = static_cast<Struct*>(PyCapsule_GetPointer(capsule.ptr(), name));
  if (held == nullptr) throw nb::python_error();
  return held;
}

// The first rows and columns as text, null as None; of a long cell only about `limit` bytes.
nb::list head(const Frame& frame, int64_t rows, int columns, size_t limit) {
  const auto part = frame.table->Slice(0, rows);
  nb::list lines;
  for (int64_t row = 0; row < part->num_rows(); ++row) lines.append(nb::list());
  for (int column = 0; column < std::min(columns, part->num_columns()); ++column) {
    int64_t line = 0;
    for (const auto& chunk : part->column(column)->chunks()) {
      for (int64_t row = 0; row < chunk->length(); ++row, ++line) {
        nb::object cell = nb::none();
        if (!chunk->IsNull(row)) {
          std::string text;
          append_text(*part->field(column), *chunk, row, &text, limit);
          cell = nb::steal(
              PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
        }
        nb::cast<nb::list>(lines[static_cast<size_t>(line)]).append(cell);
      }
    }
  }
  return lines;
}

}  // namespace

nb::object stream_capsule(std::shared_ptr<arrow::RecordBatchReader> reader) {
  auto stream = std::make_unique<ArrowArrayStream>();
  unwrap(arrow::ExportRecordBatchReader(std::move(reader), stream.get()));
  return capsule_of(std::move(stream), "arrow_array_stream");
}

nb::object schema_capsule(const arrow::Schema& schema) {
  auto exported = std::make_unique<ArrowSchema>();
  unwrap(arrow::ExportSchema(schema, exported.get()));
  return capsule_of(std::move(exported), "arrow_schema");
}

std::shared_ptr<arrow::RecordBatchReader> reader_from(nb::handle source) {
  if (nb::hasattr(source, "__arrow_c_stream__")) {
    const nb::object capsule = source.attr("__arrow_c_stream__")();
    return unwrap(arrow::ImportRecordBatchReader(
        pointer_of<ArrowArrayStream>(capsule, "arrow_array_stream")));
  }
  if (nb::hasattr(source, "__arrow_c_array__")) {
    const nb::object pair = source.attr("__arrow_c_array__")();
    const nb::object schema = pair[0];
    const nb::object array = pair[1];
    auto batch = unwrap(arrow::ImportRecordBatch(pointer_of<ArrowArray>(array, "arrow_array"),
                                                 pointer_of<ArrowSchema>(schema, "arrow_schema")));
    return unwrap(arrow::RecordBatchReader::Make({batch}, batch->schema()));
  }
  throw nb::type_error(
      "rows must come from an object with __arrow_c_stream__: a frame of cenote, pyarrow, polars "
      "or pandas 2.2 or later");
}

void bind_frame(nb::module_& module) {
  nb::class_<Frame>(module, "Frame")
      .def("num_rows", [](const Frame& frame) { return frame.table->num_rows(); })
      .def("origin",
           [](const Frame& frame) -> nb::object {
             if (!frame.origin) return nb::none();
             const Origin& from = *frame.origin;
             nb::object as_of = nb::none();
             if (from.as_of) {
               const std::chrono::duration<double> time = from.as_of->time_since_epoch();
               as_of = nb::float_(time.count());
             }
             return nb::make_tuple(from.node, from.location, from.attempts, from.target, from.stale,
                                   from.source, as_of, from.config_version);
           })
      .def("num_columns", [](const Frame& frame) { return frame.table->num_columns(); })
      .def("columns", [](const Frame& frame) { return frame.table->ColumnNames(); })
      .def("types",
           [](const Frame& frame) {
             std::vector<std::string> types;
             for (const auto& field : frame.table->fields())
               types.push_back(field->type()->ToString());
             return types;
           })
      .def("rows", [](const Frame& frame, int64_t offset,
                      int64_t count) { return rows_of(*frame.table, offset, count); })
      .def("head", head)
      .def("print",
           [](const Frame& frame, int64_t rows, size_t width, size_t cell) {
             const std::string text = print_table(*frame.table, {rows, width, cell});
             return nb::steal(PyUnicode_DecodeUTF8(
                 text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
           })
      .def("stream",
           [](const Frame& frame) {
             return stream_capsule(std::make_shared<arrow::TableBatchReader>(frame.table));
           })
      .def("schema", [](const Frame& frame) { return schema_capsule(*frame.table->schema()); });
  module.def("frame_from", [](nb::handle source) {
    auto reader = reader_from(source);
    auto table = [&] {
      const Leave left;
      return reader->ToTable();
    }();
    return Frame{unwrap(std::move(table))};
  });
}

}  // namespace cenote::python
