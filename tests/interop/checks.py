"""Shared by the Python scripts: named checks, and the final summary."""


def run(checks):
    """Runs checks, pairs of a name and a function. One that raises fails, and the next one runs. Returns the exit status."""
    results = {}
    for name, check in checks:
        try:
            check()
            passed(results, name)
        except Exception as error:  # any exception fails this check only
            failed(results, name, error)
    return summary(results)


def passed(results, name):
    results[name] = True
    print(f"ok    {name}", flush=True)


def failed(results, name, error):
    results[name] = False
    print(f"FAIL  {name}: {error!r}", flush=True)


def summary(results, expected=()):
    """Prints the totals, and returns the exit status: 1 if a check failed, or did not run, or if none ran."""
    for name in expected:
        if name not in results:
            failed(results, name, "did not run")
    count = sum(results.values())
    print(f"{count} passed, {len(results) - count} failed")
    return 0 if results and count == len(results) else 1
