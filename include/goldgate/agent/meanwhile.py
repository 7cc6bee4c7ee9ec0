"""What is done for a run while its model thinks: nobody waits for it then."""

import threading
from collections.abc import Callable


class OpenedMeanwhile:
    """Has an agent's tool servers started when its model is first asked.

    On two cores the library alone takes half a second to import, and a program a second to start. The first call of a
    tool, which waits for both, finds them under way or done. What cannot be reached says so when it is called.
    """

    def __init__(self, open_tools: Callable[[], object]) -> None:
        """Remember how they are opened."""
        self._open_tools = open_tools
        self._has_begun = False

    def __call__(self) -> None:
        """Begin, unless that was done before. Returns at once."""
        if self._has_begun:
            return
        self._has_begun = True
        # A daemon: a process that is to end does not wait for a server that does not answer.
        threading.Thread(target=self._open_tools, name="goldgate-tools", daemon=True).start()
