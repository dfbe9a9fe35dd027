// Results batch by batch.
#include <arrow/table.h>

#include "error.h"
#include "frame.h"
#include "interrupt.h"
#include "pool.h"
#include "workers.h"

namespace cenote::python {
namespace {

using TablePtr = std::shared_ptr<arrow::Table>;

// Null at the end.
Result<TablePtr> read_next(StreamState& state) {
  const Lock lock(state.mutex);
  if (!state.reader)
    return make_error(ErrorKind::kInterface, "this stream was closed or handed on; query again");
  std::shared_ptr<arrow::RecordBatch> batch;
  ARROW_RETURN_NOT_OK(state.reader->ReadNext(&batch));
  if (!batch) return TablePtr();
  return arrow::Table::FromRecordBatches(state.schema, {batch});
}

Result<bool> close(StreamState& state) {
  state.stop.request_stop();  // lets a read that runs now end
  const Lock lock(state.mutex);
  if (!state.reader) return false;
  const auto reader = std::move(state.reader);
  state.reader = nullptr;
  ARROW_RETURN_NOT_OK(reader->Close());
  return true;
}

nb::object frame_or_none(TablePtr table, const std::optional<Origin>& origin) {
  return table ? nb::cast(Frame{std::move(table), origin}) : nb::object(nb::none());
}

}  // namespace

StreamHandle make_stream(std::shared_ptr<arrow::RecordBatchReader> reader, const Stop& stop,
                         std::optional<Origin> origin) {
  auto state = std::make_shared<StreamState>();
  state->schema = reader->schema();
  state->stop = stop.source;
  state->origin = std::move(origin);
  const Lock lock(state->mutex);
  state->reader = std::move(reader);
  return StreamHandle(state);
}

StreamHandle::~StreamHandle() {
  if (!state) return;
  if (state->mutex.try_lock()) {
    const bool open = state->reader != nullptr;
    state->mutex.unlock();
    if (!open) return;
  }
  // Open, or being read now.
  run_on_worker([dropped = std::move(state)] { (void)close(*dropped); });
}

void bind_stream(nb::module_& module) {
  nb::class_<StreamHandle>(module, "Stream")
      .def("next",
           [](const StreamHandle& self) {
             return frame_or_none(
                 blocking(self.state->stop, [&] { return read_next(*self.state); }),
                 self.state->origin);
           })
      .def("async_next",
           [](const StreamHandle& self, const Loop& loop, uint64_t token) {
             run_on_worker([state = self.state, reply = Reply{loop.queue, token}] {
               reply.send(read_next(*state), [state](TablePtr table) {
                 return frame_or_none(std::move(table), state->origin);
               });
             });
           })
      .def("close", [](const StreamHandle& self) { unlocked([&] { return close(*self.state); }); })
      .def("async_close",
           [](const StreamHandle& self, const Loop& loop, uint64_t token) {
             run_on_worker([state = self.state, reply = Reply{loop.queue, token}] {
               reply.send(close(*state), [](bool) { return nb::object(nb::none()); });
             });
           })
      .def("columns",
           [](const StreamHandle& self) {
             nb::list names;
             for (const auto& field : self.state->schema->fields()) names.append(field->name());
             return names;
           })
      .def("schema", [](const StreamHandle& self) { return schema_capsule(*self.state->schema); })
      .def("stream", [](const StreamHandle& self) {
        auto reader = [&]() -> Result<std::shared_ptr<arrow::RecordBatchReader>> {
          const Leave left;
          const Lock lock(self.state->mutex);
          if (!self.state->reader) {
            return make_error(ErrorKind::kInterface,
                              "this stream was read, closed or handed on already; query again");
          }
          return std::exchange(self.state->reader, nullptr);
        }();
        return stream_capsule(unwrap(std::move(reader)));
      });
}

}  // namespace cenote::python
