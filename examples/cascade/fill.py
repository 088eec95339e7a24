"""Puts the tastes of the first users into Redis.

python -m cascade.fill --redis unix:///tmp/redis.sock --users 1000
"""

import argparse

from redis import Redis

from cascade.catalogue import key, taste


def main() -> None:
    """Write what users named user-0, user-1, ... like."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--redis", default="redis://127.0.0.1:6379/0", help="where Redis is")
    parser.add_argument("--users", type=int, default=1000)
    arguments = parser.parse_args()
    with Redis.from_url(arguments.redis) as redis:
        names = [f"user-{number}" for number in range(arguments.users)]
        redis.mset({key(name): taste(name).tobytes() for name in names})
    print(f"{arguments.users} users, user-0 to user-{arguments.users - 1}")


if __name__ == "__main__":
    main()
