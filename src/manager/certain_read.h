// Which statements can only read, told by their text alone: those may be sent a second time
// although nobody knows whether the first one arrived.
#pragma once

#include <string_view>

namespace cenote {

// In doubt false. One SELECT, VALUES or SHOW that writes nowhere, locks nothing and calls only
// functions of the standard kind; a function of the database's own may do anything.
bool certainly_reads(std::string_view sql);

}  // namespace cenote
