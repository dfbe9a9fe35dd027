// The messages are byte for byte what Google's protobuf writes (golden.txt), and damaged ones are
// refused.
#include "flight/messages.h"

#include <fstream>
#include <map>
#include <sstream>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "flight/ticket.h"

namespace cenote::flight {
namespace {

std::map<std::string, std::string> read_golden() {
  std::map<std::string, std::string> golden;
  std::ifstream file(CENOTE_SOURCE_DIR "/tests/flight/golden.txt");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("#")) continue;
    std::istringstream words(line);
    std::string name;
    std::string message;
    std::string hex;
    words >> name >> message >> hex;
    std::string bytes;
    for (size_t i = 0; i + 1 < hex.size(); i += 2) {
      bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    }
    golden[name] = bytes;
  }
  return golden;
}

std::string golden(const std::string& name) {
  static const std::map<std::string, std::string> all = read_golden();
  const auto found = all.find(name);
  EXPECT_NE(found, all.end()) << name;
  return found == all.end() ? "" : found->second;
}

// Decodes the recorded bytes, and checks that encoding gives the same bytes again.
template <typename M>
M recorded(const std::string& name) {
  Result<M> message = decode<M>(golden(name));
  EXPECT_TRUE(message.ok()) << name << ": " << message.status();
  if (!message.ok()) return M();
  EXPECT_EQ(encode(*message), golden(name)) << name;
  return std::move(*message);
}

TEST(Messages, metadata_commands_are_read_and_written_as_protobuf_does) {
  EXPECT_EQ(recorded<CommandGetSqlInfo>("sql_info").info, (std::vector<uint32_t>{8, 508, 575}));
  EXPECT_TRUE(recorded<CommandGetSqlInfo>("sql_info_all").info.empty());
  EXPECT_EQ(recorded<CommandGetXdbcTypeInfo>("xdbc").data_type, -7);
  const auto schemas = recorded<CommandGetDbSchemas>("schemas");
  EXPECT_EQ(schemas.catalog, "") << "empty is not absent";
  EXPECT_EQ(schemas.db_schema_filter_pattern, "pub%");
  const auto tables = recorded<CommandGetTables>("tables");
  EXPECT_EQ(tables.catalog, "main");
  EXPECT_FALSE(tables.db_schema_filter_pattern.has_value());
  EXPECT_EQ(tables.table_types, (std::vector<std::string>{"TABLE", "VIEW"}));
  EXPECT_TRUE(tables.include_schema);
  EXPECT_EQ(recorded<CommandGetPrimaryKeys>("primary_keys").table, "orders");
  EXPECT_EQ(recorded<CommandGetCrossReference>("cross_reference").fk_catalog, "c");
}

TEST(Messages, statements_and_their_results_are_read_and_written_as_protobuf_does) {
  const auto query = recorded<CommandStatementQuery>("query");
  EXPECT_EQ(query.query, "select 'ü'");
  EXPECT_EQ(query.transaction_id, Bytes(std::string("\0\xff", 2)));
  EXPECT_FALSE(recorded<CommandStatementUpdate>("update").transaction_id.has_value());
  EXPECT_EQ(recorded<TicketStatementQuery>("ticket").statement_handle.size(), 256U);
  const auto ingest = recorded<CommandStatementIngest>("ingest");
  ASSERT_TRUE(ingest.table_definition_options.has_value());
  EXPECT_EQ(ingest.table_definition_options->if_not_exist, TableNotExist::kCreate);
  EXPECT_EQ(ingest.table_definition_options->if_exists, TableExists::kAppend);
  EXPECT_EQ(ingest.options.at("key"), "value");
  EXPECT_EQ(recorded<DoPutUpdateResult>("update_result").record_count, -1);
  EXPECT_EQ(recorded<ActionCreatePreparedStatementRequest>("prepare").query, "select ?");
  EXPECT_EQ(recorded<ActionCreatePreparedStatementResult>("prepared").is_update, false);
  EXPECT_EQ(recorded<ActionEndTransactionRequest>("end").action, EndTransaction::kRollback);
  EXPECT_EQ(recorded<ActionBeginSavepointRequest>("savepoint").name, "s");
}

TEST(Messages, a_recorded_call_and_answer_of_version_1_are_understood) {
  const auto query = recorded<Call>("own_query");
  EXPECT_EQ(query.operation, Operation::kQuery);
  EXPECT_EQ(query.access, 0) << "a set default is not absent";
  EXPECT_EQ(query.left_ms, 5000);
  EXPECT_EQ(query.batch_bytes, int64_t{1} << 40);
  EXPECT_TRUE(query.whole);
  const auto plain = recorded<Call>("own_plain");
  ASSERT_EQ(plain.plain.size(), 3U) << "an empty message is one too";
  EXPECT_EQ(plain.plain[1].number, -1);
  EXPECT_FALSE(recorded<Call>("own_ingest").left_ms.has_value());
  EXPECT_EQ(recorded<Call>("own_begin").isolation, 3);
  const auto answer = recorded<Answer>("own_answer");
  EXPECT_EQ(answer.config_version, uint64_t{1} << 63);
  EXPECT_EQ(answer.load, (Load{10, 3, 2, 1}));
  EXPECT_EQ(answer.affected, -1);
  EXPECT_TRUE(answer.draining);
}

TEST(Messages, what_a_later_version_adds_is_passed_over) {
  const Result<Answer> answer = decode<Answer>(golden("own_later_answer"));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->node_id, "n1");
  EXPECT_EQ(answer->load, (Load{10, 3, 2, 1}));
}

TEST(Messages, damaged_bytes_are_an_error_that_names_the_message) {
  const std::string good = golden("query");
  for (size_t cut = 1; cut < good.size(); ++cut) {
    const Result<CommandStatementQuery> read =
        decode<CommandStatementQuery>(std::string_view(good).substr(0, cut));
    if (read.ok()) {
      EXPECT_NE(read->transaction_id, Bytes(std::string("\0\xff", 2)));
    } else {
      EXPECT_NE(read.status().message().find("CommandStatementQuery"), std::string::npos);
    }
  }
  EXPECT_FALSE(decode<CommandStatementQuery>("\x08\x01").ok()) << "a number where text must be";
  EXPECT_FALSE(decode<CommandStatementQuery>("\x0a\x02\xff\xfe").ok()) << "text that is not UTF-8";
  EXPECT_FALSE(decode<CommandStatementQuery>(std::string_view("\x00\x01", 2)).ok()) << "tag 0";
  EXPECT_FALSE(decode<Answer>("\x22\x05\x08\x01").ok()) << "a nested message that is cut";
  EXPECT_FALSE(decode<CommandGetSqlInfo>("\x0a\x01\x80").ok()) << "a packed number that is cut";
}

TEST(Messages, an_any_tells_its_messages_name) {
  const std::string bytes = encode_any(CommandGetCatalogs());
  const Result<Any> any = decode<Any>(bytes);
  ASSERT_TRUE(any.ok());
  EXPECT_EQ(any->name(), CommandGetCatalogs::kName);
  EXPECT_EQ((Any{"elsewhere/x", {}}).name(), "");
}

TEST(Parameters, come_back_with_types_nulls_and_names) {
  Params params = Params::of(7, 2.5, "text", nullptr, true);
  Result<Bytes> bytes = encode_params(params);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  Result<Params> back = decode_params(*bytes);
  ASSERT_TRUE(back.ok()) << back.status();
  ASSERT_EQ(back->values.size(), 5U);
  EXPECT_TRUE(back->names.empty());
  for (size_t i = 0; i < 5; ++i) EXPECT_TRUE(back->values[i]->Equals(*params.values[i])) << i;

  Params named;
  named.add("total", Params::scalar(1));
  back = decode_params(*encode_params(named));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->names, std::vector<std::string>{"total"});
  EXPECT_TRUE(decode_params("")->empty());
}

TEST(Parameters, plain_ones_and_others_come_back_through_a_call) {
  const auto back = [](const Params& params) {
    Call call;
    EXPECT_TRUE(set_params(params, &call).ok());
    const Result<Call> sent = decode<Call>(encode(call));
    EXPECT_TRUE(sent.ok()) << sent.status();
    const Result<Params> read = params_of(*sent);
    EXPECT_TRUE(read.ok()) << read.status();
    return std::pair(read.ValueOr(Params()), call.params.empty());
  };
  const Params plain =
      Params::of(-7, 2.5, "täxt", "", nullptr, true, std::make_shared<arrow::BinaryScalar>("\xff"));
  const Params others =
      Params::of(1, std::make_shared<arrow::Int32Scalar>(7), arrow::MakeNullScalar(arrow::utf8()));
  for (const Params& params : {plain, others}) {
    const auto [read, without_ipc] = back(params);
    EXPECT_EQ(without_ipc, params.values.size() == 7);
    ASSERT_EQ(read.values.size(), params.values.size());
    EXPECT_TRUE(read.names.empty());
    for (size_t i = 0; i < read.values.size(); ++i) {
      EXPECT_TRUE(read.values[i]->Equals(*params.values[i])) << i;
    }
  }
  EXPECT_TRUE(back(Params()).first.empty());
  Call wrong;
  wrong.plain.push_back({"", 99, 0, {}});
  EXPECT_EQ(error_kind(params_of(wrong).status()), ErrorKind::kNotSupported);
  wrong.plain[0] = {"", 4, 0, Bytes("\xff")};
  EXPECT_FALSE(params_of(wrong).ok());
}

TEST(Parameters, damaged_ones_are_refused) {
  const std::string good = *encode_params(Params::of(7, "text"));
  EXPECT_FALSE(decode_params(good.substr(0, good.size() / 2)).ok());
  EXPECT_FALSE(decode_params("nonsense").ok());
}

TEST(Parameters, names_that_a_library_made_up_do_not_count) {
  const auto column = [](const std::string& name) {
    arrow::Int64Builder builder;
    (void)builder.Append(1);
    return arrow::RecordBatch::Make(arrow::schema({arrow::field(name, arrow::int64())}), 1,
                                    {*builder.Finish()});
  };
  for (const char* name : {"0", "1", "$1", "?", "parameter_1", "param1", ""}) {
    EXPECT_TRUE(params_of(*column(name), 0)->names.empty()) << name;
  }
  for (const char* name : {"total", "p", "params", "a1"}) {
    EXPECT_EQ(params_of(*column(name), 0)->names.size(), 1U) << name;
  }
}

}  // namespace
}  // namespace cenote::flight
