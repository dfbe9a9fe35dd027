// The JSON Schema, made of the table. It says what a value may be; that an id is given once, or
// that min_connections is not above max_connections, is beyond it.
#include <nlohmann/json.hpp>

#include "cenote/config.h"

#include "config/schema.h"

namespace cenote {
namespace {

using Json = nlohmann::ordered_json;
using Kind = ValueRule::Kind;

constexpr const char* kReference = R"(^(file:.|.*\$\{(env|file):[^}]+\}))";
constexpr const char* kDurationText =
    R"(^[0-9]*\.?[0-9]+(us|ms|s|min|m|h|d)?$|^[0-9]+\.(us|ms|s|min|m|h|d)?$)";
constexpr const char* kBooleanText =
    "^([Tt][Rr][Uu][Ee]|[Yy][Ee][Ss]|[Oo][Nn]|[Ff][Aa][Ll][Ss][Ee]|[Nn][Oo]|[Oo][Ff][Ff])$";

Json text_like(const char* pattern) {
  return {{"type", "string"}, {"pattern", pattern}};
}

Json list(std::initializer_list<Json> items) {
  Json all = Json::array();
  for (const Json& item : items) all.push_back(item);
  return all;
}

Json scalar() {
  return {{"type", list({"string", "number", "boolean"})}};
}

Json value_schema(const ValueRule& rule, std::string_view doc) {
  Json schema{{"description", doc}};
  switch (rule.kind) {
    case Kind::kInteger:
      // In quotes a number is text, and any number is good there: only the validator looks closer.
      schema["anyOf"] =
          list({{{"type", "integer"}, {"minimum", rule.least}, {"maximum", rule.most}},
                text_like(rule.least < 0 ? "^-?[0-9]+$" : "^[0-9]+$"),
                text_like(kReference)});
      break;
    case Kind::kFraction:
      schema["anyOf"] = list({{{"type", "number"}, {"minimum", 0}, {"maximum", 0.5}},
                              text_like("^0(\\.[0-9]+)?$"),
                              text_like(kReference)});
      break;
    case Kind::kBoolean:
      schema["anyOf"] =
          list({{{"type", "boolean"}}, text_like(kBooleanText), text_like(kReference)});
      break;
    case Kind::kDuration:
      schema["anyOf"] = list(
          {{{"type", "number"}, {"minimum", 0}}, text_like(kDurationText), text_like(kReference)});
      break;
    case Kind::kChoice: {
      Json choices = Json::array();
      for (const std::string_view choice : split_choices(rule.choices)) choices.push_back(choice);
      schema["anyOf"] = list({{{"enum", choices}}, text_like(kReference)});
      break;
    }
    case Kind::kAddress:
      schema["anyOf"] = list({text_like("^.+:[0-9]{1,5}$"), text_like(kReference)});
      break;
    case Kind::kTexts:
      schema["type"] = "array";
      schema["items"] = scalar();
      break;
    default:
      schema.update(scalar());
  }
  return schema;
}

template <typename Row>
Json properties_of(std::span<const Row> rows) {
  Json properties = Json::object();
  for (const Row& row : rows) properties[std::string(row.name)] = value_schema(row.rule, row.doc);
  return properties;
}

Json object(Json properties, std::string_view doc) {
  Json schema{{"type", "object"}};
  if (!doc.empty()) schema["description"] = doc;
  schema["additionalProperties"] = false;
  schema["properties"] = std::move(properties);
  return schema;
}

Json section_schema(const Section& section) {
  Json properties = properties_of(section.keys);
  for (const Section& inner : section.sections) {
    properties[std::string(inner.name)] = section_schema(inner);
  }
  return object(std::move(properties), section.doc);
}

// `config:` of one driver: its own keys and the original's flat ones.
Json driver_schema(const DriverTraits& traits) {
  Json properties = Json::object();
  for (const std::span<const PoolKey> rows : {pool_keys(), health_keys()}) {
    for (const PoolKey& row : rows) {
      if (!row.original.empty()) {
        properties[std::string(row.original)] = value_schema(row.rule, row.doc);
      }
    }
  }
  for (const std::string_view name : ignored_originals()) {
    properties[std::string(name)] = {{"description", "Of the original; means nothing here."}};
  }
  if (has_endpoints(traits)) {
    properties["endpoints"] = {
        {"description",
         "Servers of the one database, as host or host:port, in place of host and port; calls go "
         "to the one that takes writes."},
        {"type", "array"},
        {"minItems", 1},
        {"items", {{"type", "string"}}}};
  }
  Json required = Json::array();
  for (const OptionSpec& option : traits.options) {
    properties[std::string(option.name)] = value_schema(rule_of(option), option.doc);
    if (!option.default_value.empty()) {
      properties[std::string(option.name)]["default"] = option.default_value;
    }
    if (option.required) required.push_back(option.name);
  }
  Json schema = object(std::move(properties), traits.name);
  if (!required.empty()) schema["required"] = required;
  return schema;
}

Json pool_schema() {
  Json types = Json::array();
  Json by_type = Json::array();
  for (const Driver* driver : drivers()) {
    const DriverTraits& traits = driver->traits();
    types.push_back(traits.name);
    by_type.push_back({{"if", {{"properties", {{"type", {{"const", traits.name}}}}}}},
                       {"then", {{"properties", {{"config", driver_schema(traits)}}}}}});
  }
  Json properties{{"id",
                   {{"type", list({"string", "number"})},
                    {"minLength", 1},
                    {"description", "Name of the pool."}}},
                  {"type",
                   {{"anyOf", list({{{"enum", types}}, text_like(kReference)})},
                    {"description", "The database."}}},
                  {"config", {{"type", "object"}}},
                  {"pool", object(properties_of(pool_keys()), "Options of the pool.")},
                  {"health", object(properties_of(health_keys()), "The health checker.")},
                  {"failover", section_schema(failover_section())}};
  Json schema = object(std::move(properties), "");
  schema["required"] = list({"id", "type", "config"});
  schema["allOf"] = by_type;
  return schema;
}

}  // namespace

std::string config_schema() {
  Json deployment{{"mode",
                   {{"anyOf", list({{{"enum", list({"standalone", "coordinated", "distributed"})}},
                                    text_like(kReference)})},
                    {"default", "standalone"},
                    {"description", "This version has standalone."}}},
                  {"pools", {{"type", "array"}, {"items", pool_schema()}}}};
  for (const Section& section : deployment_sections()) {
    deployment[std::string(section.name)] = section_schema(section);
  }
  Json server = section_schema(server_section());
  Json user = object(properties_of(user_keys()), "Who may use the node.");
  user["required"] = list({"name", "password"});
  server["properties"]["users"] = {{"type", "array"}, {"items", std::move(user)}};
  Json coordinator = section_schema(coordinator_section());
  Json token = object(properties_of(token_keys()), "Who may call the coordinator.");
  token["required"] = list({"name", "token", "role"});
  coordinator["properties"]["tokens"] = {{"type", "array"}, {"items", std::move(token)}};
  Json properties{{"deployment", object(std::move(deployment), "")},
                  {"server", std::move(server)},
                  {"coordinator", std::move(coordinator)}};
  Json schema{{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "cenote"}};
  schema.update(object(std::move(properties), ""));
  schema["anyOf"] = Json::array(
      {{{"required", list({"deployment"})}},
       {{"required", list({"coordinator"})}, {"not", {{"required", list({"server"})}}}}});
  return schema.dump(2) + "\n";
}

}  // namespace cenote
