"""The program `goldgate`. Whoever interrupts it, be it while it is still loaded, is shown no traceback."""

import signal


def main() -> None:
    """Run the command line."""
    # Half a second of imports, in which nothing is begun: Ctrl-C ends the process as it ends any other program. Not one
    # that was started to ignore it, in the background of a script.
    by_python = signal.getsignal(signal.SIGINT)
    if by_python is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from goldgate.entrypoints.commands.everything import goldgate  # noqa: PLC0415 - it is what takes so long

    signal.signal(signal.SIGINT, by_python)
    goldgate()


if __name__ == "__main__":
    main()
