"""Docker's layerdb: layers by chain id, and the writable layers of containers.

paths    the tree on disk
layers   read-only layers: register, read back, retire
mounts   writable layers by container id
files    indexes of layers, and contents of single files, without a mount
mending  descriptions written anew from what proves them
"""
