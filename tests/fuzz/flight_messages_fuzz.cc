// Whatever bytes a stranger sends as a ticket, a command, an action's body or as metadata: a
// message or an error, and a message says the same again after it was written. Parameters are read
// to their end, since they come as Arrow IPC.
#include <iterator>
#include <string>
#include <string_view>

#include "flight/messages.h"
#include "flight/ticket.h"
#include "fuzz/check.h"

namespace {

using namespace cenote;

template <typename M>
void read(std::string_view bytes) {
  const Result<M> message = flight::decode<M>(bytes);
  if (!message.ok()) {
    check(error_kind(message.status()) == ErrorKind::kInterface,
          "a damaged message is the sender's");
    return;
  }
  const std::string written = flight::encode(*message);
  const Result<M> again = flight::decode<M>(written);
  check(again.ok(), "what was written can be read");
  check(flight::encode(*again) == written, "it says the same");
}

void read_call(std::string_view bytes) {
  read<flight::Call>(bytes);
  const Result<flight::Call> call = flight::decode<flight::Call>(bytes);
  if (!call.ok()) return;
  const Result<Params> params = flight::params_of(*call);
  if (!params.ok()) return;
  check(params->names.empty() || params->names.size() == params->values.size(),
        "every value has a name or none has");
  flight::Call again;
  if (!flight::set_params(*params, &again).ok()) return;  // of a type that has no literal
  check(flight::params_of(again).ok(), "parameters that were sent can be read");
}

// As the node does: by the name in the wrapping.
void read_wrapped(std::string_view bytes) {
  read<flight::Any>(bytes);
  const Result<flight::Any> any = flight::decode<flight::Any>(bytes);
  if (any.ok() && any->name() == flight::Call::kName) read_call(any->value);
}

void read_params(std::string_view bytes) {
  (void)flight::decode_params(bytes);
}

// By the input's first byte: at the end only, so that the corpus keeps its meaning.
constexpr void (*kReaders[])(std::string_view) = {
    read_wrapped,
    read_call,
    read<flight::Answer>,
    read<flight::CommandGetSqlInfo>,
    read<flight::CommandGetXdbcTypeInfo>,
    read<flight::CommandGetDbSchemas>,
    read<flight::CommandGetTables>,
    read<flight::CommandGetPrimaryKeys>,
    read<flight::CommandGetExportedKeys>,
    read<flight::CommandGetImportedKeys>,
    read<flight::CommandGetCrossReference>,
    read<flight::CommandStatementQuery>,
    read<flight::TicketStatementQuery>,
    read<flight::CommandPreparedStatementQuery>,
    read<flight::CommandStatementUpdate>,
    read<flight::CommandPreparedStatementUpdate>,
    read<flight::CommandStatementIngest>,
    read<flight::DoPutUpdateResult>,
    read<flight::ActionCreatePreparedStatementRequest>,
    read<flight::ActionCreatePreparedStatementResult>,
    read<flight::ActionEndTransactionRequest>,
    read<flight::ActionBeginSavepointRequest>,
    read<flight::ActionEndSavepointRequest>,
    read_params,
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || data[0] >= std::size(kReaders)) return 0;
  kReaders[data[0]]({reinterpret_cast<const char*>(data) + 1, size - 1});
  return 0;
}
