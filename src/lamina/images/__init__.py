"""Docker's imagedb and repositories.json: images by id, and the names that people give them.

paths        the tree on disk
images       configs, and what is known of them
references   names to ids
steps        which image a build step made: an index that can be thrown away
"""
