// The statements that ask a database for its schemas, tables and keys. They ask for everything;
// filters are applied to the answers, alike for every database.
#pragma once

#include <string_view>

namespace cenote::node {

struct CatalogSql {
  std::string_view schemas;       // schema
  std::string_view tables;        // schema, table, type ("TABLE", "VIEW", …)
  std::string_view primary_keys;  // schema, table, column, place from 1, key
  // pk schema, pk table, pk column, fk schema, fk table, fk column, place from 1, fk key, pk key,
  // rule of update, rule of delete (as SQL writes them: "NO ACTION")
  std::string_view foreign_keys;
};

// By a pool's `type`; what is unknown here is asked by SQL's own information schema.
const CatalogSql& catalog_sql(std::string_view type);

}  // namespace cenote::node
