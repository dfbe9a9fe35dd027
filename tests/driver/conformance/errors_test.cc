// Every driver: what goes wrong comes with its kind, and the connection goes on.
#include <arrow/api.h>

#include "driver/drivers.h"

namespace cenote {
namespace {

class Errors : public DriverTest {
 protected:
  void expect(std::string_view sql, ErrorKind kind) {
    const auto got = table(sql);
    ASSERT_FALSE(got.ok()) << sql;
    EXPECT_EQ(error_kind(got.status()), kind) << sql << ": " << got.status();
    EXPECT_FALSE(counts_against_target(got.status()));
    EXPECT_FALSE(poisons_connection(got.status()));
    EXPECT_TRUE(connection_->usable());
    EXPECT_EQ(value("select 1"), "1");
  }
};
CENOTE_ALL_DRIVERS(Errors);

TEST_P(Errors, a_wrong_statement_is_a_programming_error) {
  expect("selec 1", ErrorKind::kProgramming);
  expect("select * from cenote_no_such_table", ErrorKind::kProgramming);
  expect("select cenote_no_such_column", ErrorKind::kProgramming);
}

TEST_P(Errors, no_statement_is_an_error) {
  for (const char* sql : {"", "  ", "-- nothing", ";"}) {
    EXPECT_FALSE(execute(sql).ok()) << "'" << sql << "'";
    EXPECT_EQ(value("select 1"), "1");
  }
}

TEST_P(Errors, a_trailing_semicolon_and_a_comment_are_fine) {
  EXPECT_EQ(value("select 1; -- that is all"), "1");
}

TEST_P(Errors, a_violated_key_is_an_integrity_error) {
  make_table("cenote_keys", "a " + GetParam().int64_type + " not null primary key");
  ASSERT_TRUE(execute("insert into cenote_keys values (1)").ok());
  expect("insert into cenote_keys values (1)", ErrorKind::kIntegrity);
  expect("insert into cenote_keys values (null)", ErrorKind::kIntegrity);
  EXPECT_EQ(value("select count(*) from cenote_keys"), "1");
  drop_table("cenote_keys");
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
