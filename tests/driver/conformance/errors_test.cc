// Every driver: what goes wrong comes with its kind, and the connection goes on.
#include <arrow/api.h>

#include "driver/drivers.h"

namespace cenote {
namespace {

// How a database itself names an error; empty or 0 where it has no such name.
struct ErrorCode {
  std::string_view sqlstate;
  int vendor = 0;
};
struct ErrorCodes {
  std::string_view type;
  ErrorCode syntax, no_table, no_column, primary_key, unique, not_null, foreign_key,
      division_by_zero;
};
constexpr ErrorCodes kCodes[] = {
    {"sqlite", {"", 1}, {"", 1}, {"", 1}, {"", 1555}, {"", 2067}, {"", 1299}, {"", 787}, {}},
    {"postgresql",
     {"42601"},
     {"42P01"},
     {"42703"},
     {"23505"},
     {"23505"},
     {"23502"},
     {"23503"},
     {"22012"}},
    {"mssql",
     {"", 102},
     {"", 208},
     {"", 207},
     {"", 2627},
     {"", 2627},
     {"", 515},
     {"", 547},
     {"", 8134}},
    {"", {}, {}, {}, {}, {}, {}, {}, {}},
};
const ErrorCodes& codes_of(std::string_view type) {
  const ErrorCodes* codes = kCodes;
  while (!codes->type.empty() && codes->type != type) ++codes;
  return *codes;
}

class Errors : public DriverTest {
 protected:
  void expect(std::string_view sql, ErrorKind kind, const ErrorCode& code) {
    const auto got = table(sql);
    ASSERT_FALSE(got.ok()) << sql;
    EXPECT_EQ(error_kind(got.status()), kind) << sql << ": " << got.status();
    const ErrorDetail* detail = error_detail(got.status());
    ASSERT_NE(detail, nullptr) << got.status();
    if (!code.sqlstate.empty()) {
      EXPECT_EQ(detail->sqlstate, code.sqlstate) << sql;
    }
    if (code.vendor != 0) {
      EXPECT_EQ(detail->vendor_code, code.vendor) << sql;
    }
    EXPECT_FALSE(counts_against_target(got.status()));
    EXPECT_FALSE(poisons_connection(got.status()));
    EXPECT_TRUE(connection_->usable());
    EXPECT_EQ(value("select 1"), "1");
  }
};
CENOTE_ALL_DRIVERS(Errors);

TEST_P(Errors, a_wrong_statement_is_a_programming_error) {
  const ErrorCodes& codes = codes_of(GetParam().type);
  expect("selec 1", ErrorKind::kProgramming, codes.syntax);
  expect("select * from cenote_no_such_table", ErrorKind::kProgramming, codes.no_table);
  expect("select cenote_no_such_column", ErrorKind::kProgramming, codes.no_column);
}

TEST_P(Errors, no_statement_is_an_error) {
  for (const char* sql : {"", "  ", "-- nothing", ";", "/* nothing */ ; -- at all"}) {
    EXPECT_FALSE(execute(sql).ok()) << "'" << sql << "'";
    EXPECT_FALSE(table(sql).ok()) << "'" << sql << "'";
    EXPECT_EQ(value("select 1"), "1");
  }
}

TEST_P(Errors, a_trailing_semicolon_and_a_comment_are_fine) {
  EXPECT_EQ(value("select 1; -- that is all"), "1");
}

TEST_P(Errors, several_statements_in_one_text_are_refused_before_any_runs) {
  if (!GetParam().refuses_several_statements) GTEST_SKIP() << "its SQL knows batches";
  make_table("cenote_several", "a " + GetParam().int64_type);
  for (const char* sql : {"insert into cenote_several values (1); insert into cenote_several "
                          "values (2)",
                          "select 1; drop table cenote_several"}) {
    EXPECT_EQ(error_kind(execute(sql).status()), ErrorKind::kProgramming) << sql;
  }
  EXPECT_EQ(value("select count(*) from cenote_several"), "0");
  drop_table("cenote_several");
}

TEST_P(Errors, a_violated_key_is_an_integrity_error) {
  if (!GetParam().has_constraints) GTEST_SKIP() << "it enforces no constraints";
  const ErrorCodes& codes = codes_of(GetParam().type);
  make_table("cenote_keys", "a " + GetParam().int64_type + " not null primary key, b " +
                                GetParam().int64_type + " unique");
  ASSERT_TRUE(execute("insert into cenote_keys values (1, 1)").ok());
  expect("insert into cenote_keys values (1, 2)", ErrorKind::kIntegrity, codes.primary_key);
  expect("insert into cenote_keys values (2, 1)", ErrorKind::kIntegrity, codes.unique);
  expect("insert into cenote_keys values (null, 3)", ErrorKind::kIntegrity, codes.not_null);
  drop_table("cenote_children");
  make_table("cenote_children", "a " + GetParam().int64_type + " references cenote_keys");
  expect("insert into cenote_children values (7)", ErrorKind::kIntegrity, codes.foreign_key);
  EXPECT_EQ(value("select count(*) from cenote_keys"), "1");
  drop_table("cenote_children");
  drop_table("cenote_keys");
}

TEST_P(Errors, a_division_by_zero_is_what_the_database_says_it_is) {
  if (GetParam().division_by_zero) {
    expect("select 1 / (select 0)", *GetParam().division_by_zero,
           codes_of(GetParam().type).division_by_zero);
  } else {
    EXPECT_EQ(value("select 1 / (select 0)"), "null");
  }
}

TEST_P(Errors, a_message_names_what_is_wrong) {
  const auto got = table("select * from cenote_no_such_table");
  EXPECT_NE(got.status().message().find("cenote_no_such_table"), std::string::npos) << got.status();
  const auto long_text = table("select " + std::string(1'000'000, 'x'));
  ASSERT_FALSE(long_text.ok());
  EXPECT_LT(long_text.status().ToString().size(), 10'000U) << "a message is not a megabyte";
}

TEST_P(Errors, a_nul_byte_in_a_statement_is_refused) {
  const auto refused = execute(std::string("select 1\0 and more", 18));
  EXPECT_EQ(error_kind(refused.status()), ErrorKind::kProgramming) << refused.status();
}

TEST_P(Errors, parameter_values_are_not_in_messages) {
  const auto got = table("select * from cenote_no_such_table where a = ?", Params::of("hunter2"));
  EXPECT_EQ(got.status().ToString().find("hunter2"), std::string::npos) << got.status();
}

TEST_P(Errors, a_healthy_session_validates_and_tells_of_itself) {
  EXPECT_TRUE(connection_->validate(context()).ok());
  const auto probe = connection_->probe(context());
  ASSERT_TRUE(probe.ok()) << probe.status();
  EXPECT_FALSE(probe->server_version.empty());
  EXPECT_FALSE(connection_->dirty());
}

TEST_P(Errors, an_unknown_key_of_the_configuration_is_refused) {
  const auto refused = (*find_driver(GetParam().type))->open({{"cenote_no_such_key", "1"}});
  EXPECT_EQ(error_kind(refused.status()), ErrorKind::kConfig);
}

}  // namespace
}  // namespace cenote
