// The stable ABI has no datetime C API, so dates and times are read by their attributes.
#include "params.h"

#include <string>

#include <arrow/array/builder_base.h>
#include <arrow/builder.h>
#include <arrow/type.h>
#include <arrow/util/decimal.h>

#include "error.h"

namespace cenote::python {
namespace {

using ScalarPtr = std::shared_ptr<arrow::Scalar>;

// The classes of the standard library that have a meaning here. Never freed: they live as long as
// the interpreter.
struct Types {
  nb::object decimal = nb::module_::import_("decimal").attr("Decimal");
  nb::object date = nb::module_::import_("datetime").attr("date");
  nb::object time = nb::module_::import_("datetime").attr("time");
  nb::object datetime = nb::module_::import_("datetime").attr("datetime");
  nb::object timedelta = nb::module_::import_("datetime").attr("timedelta");
  nb::object uuid = nb::module_::import_("uuid").attr("UUID");
  nb::object epoch = datetime(1970, 1, 1);
  nb::object epoch_utc =
      datetime(1970, 1, 1,
               nb::arg("tzinfo") = nb::module_::import_("datetime").attr("timezone").attr("utc"));
};

const Types& types() {
  static const auto* const instance = new Types;
  return *instance;
}

bool is(nb::handle value, const nb::object& type) {
  return nb::isinstance(value, type);
}

std::string text(nb::handle value) {
  return nb::cast<std::string>(nb::str(value));
}

[[noreturn]] void refuse(const std::string& what) {
  raise(make_error(ErrorKind::kInterface, what));
}

int64_t microseconds(nb::handle delta) {
  const auto days = nb::cast<int64_t>(delta.attr("days"));
  const auto seconds = nb::cast<int64_t>(delta.attr("seconds"));
  return (days * 86'400 + seconds) * 1'000'000 + nb::cast<int64_t>(delta.attr("microseconds"));
}

ScalarPtr decimal_from(const std::string& digits) {
  int32_t precision = 0;
  int32_t scale = 0;
  arrow::Decimal128 small;
  if (arrow::Decimal128::FromString(digits, &small, &precision, &scale).ok() && precision <= 38) {
    return std::make_shared<arrow::Decimal128Scalar>(
        small, arrow::decimal128(std::max(precision, std::max(scale, 1)), scale));
  }
  arrow::Decimal256 large;
  if (arrow::Decimal256::FromString(digits, &large, &precision, &scale).ok() && precision <= 76) {
    return std::make_shared<arrow::Decimal256Scalar>(
        large, arrow::decimal256(std::max(precision, std::max(scale, 1)), scale));
  }
  refuse("a number parameter has more than 76 digits or is not finite; pass it as str");
}

ScalarPtr integer_from(nb::handle value) {
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
  if (overflow != 0) return decimal_from(text(value));
  if (number == -1 && PyErr_Occurred() != nullptr) throw nb::python_error();
  return std::make_shared<arrow::Int64Scalar>(number);
}

// pandas.NaT is a datetime that is not equal to itself. (PyObject_RichCompareBool would say it is.)
bool is_not_a_time(nb::handle value) {
  const nb::object same = nb::steal(PyObject_RichCompare(value.ptr(), value.ptr(), Py_EQ));
  if (!same.is_valid()) throw nb::python_error();
  return !nb::cast<bool>(same);
}

ScalarPtr timestamp_from(nb::handle value) {
  const bool plain =
      Py_TYPE(value.ptr()) == reinterpret_cast<PyTypeObject*>(types().datetime.ptr());
  if (!plain && is_not_a_time(value)) return std::make_shared<arrow::NullScalar>();
  const bool naive = value.attr("tzinfo").is_none();
  const nb::object since = value - (naive ? types().epoch : types().epoch_utc);
  return std::make_shared<arrow::TimestampScalar>(
      microseconds(since), arrow::timestamp(arrow::TimeUnit::MICRO, naive ? "" : "UTC"));
}

ScalarPtr time_from(nb::handle value) {
  if (!value.attr("tzinfo").is_none()) {
    refuse(
        "a time with a time zone has no database type: pass a datetime, or the text with a cast");
  }
  const auto field = [&](const char* name) { return nb::cast<int64_t>(value.attr(name)); };
  const int64_t seconds = (field("hour") * 60 + field("minute")) * 60 + field("second");
  return std::make_shared<arrow::Time64Scalar>(seconds * 1'000'000 + field("microsecond"),
                                               arrow::time64(arrow::TimeUnit::MICRO));
}

ScalarPtr bytes_from(nb::handle value) {
  nb::object bytes = nb::steal(PyBytes_FromObject(value.ptr()));
  if (!bytes.is_valid()) throw nb::python_error();
  const auto view = nb::cast<nb::bytes>(bytes);
  return std::make_shared<arrow::BinaryScalar>(std::string(view.c_str(), view.size()));
}

ScalarPtr scalar_from(nb::handle value);

ScalarPtr list_from(nb::handle values) {
  std::vector<ScalarPtr> items;
  std::shared_ptr<arrow::DataType> type = arrow::null();
  for (nb::handle value : values) {
    items.push_back(scalar_from(value));
    if (!items.back()->is_valid) continue;
    if (type->id() == arrow::Type::NA) {
      type = items.back()->type;
    } else if (!type->Equals(*items.back()->type)) {
      refuse("the items of a list parameter have different types (" + type->ToString() + " and " +
             items.back()->type->ToString() + "); make them one type");
    }
  }
  auto builder = unwrap(arrow::MakeBuilder(type));
  for (const ScalarPtr& item : items) {
    unwrap(item->is_valid ? builder->AppendScalar(*item) : builder->AppendNull());
  }
  return std::make_shared<arrow::ListScalar>(unwrap(builder->Finish()));
}

ScalarPtr other_from(nb::handle value) {
  const std::string module = text(value.type().attr("__module__"));
  if (module == "numpy" && nb::hasattr(value, "item"))
    return scalar_from(nb::object(value.attr("item")()));
  if (text(value.type().attr("__name__")) == "NAType") return std::make_shared<arrow::NullScalar>();
  if (nb::hasattr(value, "__index__")) {
    nb::object index = nb::steal(PyNumber_Index(value.ptr()));
    if (!index.is_valid()) throw nb::python_error();
    return integer_from(index);
  }
  refuse("a parameter of type " + module + "." + text(value.type().attr("__name__")) +
         " has no database type; pass None, bool, int, float, str, bytes, Decimal, date, time, "
         "datetime, timedelta, UUID or a "
         "list of one of them");
}

// The frequent types first.
ScalarPtr scalar_from(nb::handle value) {
  PyObject* const raw = value.ptr();
  if (value.is_none()) return std::make_shared<arrow::NullScalar>();
  if (PyBool_Check(raw)) return std::make_shared<arrow::BooleanScalar>(raw == Py_True);
  if (PyLong_Check(raw)) return integer_from(value);
  if (PyUnicode_Check(raw))
    return std::make_shared<arrow::StringScalar>(nb::cast<std::string>(value));
  if (PyFloat_Check(raw)) return std::make_shared<arrow::DoubleScalar>(PyFloat_AsDouble(raw));
  if (PyBytes_Check(raw) || PyByteArray_Check(raw) || PyMemoryView_Check(raw))
    return bytes_from(value);
  if (PyList_Check(raw) || PyTuple_Check(raw)) return list_from(value);
  const Types& known = types();
  if (is(value, known.datetime)) return timestamp_from(value);
  if (is(value, known.date)) {
    return std::make_shared<arrow::Date32Scalar>(nb::cast<int32_t>(value.attr("toordinal")()) -
                                                 719'163);
  }
  if (is(value, known.decimal)) {
    if (!nb::cast<bool>(value.attr("is_finite")()))
      return std::make_shared<arrow::StringScalar>(text(value));
    return decimal_from(text(value.attr("__format__")("f")));
  }
  if (is(value, known.time)) return time_from(value);
  if (is(value, known.timedelta)) {
    return std::make_shared<arrow::DurationScalar>(microseconds(value),
                                                   arrow::duration(arrow::TimeUnit::MICRO));
  }
  if (is(value, known.uuid)) return std::make_shared<arrow::StringScalar>(text(value));
  return other_from(value);
}

}  // namespace

Params params_from(nb::handle values) {
  Params params;
  if (values.is_none()) return params;
  if (PyDict_Check(values.ptr())) {
    for (auto [name, value] : nb::borrow<nb::dict>(values)) {
      if (!PyUnicode_Check(name.ptr())) refuse("the keys of a params dict are names: str");
      params.add(nb::cast<std::string>(name), scalar_from(value));
    }
    return params;
  }
  if (!PyList_Check(values.ptr()) && !PyTuple_Check(values.ptr())) {
    refuse("params is a dict, a list or a tuple, not " + text(values.type().attr("__name__")));
  }
  for (nb::handle value : values) params.values.push_back(scalar_from(value));
  return params;
}

}  // namespace cenote::python
