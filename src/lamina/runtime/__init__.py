"""Running a process in a tree: bundles for an OCI runtime, and the runtime's life beside ours.

values     what is to be run, and with what around it
spec       the runtime-spec document of it
users      names of users and groups, as the tree's files have them
etc        the files that a container finds in /etc
initial    the places that must be in a tree
choice     which runtime works on this machine
foreground run, wait, and leave nothing behind
remains    what a killed runner leaves
terminal   a terminal for a process whose caller has none
"""
