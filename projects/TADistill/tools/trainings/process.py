"""``train_net.py`` at work for a run."""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress

from .repository import REPO
from .run import Run

TRAIN_NET = REPO / "train_net.py"
PATIENCE = 20  # seconds from SIGTERM to SIGKILL
SECONDS_BETWEEN_NOTES = 30
BYTES_OF_MAXRSS = 1 if sys.platform == "darwin" else 1024


class Process:
    """``train_net.py`` at work for a run, resumed where it was interrupted.

    While it works nobody else can start the run: see :meth:`start`.
    """

    def __init__(self, run: Run, threads: int, lock: int):
        self.run = run
        self._lock = lock
        self.started = self._noted = time.monotonic()
        command = [sys.executable, str(TRAIN_NET), *run.arguments]
        if run.state == "started" and run.evaluate_teacher:
            for path in run.directory.glob("eval_teacher*"):
                shutil.rmtree(path)
        elif run.state == "started":
            command.insert(2, "--resume")
        self.iterations_before = run.iterations_done
        run.state = "started"
        run.begin_part()
        with open(run.directory / "console.log", "a") as log:
            self._popen = subprocess.Popen(
                command,
                cwd=REPO,
                env={**os.environ, "OMP_NUM_THREADS": str(threads)},
                stdout=log,
                stderr=log,
                # It keeps the lock too, and should this process die it goes on.
                pass_fds=[lock],
            )

    @classmethod
    def start(cls, run: Run, threads: int) -> "Process | None":
        """Starts it; None if another process is at it, or was and has finished it. Such a process
        may be one of this program, or one that it left behind when it was killed.
        """
        lock = lock_of(run)
        if lock is not None and run.state != "finished":
            return cls(run, threads, lock)
        if lock is not None:
            os.close(lock)
        return None

    @property
    def seconds(self) -> float:
        """Since it was started."""
        return time.monotonic() - self.started

    def poll(self) -> int | None:
        """Its exit status; None while it works."""
        if self._popen.returncode is None:
            self._wait(os.WNOHANG)
        if time.monotonic() - self._noted > SECONDS_BETWEEN_NOTES:
            self._noted = time.monotonic()
            self.run.note(seconds=round(self.seconds, 1))
        return self._popen.returncode

    def stop(self) -> None:
        """Tells it to end. Its last checkpoint is what will be left of it."""
        with suppress(OSError):  # of a full disk, on which nothing can be noted
            self.poll()
        if self._popen.returncode is None:
            self._popen.terminate()

    def wait(self) -> None:
        """Until it has ended."""
        deadline = time.monotonic() + PATIENCE
        with suppress(OSError):
            while self.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
        if self._popen.returncode is None:
            self._popen.kill()
            with suppress(OSError):
                self._wait(0)

    def release(self) -> None:
        """Lets others have the run."""
        os.close(self._lock)

    def _wait(self, options: int) -> None:
        pid, status, usage = os.wait4(self._popen.pid, options)
        if pid:
            self._popen.returncode = os.waitstatus_to_exitcode(status)
            mib = usage.ru_maxrss * BYTES_OF_MAXRSS / 2**20
            self.run.note(seconds=round(self.seconds, 1), peak_rss_mib=round(mib, 1))


def lock_of(run: Run) -> int | None:
    """A run's lock, as an open file; None if another process has it.

    It is the kernel's: whoever had it and died, however that was, has it no more.
    """
    run.directory.mkdir(parents=True, exist_ok=True)
    lock = os.open(run.directory / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
