// Answers to the metadata commands: catalogs (a catalog is a pool of this node), schemas, tables,
// keys, in the exact schemas of Flight SQL.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type_fwd.h>

#include "cenote/pool.h"

#include "flight/messages.h"

namespace cenote::node {

struct MetadataRequest {
  std::vector<std::string> catalogs;  // the pools that the caller may use
  // The pool of a catalog; an empty one is the caller's own.
  std::function<Result<std::shared_ptr<LocalPool>>(std::string_view catalog)> pool;
  QueryOptions options;
  std::string user_agent;
};

// The schema of a command's answer; kNotSupported for what is no metadata command.
Result<std::shared_ptr<arrow::Schema>> metadata_schema(const flight::Any& command);

Result<std::shared_ptr<arrow::Table>> answer_metadata(const flight::Any& command,
                                                      const MetadataRequest& request);

// SQL's LIKE with `%`, `_` and `\` as escape, by bytes and case-sensitive.
bool matches_pattern(std::string_view text, std::string_view pattern);

}  // namespace cenote::node
