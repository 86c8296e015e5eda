"""Images between registries and the store: pull and push.

pull       an image into the store
incoming   the layers that are missing, several at a time
partial    blobs on their way in, which a later pull goes on with
push       an image to a registry
outgoing   one layer on its way out, in the form it came in where that can be had
places     repositories, with connections of its own for every process
crew       work shared by processes that say how far they are
threads    the same by threads
policy     what is kept of what has passed
kept       what is kept: to list and to prune
"""
