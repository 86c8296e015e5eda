"""EROFS images that hold no content: a tree of inodes whose files lie in other files, such as a layer's tar.

layout     the format, as far as it is used here
writer     inodes as they come, and the image of them
reader     an image read without a mount
"""
