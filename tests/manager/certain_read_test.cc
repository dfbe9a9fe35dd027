// What may be sent twice.
#include "manager/certain_read.h"

#include <gtest/gtest.h>

namespace cenote {
namespace {

TEST(CertainRead, plain_queries_are_reads) {
  for (const char* sql :
       {"select 1", "SELECT * FROM t WHERE a IN (1, 2) AND b = ?",
        "select count(*), max(x) from t group by y;", "values (1), (2)", "show search_path",
        "with t as (select 1 as a) select a from t", "select 'delete from x' as text",
        "select a -- update\nfrom t", "select cast(a as varchar(10)) from \"update\""}) {
    EXPECT_TRUE(certainly_reads(sql)) << sql;
  }
}

TEST(CertainRead, whatever_may_write_is_no_read) {
  for (const char* sql : {"",
                          "insert into t values (1)",
                          "update t set a = 1",
                          "delete from t",
                          "create table t (a)",
                          "select * into u from t",
                          "select * from t for update",
                          "select * from t for share",
                          "with d as (delete from t returning *) select * from d",
                          "select nextval('s')",
                          "select next value for s",
                          "select my_function(1)",
                          "select other.count(1)",
                          "select \"f\"(1)",
                          "select 1; delete from t",
                          "select 1; drop table t",
                          "select 1; select 2",
                          "call p()",
                          "exec p",
                          "(select 1)",
                          "select 'a\\'; delete from t",
                          "pragma user_version = 3",
                          "explain analyze delete from t"}) {
    EXPECT_FALSE(certainly_reads(sql)) << sql;
  }
}

}  // namespace
}  // namespace cenote
