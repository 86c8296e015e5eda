"""Containers: a record, a writable layer over an image, and a process in it.

paths      the tree on disk
records    what a container is, and what became of it
settings   what a new one is asked to be, settled with its image
life       create, run, remove; what a crash leaves
detached   start, stop, wait: containers that run by themselves
ended      what is done at their end, by a process of its own
inside     one more process in one that runs
health     how those are that have a health check
probing    a prober for each of them
prober     the process that looks after one
logs       what one has printed
mounts     what a container has at places of its tree
volumes    directories that outlive containers
commits    a container's changes as an image
files      its files, read and written from outside
naming     names for those who get none
"""
