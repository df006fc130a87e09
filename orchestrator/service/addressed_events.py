"""Give events to the runs that wait for their name and key, now or within the time for which the events are kept.

One process at a time does this, under a lease. A run is given an event once: what it was given is recorded after the
event was sent, and Temporal takes an event that is sent again, by its request ID, for the same.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256

from orchestrator.errors import OperationRefused, RunNotFound
from orchestrator.service.background import run_every_with_lease
from orchestrator.store import addressed_events as store
from orchestrator.store.addressed_events import AddressedEvent, Awaited, Recipient
from orchestrator.store.deliveries import Delivery
from orchestrator.store.leases import Leases
from orchestrator.store.ttl_cache import TtlCache
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.client.visibility import AwaitingFlow
from orchestrator.temporal.waiting import ANY_KEY, DIGEST_LENGTH, encode_address

LEASE = "addressed events"
EVERY_SECONDS = 1.0
LEASE_SECONDS = 30.0
PRUNE_EVERY = timedelta(minutes=1)
OVERLAP = timedelta(seconds=5)
"""Visibility lags behind: this much before the mark is read again."""
WIDE_OVERLAP = timedelta(minutes=10)
WIDE_EVERY = timedelta(minutes=1)
"""A server under load lags further behind: from time to time more is read again."""
BATCH = 200
AT_ONCE = 16
MAX_KEPT = 20_000
"""Events that are kept for one customer."""
MAX_SEEN = 50_000
MAX_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Address:
    """For which runs an event is: those that wait for its name, and for this key or have it as a business key."""

    name: str
    value: str
    keep_seconds: float


class AddressedEvents:
    """Keeps events, follows what runs wait for, and brings the two together."""

    def __init__(self, runs: Runs, events: store.AddressedEvents, leases: Leases) -> None:
        self.runs = runs
        self.events = events
        self.leases = leases
        self._seen: dict[str, datetime] = {}
        """When what a run or a branch waits for has last changed, as far as it is recorded."""
        self._keys: TtlCache[str, tuple[str, ...]] = TtlCache(MAX_SEEN)
        self._wide = self._pruned = datetime.now(UTC)

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Give events to runs for the duration of the context."""
        async with run_every_with_lease(EVERY_SECONDS, "addressed events", self.run_once, self.leases, LEASE):
            yield

    async def run_once(self) -> None:
        """Follow what runs wait for and give them their events, unless another process holds the lease."""
        await self.leases.run_while_held(LEASE, LEASE_SECONDS, self._work)

    async def require_space(self, customer_id: str) -> None:
        """Raise OperationRefused where too many events are kept for a customer."""
        if await self.events.count(customer_id) >= MAX_KEPT:
            raise OperationRefused(
                f"{MAX_KEPT:,} events are kept for runs that may wait for them",
                hint="send them with a shorter keep_seconds, or start runs by the event instead",
            )

    async def keep(self, delivery: Delivery, address: Address) -> None:
        """Keep the event of a delivery until it expires; one that is sent again is not kept for longer."""
        expires_at = delivery.received_at + timedelta(seconds=address.keep_seconds)
        if expires_at > datetime.now(UTC):
            data = delivery.received["data"]
            event = AddressedEvent(delivery.id, delivery.customer_id, delivery.name, data, address.value, expires_at)
            await self.events.put(event, _list_digests(event, address.name))

    async def list_given(self, event_id: str) -> list[str]:
        """List the runs that have been given an event."""
        return await self.events.list_given(event_id, MAX_SHOWN)

    async def _work(self) -> None:
        await self.follow()
        await self.give()
        now = datetime.now(UTC)
        if now - self._pruned >= PRUNE_EVERY:
            await self.events.prune()
            self._pruned = now

    async def follow(self) -> None:
        """Record for which events runs wait, as far as that has changed."""
        mark = await self.leases.get_mark(LEASE)
        now = datetime.now(UTC)
        wide = now - self._wide >= WIDE_EVERY
        since = datetime.fromtimestamp(0, UTC) if mark is None else mark - (WIDE_OVERLAP if wide else OVERLAP)
        moved: list[AwaitingFlow] = []
        async for flow in self.runs.visibility.list_awaiting(since):
            if self._seen.get(flow.id) != flow.moved_at:
                moved.append(flow)
        for at in range(0, len(moved), BATCH):
            batch = moved[at : at + BATCH]
            await self.events.set_awaited([await self._describe(flow) for flow in batch])
            self._seen |= {flow.id: flow.moved_at for flow in batch}
        if moved:  # only now: after a crash before, all are read again
            newest = max(flow.moved_at for flow in moved)
            await self.leases.set_mark(LEASE, newest if mark is None else max(mark, newest))
        if wide:
            self._wide = now
        if len(self._seen) > MAX_SEEN:
            self._seen.clear()

    async def _describe(self, flow: AwaitingFlow) -> Awaited:
        digests = [digest for address in flow.addresses for digest in await self._expand(flow, address)]
        return Awaited(flow.id, flow.run_id, flow.customer_id, tuple(dict.fromkeys(digests)))

    async def _expand(self, flow: AwaitingFlow, address: str) -> list[str]:
        """Return an address as it is stored: a wait without a key has the business keys of its run."""
        if not address.startswith(ANY_KEY):
            return [address]
        keys = flow.keys
        if flow.id != flow.run_id:
            keys = await self._keys.get(flow.run_id, partial(self._read_keys, flow.run_id))
        return [_combine(address, key) for key in keys]

    async def _read_keys(self, run_id: str) -> tuple[str, ...]:
        """Return the business keys of the run of a branch."""
        try:
            summary = await self.runs.visibility.read_summary(run_id)
        except RunNotFound:
            return ()
        return tuple(f"{name}={value}" for name, value in summary.keys.items())

    async def give(self) -> int:
        """Give events to the runs that wait for them; return their number."""
        number = 0
        while recipients := await self.events.list_recipients(BATCH):
            slots = asyncio.Semaphore(AT_ONCE)

            async def send(recipient: Recipient, slots: asyncio.Semaphore = slots) -> None:
                async with slots:
                    await self._send(recipient)

            results = await asyncio.gather(*map(send, recipients), return_exceptions=True)
            done = [each for each, result in zip(recipients, results, strict=True) if result is None]
            if done:
                await self.events.mark_given(done)
            number += len(done)
            for result in results:
                if isinstance(result, BaseException):
                    raise result
        return number

    async def _send(self, recipient: Recipient) -> None:
        """Send an event to a run; one that has ended is not asked again."""
        event = recipient.event
        with contextlib.suppress(OperationRefused, RunNotFound):
            await self.runs.send_event(
                recipient.run_id,
                event.name,
                event.data,
                key=f"addressed {event.id}",
                event_key=event.key,
                by=f"event {event.id}",
            )


def _list_digests(event: AddressedEvent, key_name: str) -> Iterator[str]:
    """Yield the addresses of an event: of waits that ask for its key, and of runs that have it as a business key."""
    yield encode_address(event.name, event.key)
    yield _combine(encode_address(event.name, None), f"{key_name}={event.key}")


def _combine(address: str, key: str) -> str:
    digest = sha256(f"{address}\0{key}".encode()).hexdigest()[:DIGEST_LENGTH]
    return f"run:{digest}"
