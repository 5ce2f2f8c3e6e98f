"""Runs one command, and ends it as soon as the process that asked for it is gone.

Usage: python watchdog.py FOLDER COMMAND… with a pipe as standard input. The starter holds the
other end of the pipe, and the system closes it however the starter ends, kill -9 included; that
works on Linux and macOS alike, and no matter which thread started what. (A process that the
starter forked without exec holds that end as well, so the end comes when both are gone.)
One byte is one order: `t` SIGTERM to the command, `k` SIGKILL. End of file: SIGKILL, and FOLDER,
unless its name is empty, is removed. Only the standard library: it starts in milliseconds.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading


def main() -> None:
    """Runs the command; the exit code is its own."""
    folder, *command = sys.argv[1:]
    # The starter decides when the command ends, not a Ctrl-C or a signal to the whole group.
    # A handler rather than SIG_IGN: Java would inherit SIG_IGN and then not heed SIGTERM itself.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    orphaned = threading.Event()

    def obey() -> None:
        while order := os.read(0, 1):
            child.send_signal(signal.SIGTERM if order == b"t" else signal.SIGKILL)
        orphaned.set()
        child.kill()

    threading.Thread(target=obey, daemon=True).start()
    code = child.wait()
    if orphaned.is_set() and folder:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
