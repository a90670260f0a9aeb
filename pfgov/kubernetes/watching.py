"""Keeping up with the objects of one kind: listed once, then watched; listed again where the watch was cut too long.

What is kept is what the server said last, by key; a broken connection goes on from the last version that was heard, and
410 Gone means that everything is listed anew.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, Protocol, TypeVar

from pfgov.errors import PfgovError
from pfgov.kubernetes.api import (
    GoneError,
    Kubernetes,
    Listed,
    NoAnswerError,
    Resource,
)
from pfgov.kubernetes.shapes import UnreadableError, map_in

T = TypeVar("T")
K = TypeVar("K")

PAUSES: Final = (0.1, 0.5, 2.0, 5.0, 15.0)
"""Seconds before the server is asked again after so many failures in a row."""

log = logging.getLogger("pfgov.kubernetes")


class Keeping(Protocol):
    """What keeps up with one kind, whatever it is."""

    is_synced: bool

    async def run(self) -> None:
        """Keep up until this is cancelled."""
        ...

    async def list(self) -> None:
        """Read all of them, unless it is known from where to watch."""
        ...

    def forget_version(self) -> None:
        """Have all of them read anew at the next :meth:`list`."""
        ...


class Watched(Generic[K, T]):
    """The objects of one kind as they are now."""

    def __init__(
        self,
        api: Kubernetes,
        kind: Resource,
        read: Callable[[Any], T],
        key: Callable[[T], K],
        changed: Callable[[], None],
    ) -> None:
        """Keep objects of *kind*, read by *read*, under *key*; *changed* is called after each change."""
        self.kind = kind
        self.objects: dict[K, T] = {}
        self.is_synced = False
        self.error: PfgovError | None = None
        self._api, self._read, self._key, self._changed = api, read, key, changed
        self._version: str | None = None

    async def run(self) -> None:
        """Keep up until this is cancelled."""
        failures = 0
        while True:
            try:
                await self.list()
                while True:
                    await self.watch()
                    failures = 0
            except PfgovError as error:  # whatever it is: nobody would begin to keep up again
                if not isinstance(error, NoAnswerError):
                    self._version = None
                if isinstance(error, GoneError) and not failures:
                    failures = 1
                    continue
                self.error = error
                log.warning("%s: %s", self.kind.plural, error)
            failures = min(failures + 1, len(PAUSES))
            await asyncio.sleep(PAUSES[failures - 1])

    async def list(self) -> None:
        """Read all of them, unless it is known from where to watch."""
        if self._version is None:
            self._take(await self._api.list(self.kind))

    def forget_version(self) -> None:
        """Have all of them read anew at the next :meth:`list`."""
        self._version = None

    async def watch(self) -> None:
        """Take in what changes until the server ends the watch."""
        assert self._version is not None
        async for change in self._api.watch(self.kind, self._version):
            version = str(map_in(change.shown, "metadata").get("resourceVersion", ""))
            if change.kind == "DELETED":
                self._forget(change.shown)
            elif change.kind in {"ADDED", "MODIFIED"}:
                self._put(change.shown)
            self._version = version or self._version
            self.error = None
            if change.kind != "BOOKMARK":
                self._changed()

    def _take(self, listed: Listed) -> None:
        before, self.objects = self.objects, {}
        for shown in listed.items:
            self._put(shown, before)
        self._version, self.is_synced, self.error = listed.version, True, None
        self._changed()

    def _put(self, shown: Mapping[str, Any], before: dict[K, T] | None = None) -> None:
        """Keep an object; of one that cannot be read, what was known of it stays and it is said."""
        try:
            found = self._read(shown)
        except UnreadableError as error:
            log.warning("%s: %s", self.kind.plural, error)
            if before is not None:
                self.objects.update(_same(before, shown))
            return
        self.objects[self._key(found)] = found

    def _forget(self, shown: Mapping[str, Any]) -> None:
        uid = map_in(shown, "metadata").get("uid")
        for key, one in list(self.objects.items()):
            if getattr(one, "uid", None) == uid:
                del self.objects[key]


def _same(before: dict[K, T], shown: Mapping[str, Any]) -> dict[K, T]:
    uid = map_in(shown, "metadata").get("uid")
    return {key: one for key, one in before.items() if getattr(one, "uid", None) == uid}
