"""The registry server: OCI's distribution specification over CNCF distribution's folder layout.

    names        what a request may name: repositories, tags, digests
    codes        what can go wrong, as the specification's error codes
    contract     what a place of storage must do; `filesystem` and `memory` do it
    paths        where everything is kept
    repository   links, manifests, tags and referrers of one repository, over any storage
    tokens       the state of an upload, signed, as clients carry it
    routes       a path and a method to what is asked for
    service      one request: who asks, may they, which handler; errors as documents
    server       sockets, workers, the graceful end

It stands alone: of the rest of lamina it uses the values of `oci`, streams, files, locks and errors.
"""
