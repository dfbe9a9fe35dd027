"""SQLAlchemy's QueuePool over connections that do nothing: queue_pool.py SECONDS THREADS…"""

import json
import sys
import threading
import time

import sqlalchemy.pool


class NullConnection:
    def rollback(self) -> None:
        pass

    def close(self) -> None:
        pass


def measure(pool: sqlalchemy.pool.QueuePool, threads: int, seconds: float) -> float:
    done = [0] * threads
    go = threading.Event()

    def work(index: int) -> None:
        go.wait()
        count = 0
        end = begin + seconds
        while time.perf_counter() < end:
            for _ in range(10):
                pool.connect().close()
            count += 10
        done[index] = count

    workers = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
    for worker in workers:
        worker.start()
    begin = time.perf_counter()
    go.set()
    for worker in workers:
        worker.join()
    return (time.perf_counter() - begin) * 1e9 / sum(done)


def main() -> None:
    pool = sqlalchemy.pool.QueuePool(NullConnection, pool_size=8, max_overflow=0, reset_on_return=None)
    for threads in map(int, sys.argv[2:]):
        figure = measure(pool, threads, float(sys.argv[1]))
        print(json.dumps({"bench": "checkout", "who": "SQLAlchemy", "threads": threads, "ns_per_op": figure}))


if __name__ == "__main__":
    main()
