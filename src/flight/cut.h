// Ends this process's TCP connections to a node that is dead. A process that is stopped, or a
// machine that is gone, leaves them open, and calls of libarrow_flight that wait on one cannot be
// interrupted before their first message.
#pragma once

#include <string>

namespace cenote::flight {

// Of every socket of this process that is connected to the place ("grpc://host:port"), whoever
// opened it: dead for one is dead for all. Resolves a name, so it may wait.
void cut_connections(const std::string& location);

}  // namespace cenote::flight
