// By SQL alone. Chance comes from a hash of the row's number, so that every machine gets the same
// rows.
#include "cli/shop.h"

#include <memory>

#include "cenote/config.h"

#include "cli/target.h"

namespace cenote::cli {
namespace {

constexpr const char* kStatements[] = {
    "create table customers (id integer primary key, name text not null, city text not null)",
    "create table orders (id integer primary key,"
    " customer_id integer not null references customers (id), placed_at timestamp not null,"
    " item text not null, quantity integer not null, total real not null)",
    "create index orders_customer on orders (customer_id)",
    "with recursive number (i) as (select 1 union all select i + 1 from number where i < 2000),"
    " city (k, name) as (values (0, 'Mérida'), (1, 'Valladolid'), (2, 'Tulum'), (3, 'Campeche'),"
    " (4, 'Izamal'), (5, 'Progreso'))"
    " insert into customers select i, 'Customer ' || i, city.name from number join city"
    " on city.k = (i * 2654435761 % 4294967296) / 65536 % 6",
    "with recursive number (i) as (select 1 union all select i + 1 from number where i < 100000),"
    " chance (i, a, b) as (select i, (i * 2654435761 % 4294967296) / 256,"
    " (i * 2246822519 % 4294967296) / 256 from number),"
    " goods (k, name, price) as (values (0, 'rope', 12.5), (1, 'lamp', 39.9), (2, 'mask', 24.0),"
    " (3, 'fins', 45.5), (4, 'map', 8.25), (5, 'bottle', 15.75), (6, 'knife', 31.0),"
    " (7, 'reel', 77.0))"
    " insert into orders select i, 1 + a % 2000,"
    " datetime('2025-01-01', '+' || (b % 525600) || ' minutes'), goods.name, 1 + a / 2000 % 9,"
    " round((1 + a / 2000 % 9) * goods.price * (0.8 + b / 8 % 41 / 100.0), 2)"
    " from chance join goods on goods.k = b % 8",
};

}  // namespace

Status make_shop(const std::string& file) {
  PoolConfig config;
  config.id = "shop";
  config.type = "sqlite";
  config.config["database"] = file;
  ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<LocalPool> pool, open_for_command(std::move(config)));
  for (const char* statement : kStatements) {
    ARROW_RETURN_NOT_OK(pool->execute(statement).status());
  }
  return Status::OK();
}

}  // namespace cenote::cli
