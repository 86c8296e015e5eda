"""Running a process in a tree: bundles for an OCI runtime, and the runtime's life beside ours.

values     what is to be run, and with what around it
spec       the runtime-spec document of it
mounts     its mounts
devices    its devices, and which it may use
resources  its control groups
seccomp    which system calls it may make
capabilities  what there are
reaper     the first process of `--init`
users      names of users and groups, as the tree's files have them
etc        the files that a container finds in /etc
initial    the places that must be in a tree
choice     which runtime works on this machine
bundle     what a runtime is given, what it keeps, how it is told things
foreground run, wait, and leave nothing behind
monitor    run under a conmon, which outlives us
attach     the streams of what runs under one
inside     one more process in a container that runs
remains    what a killed runner leaves
terminal   a terminal for a process whose caller has none
"""
