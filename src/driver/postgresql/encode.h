// Arrow's values as fields of COPY's binary format, for ingest.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <arrow/array.h>
#include <arrow/type.h>

#include "cenote/error.h"

namespace cenote::postgresql {

// Writes the values of one column, array by array.
class Encoder {
 public:
  virtual ~Encoder() = default;
  Encoder() = default;
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  // The array whose rows are written from now on; it must outlive them.
  virtual Status bind(const arrow::Array& array) = 0;
  // Appends one field: its length and its bytes. kData if the value does not fit its target.
  virtual Status append(int64_t row, std::string& out) = 0;

  // For a column of this Arrow type into one of the PostgreSQL type `oid`; null if the pair has no
  // binary form here: COPY's text format takes it then, and the server converts.
  static std::unique_ptr<Encoder> make(const arrow::DataType& type, uint32_t oid);
};

}  // namespace cenote::postgresql
