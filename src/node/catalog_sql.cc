// SQLite by its pragmas, PostgreSQL by its catalog (its information schema hides what one does not
// own, and joins keys by names that need not be unique), others by the information schema.
#include "node/catalog_sql.h"

namespace cenote::node {
namespace {

constexpr CatalogSql kSqlite{.schemas = "select name from pragma_database_list order by 1",
                             .tables = R"(
select schema, name, case type when 'view' then 'VIEW' else 'TABLE' end
from pragma_table_list
where type in ('table', 'view', 'virtual') and name not like 'sqlite\_%' escape '\'
order by 3, 1, 2)",
                             .primary_keys = R"(
select t.schema, t.name, c.name, c.pk, null
from pragma_table_list t, pragma_table_info(t.name, t.schema) c
where c.pk > 0 and t.type = 'table' order by 1, 2, 4)",
                             .foreign_keys = R"(
select t.schema, f."table",
       coalesce(f."to", (select c.name from pragma_table_info(f."table", t.schema) c
                         where c.pk = f.seq + 1)),
       t.schema, t.name, f."from", f.seq + 1, cast(f.id as text), null, f.on_update, f.on_delete
from pragma_table_list t, pragma_foreign_key_list(t.name, t.schema) f
where t.type = 'table' order by 1, 2, 5, f.id, 7)"};

constexpr CatalogSql kPostgresql{.schemas = R"(
select nspname::text from pg_catalog.pg_namespace
where nspname !~ '^pg_(toast|temp)' order by 1)",
                                 .tables = R"(
select n.nspname::text, c.relname::text,
       case c.relkind when 'v' then 'VIEW' when 'm' then 'MATERIALIZED VIEW'
                      when 'f' then 'FOREIGN TABLE' else 'TABLE' end
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname <> 'information_schema'
  and n.nspname !~ '^pg_' order by 3, 1, 2)",
                                 .primary_keys = R"(
select n.nspname::text, c.relname::text, a.attname::text, k.place::int4, o.conname::text
from pg_catalog.pg_constraint o
join pg_catalog.pg_class c on c.oid = o.conrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
cross join lateral unnest(o.conkey) with ordinality as k(number, place)
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
where o.contype = 'p' order by 1, 2, 4)",
                                 .foreign_keys = R"(
select pn.nspname::text, pc.relname::text, pa.attname::text,
       fn.nspname::text, fc.relname::text, fa.attname::text, k.place::int4, o.conname::text,
       (select p.conname::text from pg_catalog.pg_constraint p
        where p.conindid = o.conindid and p.contype in ('p', 'u') limit 1),
       case o.confupdtype when 'c' then 'CASCADE' when 'r' then 'RESTRICT' when 'n' then 'SET NULL'
                          when 'd' then 'SET DEFAULT' else 'NO ACTION' end,
       case o.confdeltype when 'c' then 'CASCADE' when 'r' then 'RESTRICT' when 'n' then 'SET NULL'
                          when 'd' then 'SET DEFAULT' else 'NO ACTION' end
from pg_catalog.pg_constraint o
join pg_catalog.pg_class pc on pc.oid = o.confrelid
join pg_catalog.pg_namespace pn on pn.oid = pc.relnamespace
join pg_catalog.pg_class fc on fc.oid = o.conrelid
join pg_catalog.pg_namespace fn on fn.oid = fc.relnamespace
cross join lateral unnest(o.confkey, o.conkey) with ordinality as k(pk, fk, place)
join pg_catalog.pg_attribute pa on pa.attrelid = pc.oid and pa.attnum = k.pk
join pg_catalog.pg_attribute fa on fa.attrelid = fc.oid and fa.attnum = k.fk
where o.contype = 'f' order by 1, 2, 5, 8, 7)"};

constexpr CatalogSql kInformationSchema{
    .schemas = "select schema_name from information_schema.schemata order by 1",
    .tables = R"(
select table_schema, table_name,
       case table_type when 'BASE TABLE' then 'TABLE' else table_type end
from information_schema.tables
where lower(table_schema) <> 'information_schema' order by 3, 1, 2)",
    .primary_keys = R"(
select k.table_schema, k.table_name, k.column_name, k.ordinal_position, k.constraint_name
from information_schema.table_constraints t
join information_schema.key_column_usage k
  on k.constraint_schema = t.constraint_schema and k.constraint_name = t.constraint_name
 and k.table_name = t.table_name
where t.constraint_type = 'PRIMARY KEY' order by 1, 2, 4)",
    .foreign_keys = R"(
select p.table_schema, p.table_name, p.column_name, f.table_schema, f.table_name, f.column_name,
       f.ordinal_position, f.constraint_name, p.constraint_name, r.update_rule, r.delete_rule
from information_schema.referential_constraints r
join information_schema.key_column_usage f
  on f.constraint_schema = r.constraint_schema and f.constraint_name = r.constraint_name
join information_schema.key_column_usage p
  on p.constraint_schema = r.unique_constraint_schema
 and p.constraint_name = r.unique_constraint_name and p.ordinal_position = f.ordinal_position
order by 1, 2, 5, 8, 7)"};

}  // namespace

const CatalogSql& catalog_sql(std::string_view type) {
  if (type == "sqlite") return kSqlite;
  if (type == "postgresql") return kPostgresql;
  return kInformationSchema;
}

}  // namespace cenote::node
