// Where a result goes: standard output or a file that appears only when it is whole.
#pragma once

#include <memory>
#include <string>

#include <arrow/io/interfaces.h>

#include "cenote/error.h"

namespace cenote::cli {

// Bytes to a file descriptor. A reader that went away (EPIPE) fails the write and is remembered.
class FdStream final : public arrow::io::OutputStream {
 public:
  FdStream(int fd, std::string name, bool owns) : fd_(fd), name_(std::move(name)), owns_(owns) {}
  ~FdStream() override;

  using arrow::io::Writable::Write;
  Status Write(const void* data, int64_t size) override;
  Status Close() override;
  bool closed() const override { return fd_ < 0; }
  Result<int64_t> Tell() const override { return written_; }

  bool reader_went_away() const { return reader_went_away_; }

 private:
  int fd_;
  const std::string name_;
  const bool owns_;
  int64_t written_ = 0;
  bool reader_went_away_ = false;
};

class Output {
 public:
  // Standard output for an empty path. A file is written beside its place and moved there by
  // commit(); what is not a plain file (a pipe, /dev/null) is written directly.
  static Result<Output> open(const std::string& path);
  Output(Output&&) = default;
  Output& operator=(Output&&) = delete;
  ~Output();

  const std::shared_ptr<FdStream>& stream() const { return stream_; }
  bool is_terminal() const;
  Status commit();

 private:
  Output() = default;
  std::shared_ptr<FdStream> stream_;
  std::string path_;
  std::string partial_;  // empty: written directly, or committed
};

// Columns of the terminal that standard output is; 0 where it is none.
size_t terminal_width();

}  // namespace cenote::cli
