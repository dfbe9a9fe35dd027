// Names into addresses, with a deadline. getaddrinfo cannot be interrupted and has no limit of its
// own that suits a call, so it runs on a thread of its own, and whoever waits for it may leave.
#pragma once

#include <string>
#include <vector>

#include "cenote/deadline.h"
#include "cenote/error.h"

namespace cenote {

// The host's addresses, as numbers and in the resolver's order; one that is a number already costs
// no thread. None: the resolver knows no such name. kQueryTimeout, kCancelled by `context`;
// kConnection while too many other names are being looked up. Those who ask for one name at the
// same time share the look-up, also with those who left.
Result<std::vector<std::string>> resolve(const std::string& host, const CallContext& context);

}  // namespace cenote
