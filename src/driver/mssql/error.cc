// The table of error numbers. ODBC drivers disagree on SQLSTATEs (a deadlock is 40001 with
// Microsoft's driver and 42000 with FreeTDS), the server's numbers are the same everywhere.
#include "driver/mssql/error.h"

#include <algorithm>
#include <array>

namespace cenote::mssql {
namespace {

struct Row {
  int32_t number;
  Verdict verdict;
};

using enum ErrorKind;

// In the order of numbers. Source: sys.messages, and "Troubleshoot transient connection errors" of
// Azure SQL for those above 40000.
constexpr std::array kRows = {
    Row{-2, {kQueryTimeout, "HYT00"}},   // the client's own timeout
    Row{20, {kConnection, "08001"}},     // no encryption where it is demanded
    Row{64, {kConnection, "08S01"}},     // network name no longer available
    Row{102, {kProgramming, "42000"}},   // incorrect syntax
    Row{105, {kProgramming, "42000"}},   // unclosed quotation mark
    Row{109, {kProgramming, "21S01"}},   // more columns than values
    Row{110, {kProgramming, "21S01"}},   // fewer columns than values
    Row{121, {kConnection, "08S01"}},    // semaphore timeout on the network
    Row{137, {kProgramming, "42000"}},   // undeclared variable
    Row{156, {kProgramming, "42000"}},   // incorrect syntax near a keyword
    Row{195, {kProgramming, "42000"}},   // no such function
    Row{201, {kProgramming, "42000"}},   // procedure expects a parameter
    Row{207, {kProgramming, "42S22"}},   // invalid column
    Row{208, {kProgramming, "42S02"}},   // invalid object
    Row{213, {kProgramming, "21S01"}},   // columns do not match
    Row{220, {kData, "22003"}},          // arithmetic overflow of a small type
    Row{229, {kProgramming, "42000"}},   // permission denied on an object
    Row{230, {kProgramming, "42000"}},   // permission denied on a column
    Row{232, {kData, "22003"}},          // arithmetic overflow
    Row{233, {kConnection, "08S01"}},    // no process at the other end
    Row{241, {kData, "22007"}},          // text is no date
    Row{242, {kData, "22007"}},          // out of the range of datetime
    Row{245, {kData, "22018"}},          // text is no number
    Row{248, {kData, "22003"}},          // overflow from text to int
    Row{257, {kProgramming, "42000"}},   // no implicit conversion
    Row{262, {kProgramming, "42000"}},   // permission denied in the database
    Row{295, {kData, "22007"}},          // text is no smalldatetime
    Row{300, {kProgramming, "42000"}},   // permission denied on the server
    Row{515, {kIntegrity, "23000"}},     // NULL into NOT NULL
    Row{547, {kIntegrity, "23000"}},     // CHECK or FOREIGN KEY
    Row{596, {kConnection, "08S01"}},    // the session was killed
    Row{601, {kOperational, "40001"}},   // data moved under NOLOCK
    Row{701, {kOperational, ""}},        // out of memory
    Row{802, {kOperational, ""}},        // out of buffers
    Row{823, {kInternal, ""}},           // I/O error of the operating system
    Row{824, {kInternal, ""}},           // I/O error of a page
    Row{825, {kInternal, ""}},           // read retry
    Row{911, {kProgramming, "3D000"}},   // no such database
    Row{921, {kConnection, "08004"}},    // the database is not recovered yet
    Row{922, {kConnection, "08004"}},    // the database is being recovered
    Row{976, {kConnection, "08004"}},    // this replica's database is not accessible
    Row{978, {kConnection, "08004"}},    // this replica takes only connections that read
    Row{979, {kConnection, "08004"}},    // this replica takes no connections
    Row{983, {kConnection, "08004"}},    // the replica is resolving its role
    Row{1105, {kOperational, ""}},       // the filegroup is full
    Row{1205, {kOperational, "40001"}},  // deadlock victim: rolled back, may be tried again
    Row{1222, {kOperational, "HYT00"}},  // lock timeout
    Row{2601, {kIntegrity, "23000"}},    // unique index
    Row{2627, {kIntegrity, "23000"}},    // primary key or unique constraint
    Row{2628, {kData, "22001"}},         // text would be truncated
    Row{2714, {kProgramming, "42S01"}},  // there is such an object already
    Row{2812, {kProgramming, "42000"}},  // no such procedure
    Row{3701, {kProgramming, "42S02"}},  // cannot drop what is not there
    Row{3906, {kReadOnly, "25006"}},     // the database is read-only
    Row{3908, {kReadOnly, "25006"}},     // the database is in recovery or emergency mode
    Row{3960, {kOperational, "40001"}},  // snapshot update conflict
    Row{3961, {kOperational, "40001"}},  // snapshot and changed metadata
    Row{4060, {kProgramming, "3D000"}},  // cannot open the database of the login
    Row{4121, {kProgramming, "42000"}},  // no such function of a schema
    Row{4221, {kConnection, "08004"}},   // the readable secondary is not ready
    Row{6005, {kConnection, "08004"}},   // the server shuts down
    Row{8114, {kData, "22018"}},         // cannot convert
    Row{8115, {kData, "22003"}},         // arithmetic overflow
    Row{8134, {kData, "22012"}},         // division by zero
    Row{8144, {kProgramming, "42000"}},  // too many arguments
    Row{8152, {kData, "22001"}},         // text would be truncated
    Row{8645, {kOperational, ""}},       // waited too long for memory
    Row{8651, {kOperational, ""}},       // not enough memory
    Row{9002, {kOperational, ""}},       // the log is full
    Row{10053, {kConnection, "08S01"}},  // aborted
    Row{10054, {kConnection, "08S01"}},  // reset
    Row{10060, {kConnection, "08001"}},  // timed out
    Row{10061, {kConnection, "08001"}},  // refused
    Row{10928, {kOverload, ""}},         // resource limit reached
    Row{10929, {kOverload, ""}},         // resource limit of the elastic pool
    Row{17142, {kConnection, "08004"}},  // the service is paused
    Row{17809, {kOverload, ""}},         // all user connections are taken
    Row{17889, {kOverload, ""}},         // too many connections of this client
    Row{18401, {kConnection, "08004"}},  // the server upgrades itself
    Row{18452, {kAuthentication, "28000"}},
    Row{18456, {kAuthentication, "28000"}},
    Row{18461, {kConnection, "08004"}},  // single-user mode
    Row{18470, {kAuthentication, "28000"}},
    Row{18486, {kAuthentication, "28000"}},
    Row{18487, {kAuthentication, "28000"}},
    Row{18488, {kAuthentication, "28000"}},
    Row{20002, {kConnection, ""}},       // FreeTDS: login failed without the server's word
    Row{20003, {kConnection, "08S01"}},  // FreeTDS: timed out
    Row{20004, {kConnection, "08S01"}},  // FreeTDS: read failed
    Row{20006, {kConnection, "08S01"}},  // FreeTDS: write failed
    Row{20009, {kConnection, "08001"}},  // FreeTDS: could not connect
    Row{20017, {kConnection, "08S01"}},  // FreeTDS: unexpected end of the connection
    Row{20047, {kConnection, "08S01"}},  // FreeTDS: the connection is dead
    Row{40143, {kConnection, ""}},
    Row{40166, {kConnection, ""}},
    Row{40197, {kConnection, ""}},  // the service failed over
    Row{40501, {kOverload, ""}},    // the service is busy
    Row{40540, {kConnection, ""}},
    Row{40613, {kConnection, ""}},  // the database is not available now
    Row{49918, {kOverload, ""}},
    Row{49919, {kOverload, ""}},
    Row{49920, {kOverload, ""}},
};
static_assert(std::is_sorted(kRows.begin(), kRows.end(),
                             [](const Row& a, const Row& b) { return a.number < b.number; }));

}  // namespace

std::optional<Verdict> verdict(int32_t number) {
  const auto found =
      std::lower_bound(kRows.begin(), kRows.end(), number,
                       [](const Row& row, int32_t wanted) { return row.number < wanted; });
  if (found == kRows.end() || found->number != number) return std::nullopt;
  return found->verdict;
}

}  // namespace cenote::mssql
