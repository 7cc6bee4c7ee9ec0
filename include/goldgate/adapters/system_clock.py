"""The machine's clock. The only place that asks what time it is."""

from datetime import UTC, datetime


class SystemClock:
    """The time of day, by the machine."""

    def now(self) -> datetime:
        """Now, aware, in UTC."""
        return datetime.now(UTC)
