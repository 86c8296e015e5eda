"""Blobs by digest, and moving graphs of them from one place to another.

contract   what a place of content is
memory     in memory
local      in a folder of a store
layout     an OCI image layout (image-spec, image-layout.md)
choosing   the image for a platform, of an index
copying    from a source to a target, children before parents
"""
