"""The story of layered images, told by the real commands on a temporary store.

Every command is shown as it is run, with what it prints; what the story says of it is checked, and the demo fails
where that is not so.
"""

import contextlib
import hashlib
import http.client
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import NoReturn

from lamina.oci.digest import Digest
from lamina.store.store import Store
from lamina.streams import chunks

LAMINA = os.path.join(os.path.dirname(sys.executable), "lamina")
BUSYBOX = "/bin/busybox"

BASE = """\
FROM scratch
COPY rootfs /
CMD ["sh"]
"""
DD = "dd if=/dev/zero of=/{} bs=1M count=10 2>/dev/null"
LAYERS = '{{range .RootFS.Layers}}{{"\\n    "}}{{.}}{{end}}'
VERSIONS = {
    "1.0": "FROM base\n",
    "2.0": f"FROM base\nRUN {DD.format('one')}\n",
    "3.0": f"FROM base\nRUN {DD.format('one')}\nRUN {DD.format('two')}\n",
    "4.0": f"FROM base\nRUN {DD.format('one')} && {DD.format('two')}\n",
}
EXPLAINED = {
    "diff": "the digest of the layer's tar, uncompressed: its diff id",
    "parent": "the chain id of the layer below; the lowest has none",
    "cache-id": "the folder of its files, overlay2/<cache-id>/diff",
    "size": "bytes of its files",
    "tar-split.json.gz": "what the tar had besides its files' contents: with them it gives the very same tar again",
    "mount-id": "the folder of the container's writable layer",
    "init-id": "the one below it, with the places that a container needs",
}


def main() -> int:
    """Tell it all; the exit status is 0 if everything was as it should be."""
    if os.geteuid():
        sys.exit("demo: needs root, because containers are mounted and run; try: sudo make demo")
    begun = time.monotonic()
    folder = tempfile.mkdtemp(prefix="lamina-demo-", dir="/var/tmp")
    try:
        os.chdir(folder)
        os.environ |= {"LAMINA_ROOT": f"{folder}/store", "LAMINA_RUN_ROOT": f"{folder}/run"}
        for chapter in (base, versions, picture, containers, commit, travel, registry, on_disk, as_tars):
            chapter()
    finally:
        os.chdir("/")
        shutil.rmtree(folder)
    with open("/proc/self/mounts") as mounts:
        expect(folder not in mounts.read(), "no mount is left")
    expect(not os.path.exists(folder), "no folder is left")
    print(f"\nThat was it: {time.monotonic() - begun:.0f} seconds; no mount, process or folder is left.")
    return 0


def base() -> None:
    title("A base image: busybox, with a link for each of its programs")
    os.makedirs("rootfs/bin")
    os.makedirs("rootfs/etc")
    os.makedirs("rootfs/tmp", mode=0o1777)
    shutil.copy(BUSYBOX, "rootfs/bin/busybox")
    for name in subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split():
        if name != "busybox":
            os.symlink("busybox", f"rootfs/bin/{name}")
    write("rootfs/etc/passwd", "root:x:0:0:root:/:/bin/sh\n")
    write("rootfs/etc/motd", "welcome\n")
    write("rootfs/etc/issue", "base 1.0\n")
    dockerfile("base.Dockerfile", BASE)
    lamina("--storage-driver overlay2 build -t base -f base.Dockerfile .")
    say("  -> a store keeps the storage driver that it is made with: this one is laid out as dockerd does it")


def versions() -> None:
    title("Layers: each instruction that writes files adds one, and what was built before is reused")
    layers: dict[str, list[str]] = {"base": inspected("base", "{{json .RootFS.Layers}}")}
    for version, text in VERSIONS.items():
        dockerfile(f"{version}.Dockerfile", text)
        output = lamina(f"build -t image_test:{version} -f {version}.Dockerfile .")
        if version == "3.0":
            expect(output.count("Using cache") == 1, "3.0 reuses the layer of 2.0")
    for version in VERSIONS:
        lamina(f"history image_test:{version}")
        lamina(f"inspect --format '{{{{.Id}}}} stands on {{{{.Parent}}}}{LAYERS}' image_test:{version}")
        layers[version] = inspected(f"image_test:{version}", "{{json .RootFS.Layers}}")
    for version, more in {"1.0": 0, "2.0": 1, "3.0": 2, "4.0": 1}.items():
        added = len(layers[version]) - len(layers["base"])
        expect(added == more, f"{version} has {more} layer{'s' * (more != 1)} over the base")
    expect(layers["3.0"][: len(layers["2.0"])] == layers["2.0"], "the layers of 2.0 are the lower ones of 3.0")
    lamina("images")


def picture() -> None:
    title("The forest: who stands on whose layers; each layer's bytes are counted once")
    lamina("tree")
    lamina("tree --svg forest.svg")
    with open("forest.svg") as file:
        expect(file.read().count("image_test:") >= len(VERSIONS), "forest.svg shows all of them")


def containers() -> None:
    title("Copy-on-write: two containers on the same read-only layers")
    with running("one", "image_test:3.0") as one, running("two", "image_test:3.0") as two:
        one("echo changed here >> /etc/motd; rm /etc/issue; echo mine > /new; cat /etc/motd")
        expect(two("cat /etc/motd /etc/issue") == "welcome\nbase 1.0\n", "the other container sees the image's files")
        lamina("ps")
        changes = lamina("diff one")
        wanted = ["C /etc", "C /etc/motd", "D /etc/issue", "A /new"]
        expect(sorted(changes.splitlines()) == sorted(wanted), "one is copied up, one is hidden, one is added")
        expect(lamina("diff two") == "", "the other container changed nothing")
    upper = str(inspected("one", "{{json .GraphDriver.Data.UpperDir}}"))
    shown(f"ls -lR {os.path.relpath(upper)}")
    info = os.lstat(f"{upper}/etc/issue")
    expect(stat.S_ISCHR(info.st_mode) and info.st_rdev == 0, "the whiteout is a character device 0/0 in the top layer")
    expect(lamina("run --rm image_test:3.0 cat /etc/issue") == "base 1.0\n", "the image has not changed")


def commit() -> None:
    title("commit: the writable layer becomes an image that others can stand on")
    lamina("commit -m 'changed by hand' one image_test:5.0")
    lamina("history image_test:5.0")
    output = lamina("run --rm image_test:5.0 sh -c 'cat /etc/motd /new; ls /etc'")
    expect("changed here" in output and "issue" not in output, "a new container of 5.0 has the changes")
    lamina("rm one two")


def travel() -> None:
    title("save and load: a second store gets only the layers that it has not")
    lamina("save -o two.tar image_test:3.0 image_test:4.0")
    lamina("--root second load -i two.tar")
    lamina("save -o five.tar image_test:5.0")
    output = lamina("--root second load -i five.tar")
    expect(output.count("Already exists") == 3, "the three layers below are there already")
    expect(output.count("Loading layer") == 1, "only the committed layer is taken in")
    lamina("--root second images")
    lamina("--root second system check")


def registry() -> None:
    title("A registry: push sends, and pull fetches, only the layers that the other side has not")
    with serving("registry") as server:
        name = f"{server.address}/image_test"
        for version, sent in {"2.0": 2, "3.0": 1, "4.0": 1}.items():
            lamina(f"tag image_test:{version} {name}:{version}")
            before = size("registry")
            output = lamina(f"push {name}:{version}")
            expect(output.count("Pushed") == sent, f"{sent} layer{'s' * (sent != 1)} of {version} came")
            say(f"     the registry has {size('registry') - before:,} bytes more")
        lamina(f"tag image_test:4.0 {server.address}/other:4.0")
        output = lamina(f"push {server.address}/other:4.0")
        expect(output.count("Mounted from") == 2, "another repository takes both layers from the first, none is sent")
        shown("cd registry && find docker -type f | sort | cut -c -110")
        for version, fetched in {"2.0": 2, "3.0": 1}.items():
            before = server.sent()
            output = lamina(f"--root third pull {name}:{version}")
            expect(output.count("Pull complete") == fetched, f"{version} needs {fetched} of its layers")
            expect(
                output.count("Already exists") == 2 * (version == "3.0"), "what is shared is there already", quiet=True
            )
            say(f"     the registry sent {server.sent() - before:,} bytes of blobs")
        shown("find third/image/*/distribution -type f | sort | cut -c -110")
        collect(server, name)


def collect(server: "Server", name: str) -> None:
    """Delete an image from the registry, and collect what only that needed."""
    for repository in ("image_test", "other"):
        found = lamina(f"digest {server.address}/{repository}:4.0").strip()
        say(f"\n$ DELETE /v2/{repository}/manifests/{found}")
        server.delete(f"/v2/{repository}/manifests/{found}")
    before = size("registry")
    lamina("registry gc --storage registry --untagged --age 0s")
    say(f"     the registry has {before - size('registry'):,} bytes less")
    lamina(f"--root fourth pull -q {name}:3.0")
    expect(size("fourth") > 20_000_000, "what another image needs is still there")
    lamina("registry check --storage registry")


class Server:
    """A registry of ours that serves a folder."""

    def __init__(self, address: str, log: str) -> None:
        self.address = address
        self._log = log

    def sent(self) -> int:
        """Return the bytes of blobs that were sent so far, as the access log has them."""
        with open(self._log) as file:
            lines = [json.loads(line) for line in file]
        return sum(line["bytes"] for line in lines if line["method"] == "GET" and "/blobs/" in line["path"])

    def delete(self, path: str) -> None:
        connection = http.client.HTTPConnection(self.address)
        connection.request("DELETE", path)
        expect(connection.getresponse().status == 202, "it is deleted")
        connection.close()


@contextlib.contextmanager
def serving(folder: str) -> Iterator[Server]:
    """Serve a folder on a free port for the length of a block."""
    command = ["registry", "serve", "--addr", "127.0.0.1:0", "--storage", folder, "--delete"]
    say(f"\n$ lamina {' '.join(command)} > access.log &")
    with (
        open("access.log", "w") as log,
        subprocess.Popen([LAMINA, *command], stdout=log, stderr=subprocess.PIPE, text=True) as process,
    ):
        assert process.stderr is not None
        try:
            line = process.stderr.readline().rstrip()
            say(line)
            expect(line.startswith("serving "), "the registry serves", quiet=True)
            yield Server(line.rpartition(" on ")[2], "access.log")
        finally:
            process.terminate()
    expect(process.returncode == 0, "the registry ended well", quiet=True)


def size(folder: str) -> int:
    """Return the bytes of all files below a folder."""
    return sum(os.lstat(os.path.join(at, name)).st_size for at, _, names in os.walk(folder) for name in names)


def on_disk() -> None:
    title("The store on disk: Docker's own layout, every digest recomputed")
    lamina("create --name three image_test:5.0")
    store = Store(os.environ["LAMINA_ROOT"])
    home = os.path.relpath(store.paths.image(store.driver_name))
    images(store, f"{home}/imagedb")
    layers(store, f"{home}/layerdb/sha256")
    mounts(f"{home}/layerdb/mounts")
    say(f"\n{home}/repositories.json: the names")
    with open(f"{home}/repositories.json") as file:
        for names in json.load(file)["Repositories"].values():
            for name, image_id in names.items():
                say(f"  {name:<16} {short(image_id)}")
                expect(os.path.exists(f"{home}/imagedb/content/sha256/{image_id[7:]}"), f"the image of {name} is there")
    lamina("rm three")
    lamina("system check")


def as_tars() -> None:
    title("The second store, made with the driver that is best here: layers stay the tars that they came as")
    lamina("--root second info | grep -A 1 Storage")
    store = Store(os.path.abspath("second"))
    if store.driver_name != "erofs":
        say(f"  -> that is {store.driver_name}: where a file system lets the kernel mount layers as tars, it is erofs")
        return
    tars = shown("sha256sum second/erofs/*/layer.tar | cut -c -98").splitlines()
    layers = {store.layers.get(chain_id) for chain_id in store.layers}
    expect(
        {f"sha256:{line[:64]}" for line in tars} == {layer.diff_id for layer in layers},
        "each digest is the diff id of a layer",
    )
    largest = max(layers, key=lambda layer: layer.size)
    shown(f"ls -s --block-size=1 second/erofs/{largest.cache_id}")
    output = lamina("--root second run --rm image_test:5.0 cat /etc/motd")
    expect("changed here" in output, "the kernel shows the tar's files by way of its index, layer.erofs")


def images(store: Store, home: str) -> None:
    say(f"{home}/content/sha256/<image id>: configs, named by their digests")
    say(f"{home}/metadata/sha256/<image id>: what each was built on")
    for image_id in store.images:
        with open(f"{home}/content/sha256/{image_id[7:]}", "rb") as file:
            expect(digest(file.read()) == image_id, f"the config of {short(image_id)} has its digest", quiet=True)
        parent = store.images.parent(image_id)
        say(f"  {short(image_id)}  digest is right, parent {short(parent) if parent else 'none'}")


def layers(store: Store, home: str) -> None:
    say(f"\n{home}/<chain id>: layers")
    for name, meaning in list(EXPLAINED.items())[:5]:
        say(f"  {name:<18} {meaning}")
    for chain_id in store.layers:
        folder = f"{home}/{chain_id[7:]}"
        diff, below = read(f"{folder}/diff"), read(f"{folder}/parent")
        expected = digest(f"{below} {diff}".encode()) if below else diff
        expect(expected == chain_id, f"the chain id of {short(chain_id)} is right", quiet=True)
        content = hashlib.sha256()
        with store.layers.tar(store.layers.get(Digest(chain_id))) as stream:
            for piece in chunks(stream):
                content.update(piece)
        expect(f"sha256:{content.hexdigest()}" == diff, f"the tar of {short(chain_id)} has its digest", quiet=True)
        size = read(f"{folder}/size")
        text = f"diff {short(diff)}, {size:>8} bytes on {short(below) or 'nothing':<12}"
        say(f"  {short(chain_id)}  {text}  both digests right")


def mounts(home: str) -> None:
    say(f"\n{home}/<container id>: writable layers")
    for name in ("mount-id", "init-id", "parent"):
        say(f"  {name:<18} {EXPLAINED[name]}")
    for container in os.listdir(home):
        names = ", ".join(f"{name} {short(read(f'{home}/{container}/{name}'))}" for name in ("mount-id", "parent"))
        say(f"  {container[:12]}  {names}")


@contextlib.contextmanager
def running(name: str, image: str) -> Iterator[Callable[[str], str]]:
    """Run a shell in a container; yield what has it do something."""
    command = f"run -i --name {name} {image} sh"
    say(f"\n$ lamina {command} &")
    pipe = subprocess.PIPE
    with subprocess.Popen([LAMINA, *command.split()], stdin=pipe, stdout=pipe, text=True) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def do(text: str) -> str:
            say(f"\n{name} # {text}")
            print(f"{text}\necho --done--", file=stdin, flush=True)
            output = "".join(iter(stdout.readline, "--done--\n"))
            say(output.rstrip())
            return output

        do("id -u; ls /")
        yield do
        stdin.close()
    expect(process.returncode == 0, f"the shell in {name} ended well", quiet=True)


def lamina(arguments: str) -> str:
    """Run a command of lamina; show it and what it prints, and return that."""
    return shown(f"lamina {arguments}")


def shown(command: str) -> str:
    say(f"\n$ {command}")
    environment = {**os.environ, "PATH": f"{os.path.dirname(LAMINA)}:{os.environ['PATH']}"}
    pipe, together = subprocess.PIPE, subprocess.STDOUT
    done = subprocess.run(["/bin/sh", "-c", command], stdout=pipe, stderr=together, text=True, env=environment)
    if done.stdout:
        say(done.stdout.rstrip())
    if done.returncode:
        fail(f"`{command}` ended with {done.returncode}")
    return done.stdout


def inspected(name: str, form: str) -> list[str]:
    done = subprocess.run([LAMINA, "inspect", "--format", form, name], capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout)
    return found


def dockerfile(name: str, text: str) -> None:
    write(name, text)
    shown(f"cat {name}")


def write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return ""


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def short(text: str) -> str:
    return text.removeprefix("sha256:")[:12]


def title(text: str) -> None:
    say(f"\n\n== {text}")


def say(text: str) -> None:
    print(text, flush=True)


def expect(is_so: bool, what: str, *, quiet: bool = False) -> None:
    """Check what the story says."""
    if not is_so:
        fail(f"it is not so that {what}")
    if not quiet:
        say(f"  -> {what}")


def fail(text: str) -> NoReturn:
    sys.exit(f"demo: {text}")


if __name__ == "__main__":
    sys.exit(main())
