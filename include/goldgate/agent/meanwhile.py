"""What is done for a run while its model thinks: nobody waits for it then."""

import threading
from collections.abc import Callable


class Meanwhile:
    """Does something once, in a thread of its own, when a model is first asked."""

    def __init__(self, do: Callable[[], object]) -> None:
        """Remember what."""
        self._do = do
        self._has_begun = False

    def __call__(self) -> None:
        """Begin, unless that was done before. Returns at once."""
        if self._has_begun:
            return
        self._has_begun = True
        # A daemon: a process that is to end does not wait for it.
        threading.Thread(target=self._do, name="goldgate-meanwhile", daemon=True).start()
