// Several Prometheus texts as one.
#pragma once

#include <string>
#include <vector>

namespace cenote {

// Joins texts in the exposition format 0.0.4. A family's HELP and TYPE stand once, with the samples
// of all texts below them, as the format demands.
std::string merge_expositions(const std::vector<std::string>& texts);

}  // namespace cenote
