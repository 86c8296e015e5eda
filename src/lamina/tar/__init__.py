"""The layer codec: tar streams to trees, trees to tar streams, and the record that gives the same bytes back.

contract   what readers, unpackers and keepers of tars have of each other
header     one entry's metadata, to and from its 512-byte blocks (POSIX.1-2017 pax, ustar, GNU, V7)
reader     a stream as a sequence of entries, each read once
root       names below a directory, never outside of it
apply      entries into a tree, whiteouts included (image-spec, layer.md)
changes    what differs between a tree and the ones below it
pack       changes to a tar, the same bytes for the same tree
split      tar-split: all of a tar but the contents of its files
"""
