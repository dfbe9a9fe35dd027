// Values bound to the placeholders of one statement. They are sent apart from the text, never
// written into it.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <arrow/scalar.h>
#include <arrow/type_fwd.h>

namespace cenote {

// Placeholders are `?`, `$1`, `:name`, `@name` and `$name` in every database; the driver turns them
// into its own. Without names the values are positional. With names and a statement that has only
// `?`, their order counts. An Arrow scalar carries any value: null, bool, integers, doubles,
// decimals, strings, binary, dates, times, timestamps, durations and (PostgreSQL) lists.
struct Params {
  std::vector<std::shared_ptr<arrow::Scalar>> values;
  std::vector<std::string> names;  // empty, or one for each value

  // Params::of(7, 2.5, "text", nullptr, a_scalar)
  template <typename... Values>
  static Params of(Values&&... values) {
    Params params;
    params.values.reserve(sizeof...(values));
    (params.values.push_back(scalar(std::forward<Values>(values))), ...);
    return params;
  }

  Params& add(std::string name, std::shared_ptr<arrow::Scalar> value) {
    names.push_back(std::move(name));
    values.push_back(std::move(value));
    return *this;
  }

  bool empty() const { return values.empty(); }

  static std::shared_ptr<arrow::Scalar> scalar(std::shared_ptr<arrow::Scalar> value) {
    return value;
  }
  static std::shared_ptr<arrow::Scalar> scalar(std::nullptr_t) {
    return std::make_shared<arrow::NullScalar>();
  }
  static std::shared_ptr<arrow::Scalar> scalar(bool value) {
    return std::make_shared<arrow::BooleanScalar>(value);
  }
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  static std::shared_ptr<arrow::Scalar> scalar(T value) {
    return std::make_shared<arrow::Int64Scalar>(static_cast<int64_t>(value));
  }
  template <std::floating_point T>
  static std::shared_ptr<arrow::Scalar> scalar(T value) {
    return std::make_shared<arrow::DoubleScalar>(static_cast<double>(value));
  }
  template <std::convertible_to<std::string_view> T>
    requires(!std::same_as<std::remove_cvref_t<T>, std::nullptr_t>)
  static std::shared_ptr<arrow::Scalar> scalar(T&& value) {
    return std::make_shared<arrow::StringScalar>(std::string(std::string_view(value)));
  }
};

}  // namespace cenote
