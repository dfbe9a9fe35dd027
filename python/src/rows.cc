// Cells as Python values, a column at a time.
#include <functional>
#include <string>

#include <arrow/array.h>
#include <arrow/extension_type.h>
#include <arrow/scalar.h>
#include <arrow/util/decimal.h>

#include "error.h"
#include "frame.h"

namespace cenote::python {
namespace {

// Never freed: they live as long as the interpreter.
struct Makers {
  nb::object decimal = nb::module_::import_("decimal").attr("Decimal");
  nb::object date = nb::module_::import_("datetime").attr("date").attr("fromordinal");
  nb::object timedelta = nb::module_::import_("datetime").attr("timedelta");
  nb::object time = nb::module_::import_("datetime").attr("time");
  nb::object datetime = nb::module_::import_("datetime").attr("datetime");
  nb::object utc = nb::module_::import_("datetime").attr("timezone").attr("utc");
  nb::object uuid = nb::module_::import_("uuid").attr("UUID");
  nb::object epoch = datetime(1970, 1, 1);
  nb::object epoch_utc = datetime(1970, 1, 1, nb::arg("tzinfo") = utc);
};

const Makers& makers() {
  static const auto* const instance = new Makers;
  return *instance;
}

using Cell = std::function<nb::object(int64_t)>;

// Python's clock ends at microseconds: finer digits are cut, rounding down.
int64_t to_microseconds(int64_t value, arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND:
      return value * 1'000'000;
    case arrow::TimeUnit::MILLI:
      return value * 1'000;
    case arrow::TimeUnit::MICRO:
      return value;
    case arrow::TimeUnit::NANO:
      return value >= 0 ? value / 1'000 : -((-value + 999) / 1'000);
  }
  return value;
}

nb::object delta(int64_t microseconds) {
  return makers().timedelta(0, 0, microseconds);
}

nb::object time_of_day(int64_t microseconds) {
  const int64_t seconds = microseconds / 1'000'000;
  return makers().time(seconds / 3600, seconds / 60 % 60, seconds % 60, microseconds % 1'000'000);
}

template <typename Array>
Cell integers(const arrow::Array& array) {
  const auto& typed = static_cast<const Array&>(array);
  return [&typed](int64_t row) -> nb::object { return nb::int_(typed.Value(row)); };
}

template <typename Array>
Cell floats(const arrow::Array& array) {
  const auto& typed = static_cast<const Array&>(array);
  return [&typed](int64_t row) -> nb::object {
    return nb::float_(static_cast<double>(typed.Value(row)));
  };
}

template <typename Array>
Cell strings(const arrow::Array& array) {
  const auto& typed = static_cast<const Array&>(array);
  return [&typed](int64_t row) -> nb::object {
    const std::string_view view = typed.GetView(row);
    return nb::str(view.data(), view.size());
  };
}

template <typename Array>
Cell binaries(const arrow::Array& array) {
  const auto& typed = static_cast<const Array&>(array);
  return [&typed](int64_t row) -> nb::object {
    const std::string_view view = typed.GetView(row);
    return nb::bytes(view.data(), view.size());
  };
}

template <typename Array>
Cell decimals(const arrow::Array& array) {
  const auto& typed = static_cast<const Array&>(array);
  return [&typed](int64_t row) -> nb::object { return makers().decimal(typed.FormatValue(row)); };
}

Cell timestamps(const arrow::Array& array) {
  const auto& typed = static_cast<const arrow::TimestampArray&>(array);
  const auto& type = static_cast<const arrow::TimestampType&>(*array.type());
  nb::object zone = nb::none();
  if (!type.timezone().empty() && type.timezone() != "UTC") {
    zone = nb::module_::import_("cenote._frame").attr("zone")(type.timezone().c_str());
  }
  const nb::object& epoch = type.timezone().empty() ? makers().epoch : makers().epoch_utc;
  return [&typed, unit = type.unit(), zone, epoch](int64_t row) -> nb::object {
    nb::object value = epoch + delta(to_microseconds(typed.Value(row), unit));
    return zone.is_none() ? value : nb::object(value.attr("astimezone")(zone));
  };
}

Cell cells(const arrow::Array& array);

template <typename Array>
Cell lists(const arrow::Array& array) {
  const auto& typed = static_cast<const Array&>(array);
  return [&typed, item = cells(*typed.values())](int64_t row) -> nb::object {
    nb::list list;
    for (int64_t at = typed.value_offset(row);
         at < typed.value_offset(row) + typed.value_length(row); ++at) {
      list.append(typed.values()->IsNull(at) ? nb::none() : item(at));
    }
    return list;
  };
}

Cell extension(const arrow::Array& array) {
  const auto& typed = static_cast<const arrow::ExtensionArray&>(array);
  const auto& type = static_cast<const arrow::ExtensionType&>(*array.type());
  if (type.extension_name() != "arrow.uuid") return cells(*typed.storage());
  return [storage = cells(*typed.storage())](int64_t row) -> nb::object {
    return makers().uuid(nb::arg("bytes") = storage(row));
  };
}

Cell temporal(const arrow::Array& array) {
  switch (array.type_id()) {
    case arrow::Type::DATE32: {
      const auto& typed = static_cast<const arrow::Date32Array&>(array);
      return [&typed](int64_t row) -> nb::object {
        return makers().date(int64_t{typed.Value(row)} + 719'163);
      };
    }
    case arrow::Type::DATE64: {
      const auto& typed = static_cast<const arrow::Date64Array&>(array);
      return [&typed](int64_t row) -> nb::object {
        return makers().date(typed.Value(row) / 86'400'000 + 719'163);
      };
    }
    case arrow::Type::TIME32: {
      const auto& typed = static_cast<const arrow::Time32Array&>(array);
      const auto unit = static_cast<const arrow::Time32Type&>(*array.type()).unit();
      return [&typed, unit](int64_t row) -> nb::object {
        return time_of_day(to_microseconds(typed.Value(row), unit));
      };
    }
    case arrow::Type::TIME64: {
      const auto& typed = static_cast<const arrow::Time64Array&>(array);
      const auto unit = static_cast<const arrow::Time64Type&>(*array.type()).unit();
      return [&typed, unit](int64_t row) -> nb::object {
        return time_of_day(to_microseconds(typed.Value(row), unit));
      };
    }
    case arrow::Type::TIMESTAMP:
      return timestamps(array);
    case arrow::Type::DURATION: {
      const auto& typed = static_cast<const arrow::DurationArray&>(array);
      const auto unit = static_cast<const arrow::DurationType&>(*array.type()).unit();
      return [&typed, unit](int64_t row) -> nb::object {
        return delta(to_microseconds(typed.Value(row), unit));
      };
    }
    default:
      break;
  }
  // What has no Python type of its own is shown as Arrow writes it.
  return [&array](int64_t row) -> nb::object {
    const std::string text = unwrap(array.GetScalar(row))->ToString();
    return nb::str(text.data(), text.size());
  };
}

Cell cells(const arrow::Array& array) {
  switch (array.type_id()) {
    case arrow::Type::NA:
      return [](int64_t) -> nb::object { return nb::none(); };
    case arrow::Type::BOOL: {
      const auto& typed = static_cast<const arrow::BooleanArray&>(array);
      return [&typed](int64_t row) -> nb::object { return nb::bool_(typed.Value(row)); };
    }
    case arrow::Type::INT8:
      return integers<arrow::Int8Array>(array);
    case arrow::Type::INT16:
      return integers<arrow::Int16Array>(array);
    case arrow::Type::INT32:
      return integers<arrow::Int32Array>(array);
    case arrow::Type::INT64:
      return integers<arrow::Int64Array>(array);
    case arrow::Type::UINT8:
      return integers<arrow::UInt8Array>(array);
    case arrow::Type::UINT16:
      return integers<arrow::UInt16Array>(array);
    case arrow::Type::UINT32:
      return integers<arrow::UInt32Array>(array);
    case arrow::Type::UINT64:
      return integers<arrow::UInt64Array>(array);
    case arrow::Type::FLOAT:
      return floats<arrow::FloatArray>(array);
    case arrow::Type::DOUBLE:
      return floats<arrow::DoubleArray>(array);
    case arrow::Type::STRING:
      return strings<arrow::StringArray>(array);
    case arrow::Type::LARGE_STRING:
      return strings<arrow::LargeStringArray>(array);
    case arrow::Type::STRING_VIEW:
      return strings<arrow::StringViewArray>(array);
    case arrow::Type::BINARY:
      return binaries<arrow::BinaryArray>(array);
    case arrow::Type::LARGE_BINARY:
      return binaries<arrow::LargeBinaryArray>(array);
    case arrow::Type::BINARY_VIEW:
      return binaries<arrow::BinaryViewArray>(array);
    case arrow::Type::FIXED_SIZE_BINARY:
      return binaries<arrow::FixedSizeBinaryArray>(array);
    case arrow::Type::DECIMAL128:
      return decimals<arrow::Decimal128Array>(array);
    case arrow::Type::DECIMAL256:
      return decimals<arrow::Decimal256Array>(array);
    case arrow::Type::LIST:
      return lists<arrow::ListArray>(array);
    case arrow::Type::LARGE_LIST:
      return lists<arrow::LargeListArray>(array);
    case arrow::Type::EXTENSION:
      return extension(array);
    default:
      return temporal(array);
  }
}

}  // namespace

nb::list rows_of(const arrow::Table& table, int64_t offset, int64_t count) {
  const std::shared_ptr<arrow::Table> part = table.Slice(offset, count);
  const Py_ssize_t width = part->num_columns();
  std::vector<PyObject*> tuples;
  nb::list list;
  for (int64_t row = 0; row < part->num_rows(); ++row) {
    nb::object tuple = nb::steal(PyTuple_New(width));
    if (!tuple.is_valid()) throw nb::python_error();
    list.append(tuple);
    tuples.push_back(tuple.ptr());  // the list keeps it alive
  }
  // A tuple with holes is legal until it leaves here; an exception on the way frees it.
  for (Py_ssize_t column = 0; column < width; ++column) {
    int64_t at = 0;
    for (const auto& chunk : part->column(static_cast<int>(column))->chunks()) {
      const Cell cell = cells(*chunk);
      for (int64_t row = 0; row < chunk->length(); ++row, ++at) {
        nb::object value = chunk->IsNull(row) ? nb::object(nb::none()) : cell(row);
        PyTuple_SetItem(tuples[static_cast<size_t>(at)], column, value.release().ptr());
      }
    }
  }
  return list;
}

}  // namespace cenote::python
