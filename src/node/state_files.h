// What a node keeps on its disk from one start to the next: small files, each written whole or not
// at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "cenote/error.h"

namespace cenote::node {

// Where they are: `directory`, as NodeIdentity::state_dir, or the default; the file for a node.
std::filesystem::path state_file(const std::string& directory, const std::string& node_id,
                                 const std::string& ending);
// Makes the folder where needed, writes beside the place, fsyncs, renames, fsyncs the folder. For
// this user alone (0600). False if that failed: errno says why.
bool write_whole(const std::filesystem::path& file, const std::string& text);

inline constexpr const char* kLastGoodEnding = ".last-good";

// A configuration of the coordinator, as the node applied it last.
struct LastGood {
  uint64_t version = 0;
  std::string content;
};
bool keep_last_good(const std::filesystem::path& file, const LastGood& config);
// None if there is no such file. kConfig for one that was damaged: its checksum does not fit.
Result<std::optional<LastGood>> read_last_good(const std::filesystem::path& file);

}  // namespace cenote::node
