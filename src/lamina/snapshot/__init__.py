"""Storage drivers: how layers lie on disk as trees, and how a stack of them becomes one.

driver      the contract
overlay2    one directory a layer, Docker's layout, joined by the kernel's overlayfs
erofs       the tar of a layer and an index over it that the kernel mounts; nothing is unpacked
layerimages the indexes of that driver: made, settled on what is below, checked
vfs         a full copy of the tree for every layer; needs nothing
probe       which of them works on a file system
"""
