"""A stream of cenote's read to its end: stream.py WHO URL SQL."""

import sys

import cenote
from measure import measured, report


def main() -> None:
    who, url, sql = sys.argv[1:]
    with cenote.connect(url) as pool:
        pool.query("select 1")
        rows, values = measured(lambda: sum(len(frame) for frame in pool.stream(sql)))
    report("stream", who, rows=rows, **values)


if __name__ == "__main__":
    main()
