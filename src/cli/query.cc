// `cenote query`: one statement, its result as a table, CSV, JSON, Arrow or Parquet.
#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <utility>

#include <CLI/CLI.hpp>
#include <arrow/record_batch.h>
#include <unistd.h>

#include "cenote/manager.h"

#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/sink.h"
#include "cli/target.h"
#include "cli/values.h"
#include "cli/verbs.h"

namespace cenote::cli {
namespace {

struct QueryCommand {
  Target target;
  std::vector<std::string> words;  // the statement, then positional values
  std::string sql_file;
  std::vector<std::string> named;
  std::string format;
  std::string output_file;
  int64_t rows = 20;
  std::string timeout;
  bool execute = false;
  std::string pool_id;  // that the statement goes to

  int run();

 private:
  Result<std::string> statement();
  Result<Params> params() const;
  std::string chosen_format() const;
  Status affected(DistributedPoolManager& manager, const std::string& sql, const Params& values,
                  const QueryOptions& options, Output& output) const;
  Status stream(DistributedPoolManager& manager, const std::string& sql, const Params& values,
                const QueryOptions& options, Output& output) const;
};

// The statement's text; moves it out of the words, so that values are left.
Result<std::string> QueryCommand::statement() {
  std::string sql;
  if (!sql_file.empty()) {
    std::ifstream file(sql_file, std::ios::binary);
    sql.assign(std::istreambuf_iterator<char>(file), {});
    if (!file.is_open() || file.bad()) {
      return make_error(ErrorKind::kInterface, "the file '" + sql_file + "' cannot be read");
    }
  } else if (!words.empty() && words.front() != "-") {
    sql = words.front();
    words.erase(words.begin());
  } else if (words.empty() && ::isatty(STDIN_FILENO) == 1) {
    return make_error(ErrorKind::kInterface,
                      "there is no statement; give it as an argument, with -f FILE or on "
                      "standard input");
  } else {
    if (!words.empty()) words.erase(words.begin());
    sql.assign(std::istreambuf_iterator<char>(std::cin), {});
  }
  if (sql.find_first_not_of(" \t\r\n;") == std::string::npos) {
    return make_error(ErrorKind::kInterface, "the statement is empty");
  }
  return sql;
}

Result<Params> QueryCommand::params() const {
  Params values;
  if (!words.empty() && !named.empty()) {
    return make_error(ErrorKind::kInterface,
                      "give values either after the statement or with --param, not both");
  }
  for (const std::string& word : words) values.values.push_back(scalar_from_literal(word));
  for (const std::string& pair : named) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return make_error(ErrorKind::kInterface, "--param '" + pair + "' is not NAME=VALUE");
    }
    const std::string name = pair.substr(0, equals);
    if (std::find(values.names.begin(), values.names.end(), name) != values.names.end()) {
      return make_error(ErrorKind::kInterface, "--param '" + name + "' is given twice");
    }
    values.add(name, scalar_from_literal(pair.substr(equals + 1)));
  }
  return values;
}

// Said, or told from the file's name, or a table.
std::string QueryCommand::chosen_format() const {
  if (!format.empty()) return format;
  const std::string extension = std::filesystem::path(output_file).extension().string();
  for (const char* known : {"csv", "json", "arrow", "parquet"}) {
    if (extension == "." + std::string(known)) return known;
  }
  return extension == ".arrows" ? "arrow" : "table";
}

Status QueryCommand::affected(DistributedPoolManager& manager, const std::string& sql,
                              const Params& values, const QueryOptions& options,
                              Output& output) const {
  ARROW_ASSIGN_OR_RAISE(const int64_t count, manager.execute(pool_id, sql, values, options));
  const std::string number = count < 0 ? "null" : std::to_string(count);
  if (chosen_format() == "json") {
    return output.stream()->Write("{\"affected_rows\":" + number + "}\n");
  }
  return output.stream()->Write(count < 0    ? "done\n"
                                : count == 1 ? "1 row affected\n"
                                             : number + " rows affected\n");
}

Status QueryCommand::stream(DistributedPoolManager& manager, const std::string& sql,
                            const Params& values, const QueryOptions& options,
                            Output& output) const {
  SinkOptions how{.format = chosen_format(), .print = {.rows = rows, .width = terminal_width()}};
  how.arrow_file = std::filesystem::path(output_file).extension() == ".arrow";
  // Text that scrolls by on the same terminal is progress enough.
  Progress progress(!output.is_terminal() || how.format == "table");
  ARROW_ASSIGN_OR_RAISE(const auto reader, manager.execute_stream(pool_id, sql, values, options));
  ARROW_ASSIGN_OR_RAISE(const auto sink, make_sink(how, reader->schema(), output.stream()));
  for (;;) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(reader->ReadNext(&batch));
    if (batch == nullptr) break;
    progress.rows(batch->num_rows());
    ARROW_RETURN_NOT_OK(sink->write(batch));
    // Between batches that are there already, nothing else would notice.
    if (options.stop.stop_requested()) return make_error(ErrorKind::kCancelled, "cancelled");
  }
  return sink->finish();
}

int QueryCommand::run() {
  Result<std::string> sql = statement();
  if (!sql.ok()) return fail(kUsage, sql.status().message());
  const Result<Params> values = params();
  if (!values.ok()) return fail(kUsage, values.status().message());
  QueryOptions options;
  options.tag = "cenote query";
  if (!timeout.empty()) {
    const Result<Duration> limit = limit_from("--timeout", timeout);
    if (!limit.ok()) return fail(kUsage, limit.status().message());
    options.timeout = *limit;
  }
  Result<DeploymentConfig> config = target.for_calls(&pool_id);
  if (!config.ok()) return fail(config.status());

  Interrupt interrupt;
  options.stop = interrupt.token();
  auto manager = DistributedPoolManager::open(std::move(*config));
  if (!manager.ok()) return fail(manager.status());
  Result<Output> output = Output::open(output_file);
  if (!output.ok()) return fail(kUsage, output.status().message());
  const std::string shape = chosen_format();
  if (output->is_terminal() && (shape == "parquet" || shape == "arrow")) {
    return fail(kUsage, shape + " is binary and standard output is a terminal; give --output-file");
  }
  Status status = execute ? affected(**manager, *sql, *values, options, *output)
                          : stream(**manager, *sql, *values, options, *output);
  if (status.ok()) status = output->commit();
  if (output->stream()->reader_went_away()) return kReaderWentAway;
  if (interrupt.happened()) return fail(ExitCode(interrupt.exit_code()), "cancelled");
  return status.ok() ? kOk : fail(status);
}

}  // namespace

void add_query(CLI::App& app, Command* command) {
  auto query = std::make_shared<QueryCommand>();
  CLI::App* verb = app.add_subcommand("query", "Run one statement and print its result");
  query->target.add_options(*verb);
  verb->add_option(
          "sql", query->words,
          "The statement, then the values of its placeholders; read from standard input if "
          "it is '-' or missing. A value is read as SQL writes it: 7, 1.5, 'text', null, "
          "true; anything else is text")
      ->type_name("TEXT");
  verb->add_option("-f,--file", query->sql_file, "Read the statement from a file")
      ->type_name("FILE");
  verb->add_option("--param", query->named, "Value of a named placeholder; may be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  verb->add_option("-o,--output", query->format,
                   "Format; told from the extension of --output-file, else table")
      ->check(CLI::IsMember({"table", "csv", "json", "arrow", "parquet"}));
  verb->add_option("--output-file", query->output_file,
                   "Write to this file, which appears when it is whole")
      ->type_name("FILE");
  verb->add_option("--rows", query->rows, "Rows of a table: the first and the last ones")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->capture_default_str();
  verb->add_option("--timeout", query->timeout, "Longest time, as 250ms, 5s, 10min; 0: no limit")
      ->type_name("DURATION");
  verb->add_flag("--execute", query->execute, "Print how many rows were affected, not a result");
  verb->footer(
      "Examples:\n"
      "  cenote query --url sqlite:shop.db \"select * from orders where total > ?\" 100\n"
      "  cenote query -c cenote.yaml -p main_db -o csv -f report.sql > report.csv\n"
      "  cenote query -p main_db --param city=Tulum --output-file out.parquet \\\n"
      "    \"select * from customers where city = :city\"\n"
      "With a configuration of mode coordinated or distributed the statement goes to a node.");
  verb->callback([query, command] { *command = [query] { return query->run(); }; });
}

}  // namespace cenote::cli
