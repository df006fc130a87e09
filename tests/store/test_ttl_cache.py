"""The cache of rows: how long a value is valid, and what a write invalidates."""

from orchestrator.store.ttl_cache import TtlCache


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Source:
    """A source that counts how often it is read."""

    def __init__(self) -> None:
        self.reads = 0

    async def read(self) -> int:
        self.reads += 1
        return self.reads


async def test_a_value_is_read_again_once_it_has_expired() -> None:
    clock, source = Clock(), Source()
    cache = TtlCache[str, int](10, 1.0, clock)

    values = []
    for clock.now in (0.0, 0.9, 1.0, 1.9):
        values.append(await cache.get("key", source.read))

    assert values == [1, 1, 2, 2]


async def test_a_write_invalidates_every_value() -> None:
    source = Source()
    cache = TtlCache[str, int](10)
    await cache.get("key", source.read)

    cache.clear()

    assert await cache.get("key", source.read) == 2


async def test_a_value_that_was_requested_before_a_write_is_not_cached() -> None:
    source = Source()
    cache = TtlCache[str, int](10)

    async def read_during_a_write() -> int:
        cache.clear()
        return await source.read()

    assert await cache.get("key", read_during_a_write) == 1
    assert await cache.get("key", source.read) == 2


async def test_a_full_cache_evicts_the_oldest_value() -> None:
    source = Source()
    cache = TtlCache[str, int](2)
    for key in ("a", "b", "c"):
        await cache.get(key, source.read)

    assert [await cache.get(key, source.read) for key in ("b", "c", "a")] == [2, 3, 4]


async def test_an_error_is_not_cached() -> None:
    cache, source = TtlCache[str, int](2), Source()

    async def fail() -> int:
        raise LookupError

    for load in (fail, source.read):
        try:
            value = await cache.get("key", load)
        except LookupError:
            value = 0

    assert value == 1
