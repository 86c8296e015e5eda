"""System calls of x86-64, by what they do to a store."""

NUMBERS = {
    "write": 1,
    "open": 2,
    "pwrite64": 18,
    "writev": 20,
    "pipe": 22,
    "sendfile": 40,
    "wait4": 61,
    "flock": 73,
    "fsync": 74,
    "fdatasync": 75,
    "truncate": 76,
    "ftruncate": 77,
    "rename": 82,
    "mkdir": 83,
    "rmdir": 84,
    "creat": 85,
    "link": 86,
    "unlink": 87,
    "symlink": 88,
    "chmod": 90,
    "fchmod": 91,
    "chown": 92,
    "fchown": 93,
    "lchown": 94,
    "mknod": 133,
    "mount": 165,
    "umount2": 166,
    "setxattr": 188,
    "lsetxattr": 189,
    "fsetxattr": 190,
    "removexattr": 197,
    "lremovexattr": 198,
    "fremovexattr": 199,
    "waitid": 247,
    "openat": 257,
    "mkdirat": 258,
    "mknodat": 259,
    "fchownat": 260,
    "unlinkat": 263,
    "renameat": 264,
    "linkat": 265,
    "symlinkat": 266,
    "fchmodat": 268,
    "unshare": 272,
    "splice": 275,
    "sync_file_range": 277,
    "utimensat": 280,
    "fallocate": 285,
    "pipe2": 293,
    "inotify_init1": 294,
    "pwritev": 296,
    "syncfs": 306,
    "renameat2": 316,
    "copy_file_range": 326,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "mount_setattr": 442,
    "fchmodat2": 452,
}
"""All that is looked at. The kernel's table is arch/x86/entry/syscalls/syscall_64.tbl."""

OPENS = {"open": 1, "openat": 2}
"""Those that open files, and which argument has the flags; they change something with one of the flags below."""

CHANGING_FLAGS = 0o100 | 0o1000 | 0o20000000  # O_CREAT, O_TRUNC, O_TMPFILE

WRITES = {
    "write": 0,
    "pwrite64": 0,
    "writev": 0,
    "pwritev": 0,
    "sendfile": 0,
    "splice": 2,
    "copy_file_range": 2,
    "ftruncate": 0,
    "fallocate": 0,
}
"""Those that write to a file, and which argument it is; pipes and the like do not count."""

BARRIERS = {"fsync", "fdatasync", "syncfs"}
"""What was written before is on the disk after them."""

WAITS = {"wait4", "waitid", "flock", "sync_file_range"}
"""What stands between changes, and has no meaning if it fails."""

MOUNTS = {"mount", "umount2", "unshare", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "mount_setattr"}

DESCRIPTORS = {"pipe", "pipe2", "inotify_init1"}
"""What fails where a process has too many open files, as opening does."""
