"""Makes the sample shop: an SQLite database with 100,000 orders, the same on every machine. `make-shop.py FILE`."""

from __future__ import annotations

import random
import sqlite3
import sys

ORDERS = 100_000
CITIES = ["Mérida", "Valladolid", "Tulum", "Campeche", "Izamal", "Progreso"]
GOODS = ["rope", "lamp", "mask", "fins", "map", "bottle", "knife", "reel"]


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: make-shop.py FILE", file=sys.stderr)
        return 2
    chance = random.Random(2002)
    with sqlite3.connect(sys.argv[1]) as shop:
        if shop.execute("select count(*) from sqlite_master where name = 'orders'").fetchone()[0]:
            return 0
        shop.executescript("""
            create table customers (id integer primary key, name text not null, city text not null);
            create table orders (
                id integer primary key,
                customer_id integer not null references customers (id),
                placed_at timestamp not null,
                item text not null,
                quantity integer not null,
                total real not null
            );
            create index orders_customer on orders (customer_id);
        """)
        shop.executemany(
            "insert into customers values (?, ?, ?)",
            ((i, f"Customer {i}", chance.choice(CITIES)) for i in range(1, 2001)),
        )

        def order(number: int) -> tuple[int, int, str, str, int, float]:
            minute = chance.randrange(60 * 24 * 365)
            day, clock = divmod(minute, 60 * 24)
            month, day = divmod(day, 30)
            placed = f"2025-{min(month, 11) + 1:02}-{day % 28 + 1:02} {clock // 60:02}:{clock % 60:02}:00"
            quantity = chance.randint(1, 9)
            total = round(quantity * chance.uniform(2, 80), 2)
            return number, chance.randint(1, 2000), placed, chance.choice(GOODS), quantity, total

        shop.executemany("insert into orders values (?, ?, ?, ?, ?, ?)", map(order, range(1, ORDERS + 1)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
