"""The vocabulary of images: digests, references, descriptors, manifests, indexes, configs, platforms.

Only values and the rules that the specifications put on them; no input or output.
Sources: OCI image-spec 1.1, distribution-spec 1.1, and Docker's image specification 1.3.
"""
