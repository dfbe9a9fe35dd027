// A table as Python holds it, the Arrow C stream PyCapsules in both directions, and cells as Python
// values.
#pragma once

#include <memory>
#include <optional>

#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <nanobind/nanobind.h>

#include "cenote/error.h"
#include "cenote/manager.h"

namespace cenote::python {

namespace nb = nanobind;

struct Frame {
  std::shared_ptr<arrow::Table> table;
  std::optional<Origin> origin{};  // none: not asked of a cluster
};

// Rows [offset, offset + count) as a list of tuples.
nb::list rows_of(const arrow::Table& table, int64_t offset, int64_t count);

nb::object stream_capsule(std::shared_ptr<arrow::RecordBatchReader> reader);
nb::object schema_capsule(const arrow::Schema& schema);
// A reader over anything with __arrow_c_stream__ or __arrow_c_array__. Raises TypeError for what
// has neither.
std::shared_ptr<arrow::RecordBatchReader> reader_from(nb::handle source);

void bind_frame(nb::module_& module);

}  // namespace cenote::python
