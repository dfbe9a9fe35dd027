"""The first five minutes: one SQLite file, a pool, frames. `quickstart.py shop.db`."""

from __future__ import annotations

import asyncio
import sys

import cenote


def notebook(path: str) -> None:
    """Blocking, one database: for notebooks and scripts."""
    with cenote.connect(path) as pool:
        print(pool.query("select id, item, quantity, total from orders where total > ? order by total desc", [600]))
        by_city = pool.query(
            """select c.city, count(*) as orders, sum(o.total) as revenue
               from orders o join customers c on c.id = o.customer_id group by c.city order by revenue desc"""
        )
        print(by_city.to_pandas())


async def service(path: str) -> None:
    """Coroutines, named pools: for backends."""
    pool = cenote.DatabasePool()
    await pool.create_pool("main_db", "sqlite", database=path, min_connections=0, max_connections=10)
    frames = await asyncio.gather(
        *(
            pool.query("main_db", "select sum(total) as total from orders where item = ?", [item])
            for item in ("map", "reel")
        )
    )
    print([frame.rows() for frame in frames])
    async with pool.transaction("main_db") as tx:
        await tx.execute("update orders set quantity = quantity + 1 where id = :id", {"id": 1})
    print(await pool.get_pool_status("main_db"))
    await pool.remove_pool("main_db")


if __name__ == "__main__":
    notebook(sys.argv[1])
    asyncio.run(service(sys.argv[1]))
