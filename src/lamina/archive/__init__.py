"""Images in files: what `docker save` and `docker load` use, OCI archives and layouts, imported trees.

members   the files in an archive or a folder, in any order
docker    an archive of Docker's as a source of content
oci       an OCI layout as a source of content
load      images out of a file, into the store
save      images of the store, into a file that all of Docker, podman and skopeo read
imports   a tree in a tar as an image
"""
