"""The marks on the file systems that hold sources: set, followed when something is mounted or unmounted, taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator_fanotify.mounts import mount_of, mounts_below
from orchestrator_fanotify.refusals import gap, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from orchestrator_fanotify.kernel import Kernel
    from orchestrator_fanotify.mounts import Mount


class Marks:
    """`points`: a directory on each mount that a source lies on or that lies in one, by the identity of its file
    system. Each of these file systems has one mark, whatever the number of its mounts."""

    def __init__(self, kernel: Kernel, mask: int, log: Callable[..., None]) -> None:
        """`mask`: the events to be asked for."""
        self.points: dict[bytes, list[bytes]] = {}
        self._kernel = kernel
        self._mask = mask
        self._log = log
        self._refused: set[bytes] = set()  # mounts that it was said of

    def follow(self, roots: Iterable[bytes]) -> dict[bytes, str]:
        """Marks what holds these sources now, and nothing else. Gives why a source can't be watched."""
        roots = tuple(roots)
        try:
            mounts = self._kernel.mounts() if roots else []
        except OSError as error:
            return dict.fromkeys(roots, refusal(error))
        problems: dict[bytes, str] = {}
        points: dict[bytes, list[bytes]] = {}
        seen: set[int] = set()  # mounts
        for root in roots:
            own = mount_of(root, mounts)
            for mount in [] if own is None else [own, *mounts_below(root, mounts)]:
                if mount.number in seen:
                    continue
                point = root if mount is own else mount.point
                try:
                    identity = self._kernel.mark(self._mask, point)
                except OSError as error:
                    if mount is own:
                        problems[root] = refusal(error, root, mount.kind)
                    else:
                        self._warn(mount, error)
                    continue
                seen.add(mount.number)
                points.setdefault(identity, []).append(point)
        for identity in self.points.keys() - points.keys():
            try:
                self._kernel.unmark(self._mask, self.points[identity][0])
            except OSError:
                pass  # it is gone, with its mark
        self.points = points
        return problems

    def _warn(self, mount: Mount, error: OSError) -> None:
        if mount.point not in self._refused:
            self._refused.add(mount.point)
            self._log("Warn", gap(error, mount.point, mount.kind))
