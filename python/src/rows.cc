// Cells as Python values, a column at a time.
#include <functional>
#include <string>

#include <arrow/array.h>
#include <arrow/extension_type.h>
#include <arrow/scalar.h>
#include <arrow/util/decimal.h>
#include <arrow/util/float16.h>
#include <arrow/util/key_value_metadata.h>

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
  nb::object interval = nb::module_::import_("cenote._frame").attr("MonthDayNano");
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

Cell half_floats(const arrow::Array& array) {
  const auto& typed = static_cast<const arrow::HalfFloatArray&>(array);
  return [&typed](int64_t row) -> nb::object {
    return nb::float_(arrow::util::Float16::FromBits(typed.Value(row)).ToDouble());
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
  return [&typed](int64_t row) -> nb::object {
    return makers().decimal(nb::str(typed.FormatValue(row).c_str()));
  };
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
nb::object item_of(const arrow::Array& array, const Cell& cell, int64_t row);

template <typename Array>
Cell lists(const arrow::Array& array) {
  const auto& typed = static_cast<const Array&>(array);
  return [&typed, item = cells(*typed.values())](int64_t row) -> nb::object {
    nb::list list;
    for (int64_t at = typed.value_offset(row);
         at < typed.value_offset(row) + typed.value_length(row); ++at) {
      list.append(item_of(*typed.values(), item, at));
    }
    return list;
  };
}

// The value itself, or None.
nb::object item_of(const arrow::Array& array, const Cell& cell, int64_t row) {
  return array.IsNull(row) ? nb::object(nb::none()) : cell(row);
}

Cell structs(const arrow::Array& array) {
  const auto& typed = static_cast<const arrow::StructArray&>(array);
  // Of the sliced array, whose offset its fields share.
  std::vector<std::pair<std::shared_ptr<arrow::Array>, Cell>> fields;
  for (const std::shared_ptr<arrow::Array>& field : typed.fields()) {
    fields.emplace_back(field, cells(*field));
  }
  return [type = typed.struct_type(), fields](int64_t row) -> nb::object {
    nb::dict dict;
    for (size_t i = 0; i < fields.size(); ++i) {
      dict[type->field(static_cast<int>(i))->name().c_str()] =
          item_of(*fields[i].first, fields[i].second, row);
    }
    return dict;
  };
}

// Pairs, because keys need not be hashable.
Cell maps(const arrow::Array& array) {
  const auto& typed = static_cast<const arrow::MapArray&>(array);
  return [&typed, key = cells(*typed.keys()),
          value = cells(*typed.items())](int64_t row) -> nb::object {
    nb::list list;
    for (int64_t at = typed.value_offset(row);
         at < typed.value_offset(row) + typed.value_length(row); ++at) {
      list.append(nb::make_tuple(key(at), item_of(*typed.items(), value, at)));
    }
    return list;
  };
}

Cell dictionaries(const arrow::Array& array) {
  const auto& typed = static_cast<const arrow::DictionaryArray&>(array);
  return [&typed, values = typed.dictionary(),
          value = cells(*typed.dictionary())](int64_t row) -> nb::object {
    return item_of(*values, value, typed.GetValueIndex(row));
  };
}

Cell uuids(Cell storage) {
  return [storage = std::move(storage)](int64_t row) -> nb::object {
    return makers().uuid(nb::arg("bytes") = storage(row));
  };
}

Cell extension(const arrow::Array& array) {
  const auto& typed = static_cast<const arrow::ExtensionArray&>(array);
  const auto& type = static_cast<const arrow::ExtensionType&>(*array.type());
  Cell storage = cells(*typed.storage());
  return type.extension_name() == "arrow.uuid" ? uuids(std::move(storage)) : storage;
}

// Months are no fixed time, so an interval is no timedelta.
Cell intervals(const arrow::Array& array) {
  const auto parts = [](int64_t months, int64_t days, int64_t nanoseconds) -> nb::object {
    return makers().interval(months, days, nanoseconds);
  };
  if (array.type_id() == arrow::Type::INTERVAL_MONTHS) {
    const auto& typed = static_cast<const arrow::MonthIntervalArray&>(array);
    return [&typed, parts](int64_t row) { return parts(typed.Value(row), 0, 0); };
  }
  if (array.type_id() == arrow::Type::INTERVAL_DAY_TIME) {
    const auto& typed = static_cast<const arrow::DayTimeIntervalArray&>(array);
    return [&typed, parts](int64_t row) {
      const auto value = typed.GetValue(row);
      return parts(0, value.days, int64_t{value.milliseconds} * 1'000'000);
    };
  }
  const auto& typed = static_cast<const arrow::MonthDayNanoIntervalArray&>(array);
  return [&typed, parts](int64_t row) {
    const auto value = typed.GetValue(row);
    return parts(value.months, value.days, value.nanoseconds);
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
    case arrow::Type::HALF_FLOAT:
      return half_floats(array);
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
    case arrow::Type::DECIMAL32:
      return decimals<arrow::Decimal32Array>(array);
    case arrow::Type::DECIMAL64:
      return decimals<arrow::Decimal64Array>(array);
    case arrow::Type::DECIMAL128:
      return decimals<arrow::Decimal128Array>(array);
    case arrow::Type::DECIMAL256:
      return decimals<arrow::Decimal256Array>(array);
    case arrow::Type::LIST:
      return lists<arrow::ListArray>(array);
    case arrow::Type::LARGE_LIST:
      return lists<arrow::LargeListArray>(array);
    case arrow::Type::FIXED_SIZE_LIST:
      return lists<arrow::FixedSizeListArray>(array);
    case arrow::Type::LIST_VIEW:
      return lists<arrow::ListViewArray>(array);
    case arrow::Type::LARGE_LIST_VIEW:
      return lists<arrow::LargeListViewArray>(array);
    case arrow::Type::STRUCT:
      return structs(array);
    case arrow::Type::MAP:
      return maps(array);
    case arrow::Type::DICTIONARY:
      return dictionaries(array);
    case arrow::Type::INTERVAL_MONTHS:
    case arrow::Type::INTERVAL_DAY_TIME:
    case arrow::Type::INTERVAL_MONTH_DAY_NANO:
      return intervals(array);
    case arrow::Type::EXTENSION:
      return extension(array);
    default:
      return temporal(array);
  }
}

Cell column_cells(const arrow::Field& field, const arrow::Array& array) {
  Cell plain = cells(array);
  const auto& metadata = field.metadata();
  if (metadata == nullptr || array.type_id() != arrow::Type::FIXED_SIZE_BINARY) return plain;
  const auto type = metadata->Get("cenote.database_type");
  return type.ok() && *type == "uuid" ? uuids(std::move(plain)) : plain;
}

// Tells which cell it was that Python's type cannot hold: a year above 9999, 24:00:00.
[[noreturn]] void refuse_cell(nb::python_error& error, const std::string& column, int64_t row) {
  if (!error.matches(PyExc_ValueError) && !error.matches(PyExc_OverflowError)) throw;
  raise(make_error(ErrorKind::kData,
                   "row " + std::to_string(row + 1) + " of column '" + column +
                       "' has a value beyond Python's type (" + error.what() +
                       "): take the frame as Arrow (to_pyarrow), or cast the column to text"));
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
    const arrow::Field& field = *part->field(static_cast<int>(column));
    int64_t at = 0;
    for (const auto& chunk : part->column(static_cast<int>(column))->chunks()) {
      const Cell cell = column_cells(field, *chunk);
      for (int64_t row = 0; row < chunk->length(); ++row, ++at) {
        try {
          PyTuple_SetItem(tuples[static_cast<size_t>(at)], column,
                          item_of(*chunk, cell, row).release().ptr());
        } catch (nb::python_error& error) {
          refuse_cell(error, field.name(), offset + at);
        }
      }
    }
  }
  return list;
}

}  // namespace cenote::python
