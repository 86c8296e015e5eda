"""Building images from Dockerfiles: instruction by instruction, each an image on top of the one before it.

plan         which stages a target needs
arguments    build arguments and their scopes
configure    instructions that change the config alone
context      the files that a build may copy
contents     digests of those files, remembered from build to build
sources      what COPY and ADD take, and the checksum of it
archives     local tars and URLs, for ADD
transfer     COPY and ADD
execute      RUN
cache        steps that were made before
builder      all of it, in order
"""
