"""The root folder: which driver, who may write, what crashed; it opens images, layers and content.

paths     the tree on disk
store     the root, open
usage     what relies on which layers
install   an image from a source of content
journal   what has happened, for whoever wants to know
check     every digest, chain, link and reference recomputed
migration another storage driver
repair    what can be derived written anew, what cannot moved to the quarantine
"""
