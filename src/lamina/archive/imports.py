"""A tree in a tar as an image of one layer: `docker import`."""

from collections.abc import Sequence

from ..compression import decompressed
from ..oci import codec, config, platform
from ..oci.digest import Digest
from ..oci.reference import Reference
from ..store.lifecycle import create
from ..store.names import tell
from ..store.store import Store
from ..streams import Reader


def import_tar(
    store: Store,
    stream: Reader,
    run: config.RunConfig,
    comment: str,
    created: str,
    names: Sequence[Reference] = (),
) -> Digest:
    """Make an image of a tar, compressed or not; return its id.

    Args:
        store: where to.
        stream: the tar.
        run: what containers of the image run.
        comment: for its history.
        created: RFC 3339.
        names: for the image.

    Raises:
        InvalidTar: the stream is no tar.
        Corrupt: its compression is damaged.
    """
    host = platform.host()
    with store.writing() as lease:
        layer = store.layers.register(lease, decompressed(stream))
        image = config.Image(
            architecture=host.architecture,
            comment=comment,
            config=run,
            container_config=config.RunConfig(),
            created=created,
            history=[config.History(created=created, comment=comment)],
            os=host.os,
            rootfs=config.RootFS(diff_ids=[layer.diff_id]),
        )
        image_id = create(store, lease, codec.encode(image), names, dated=True).image_id
    tell(store, "import", image_id)
    return image_id
