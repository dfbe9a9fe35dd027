// The driver manager's functions, looked up in unixODBC at the first use: a machine without it must
// still run programs that have no ODBC pool.
#pragma once

#include <string>

#include <sql.h>
#include <sqlext.h>
#include <sqltypes.h>
#include <sqlucode.h>
// unixODBC's headers define it; Arrow has an enumerator of that name.
#undef BOOL

#include "cenote/error.h"

namespace cenote::odbc {

// Name of the member, name of the function.
#define CENOTE_ODBC_FUNCTIONS(X)          \
  X(alloc_handle, SQLAllocHandle)         \
  X(free_handle, SQLFreeHandle)           \
  X(set_env_attr, SQLSetEnvAttr)          \
  X(drivers, SQLDriversW)                 \
  X(driver_connect, SQLDriverConnectW)    \
  X(disconnect, SQLDisconnect)            \
  X(set_connect_attr, SQLSetConnectAttrW) \
  X(get_connect_attr, SQLGetConnectAttrW) \
  X(get_info, SQLGetInfoW)                \
  X(end_tran, SQLEndTran)                 \
  X(set_stmt_attr, SQLSetStmtAttrW)       \
  X(exec_direct, SQLExecDirectW)          \
  X(prepare, SQLPrepareW)                 \
  X(execute, SQLExecute)                  \
  X(describe_param, SQLDescribeParam)     \
  X(bind_parameter, SQLBindParameter)     \
  X(num_result_cols, SQLNumResultCols)    \
  X(describe_col, SQLDescribeColW)        \
  X(col_attribute, SQLColAttributeW)      \
  X(bind_col, SQLBindCol)                 \
  X(get_stmt_attr, SQLGetStmtAttrW)       \
  X(set_desc_field, SQLSetDescFieldW)     \
  X(fetch, SQLFetch)                      \
  X(get_data, SQLGetData)                 \
  X(more_results, SQLMoreResults)         \
  X(row_count, SQLRowCount)               \
  X(free_stmt, SQLFreeStmt)               \
  X(cancel, SQLCancel)                    \
  X(get_diag_rec, SQLGetDiagRecW)

struct Library {
#define CENOTE_ODBC_MEMBER(member, function) decltype(&::function) member = nullptr;
  CENOTE_ODBC_FUNCTIONS(CENOTE_ODBC_MEMBER)
#undef CENOTE_ODBC_MEMBER

  // The one environment of the process, for ODBC 3.80. Never freed: connections may outlive
  // static destruction.
  SQLHENV environment = nullptr;
  std::string path;  // what was loaded
};

// Loads at the first call; kNotSupported says what to install. The result lives as long as the
// process.
Result<const Library*> library();

}  // namespace cenote::odbc
