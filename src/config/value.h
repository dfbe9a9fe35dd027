// Text of the configuration into values: durations with units, booleans, numbers, references to
// secrets; and the nearest known key.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cenote/deadline.h"
#include "cenote/error.h"

namespace cenote {

// "250ms", "5s", "10min" ("10m"), "1h", "2d"; a bare number is seconds. Not negative. The message
// says what is allowed.
Result<Duration> parse_duration(std::string_view text);
Result<int64_t> parse_integer(std::string_view text);
Result<double> parse_number(std::string_view text);
// true/false, yes/no, on/off, in any case.
Result<bool> parse_boolean(std::string_view text);

// What one value may be. The validator and the JSON Schema both follow it.
struct ValueRule {
  enum class Kind { kText, kInteger, kFraction, kBoolean, kDuration, kChoice, kAddress, kTexts };
  Kind kind = Kind::kText;
  int64_t least = 0;  // of kInteger
  int64_t most = 0;
  std::string_view choices = {};  // of kChoice: "a|b|c"
};

// kConfig: "`shown` is not a duration; write 250ms, …". `shown` stands for the value, which may be
// a secret.
Status check_value(const ValueRule& rule, std::string_view text, std::string_view shown);

std::vector<std::string_view> split_choices(std::string_view choices);
// "a, b" as its items, without the blanks around them; empty ones are left out.
std::vector<std::string> split_list(std::string_view list);

// Replaces each `${env:NAME}` and `${file:PATH}`. A file's last newline is dropped. `file:PATH`
// alone means the same, unless the value `is_path`: there it may be a file: URI.
Result<std::string> resolve_references(std::string_view text, bool is_path = false);
bool has_reference(std::string_view text, bool is_path = false);

// "; did you mean 'x'?" for the nearest of `known` and `near`, or "; known keys: a, b" with those
// of `known` where none is near.
std::string suggest(std::string_view key, const std::vector<std::string_view>& known,
                    const std::vector<std::string_view>& near = {});

}  // namespace cenote
