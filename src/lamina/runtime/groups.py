"""Control groups of containers as the host sees them, of both versions."""

ROOT = "/sys/fs/cgroup"


def out_of_memory(name: str) -> bool:
    """Tell whether the kernel killed a process of a group for want of memory; a group that is gone tells nothing."""
    paths = (f"{ROOT}/memory/{name}/memory.oom_control", f"{ROOT}/{name}/memory.events")
    return any(_field(path, "oom_kill") > 0 for path in paths)


def _field(path: str, name: str) -> int:
    """Return the number that a file of `name number` lines has for a name, or 0."""
    try:
        with open(path, encoding="ascii") as file:
            rows = dict(line.split() for line in file)
    except OSError:
        return 0
    return int(rows.get(name, 0))
