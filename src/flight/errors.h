// Errors across the wire, both ways. A node's error is an Arrow status with a gRPC code that every
// Flight client knows, the SQLSTATE in front of its text ("[42601] …", since clients such as ADBC
// and JDBC have no other place for it) and our detail as JSON; our client makes the same
// ErrorDetail of it again.
#pragma once

#include <string>
#include <string_view>

#include "cenote/error.h"

namespace cenote::flight {

// What a node answers. Text is cut at a kilobyte: gRPC carries it three times in headers of 8 KiB.
// `node_id` tells who said it.
Status to_wire(const Status& status, std::string_view node_id);

// What a call to the node at `location` ended with, in the client's terms. Errors that the node did
// not say itself are the connection's: kConnection, with Sent::kNo only where the call certainly
// never reached it.
Status from_wire(const Status& status, std::string_view location);

// Whether nobody listens at the node's port: hard evidence that it is gone.
bool connection_refused(const Status& status);

}  // namespace cenote::flight
