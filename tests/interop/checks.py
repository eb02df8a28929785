"""Shared by the Python scripts: named checks, and the final summary."""

import asyncio


class Checks:
    """The results of checks so far. A check that raises fails, and the next one can run."""

    def __init__(self):
        self.results = {}

    def run(self, name, check):
        """Runs a function."""
        try:
            check()
            self.passed(name)
        except Exception as error:  # any exception fails this check only
            self.failed(name, error)

    async def wait(self, name, seconds, check):
        """Waits for a coroutine, which has a time limit."""
        try:
            async with asyncio.timeout(seconds):
                await check
            self.passed(name)
        except Exception as error:  # any exception fails this check only
            self.failed(name, error)

    async def wait_for_all(self, seconds, run, expected):
        """Waits for a coroutine that makes the expected checks. Returns the exit status."""
        try:
            async with asyncio.timeout(seconds):
                await run
        except Exception as error:
            self.failed("the run as a whole", error)
        for name in expected:
            if name not in self.results:
                self.failed(name, "did not run")
        return self.summary()

    def passed(self, name):
        self.results[name] = True
        print(f"ok    {name}", flush=True)

    def failed(self, name, error):
        self.results[name] = False
        print(f"FAIL  {name}: {error!r}", flush=True)

    def summary(self):
        """Prints the totals. Returns the exit status: 1 if a check failed or none ran."""
        passed = sum(self.results.values())
        print(f"{passed} passed, {len(self.results) - passed} failed")
        return 0 if self.results and passed == len(self.results) else 1


def run(checks):
    """Runs checks, pairs of a name and a function. Returns the exit status."""
    results = Checks()
    for name, check in checks:
        results.run(name, check)
    return results.summary()
