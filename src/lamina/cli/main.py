"""The table of commands, and what happens around one: start, errors, exit."""

import contextlib
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple, NoReturn

from ..errors import LaminaError
from .parser import USAGE_EXIT, Parser, Usage, columns
from .shell import Shell, worded


class Command(NamedTuple):
    """A command: its module in this package, and what it does."""

    module: str
    summary: str


COMMANDS = {
    "attach": Command("attach", "Attach local standard input, output, and error streams to a running container"),
    "build": Command("build", "Build an image from a Dockerfile"),
    "cat": Command("cat", "Print files of an image"),
    "commit": Command("commit", "Create a new image from a container's changes"),
    "completion": Command("completion", "Generate the autocompletion script for a shell"),
    "copy": Command("copy", "Copy an image between registries, archives, layouts and the store"),
    "cp": Command("cp", "Copy files/folders between a container and the local filesystem"),
    "create": Command("create", "Create a new container"),
    "diff": Command("diff", "Inspect changes to files or directories on a container's filesystem"),
    "digest": Command("digest", "Show the digest that a registry has under a name"),
    "events": Command("events", "Get real time events from the store and its containers"),
    "exec": Command("exec_", "Execute a command in a running container"),
    "export": Command("export", "Export a container's filesystem as a tar archive"),
    "find": Command("find", "Search for files in an image"),
    "history": Command("history", "Show the history of an image"),
    "images": Command("images", "List images"),
    "import": Command("import_", "Import the contents from a tarball to create a filesystem image"),
    "info": Command("info", "Display system-wide information"),
    "inspect": Command("inspect", "Return low-level information on containers, images and volumes"),
    "kill": Command("kill", "Kill one or more running containers"),
    "load": Command("load", "Load images from a tar archive or STDIN"),
    "login": Command("login", "Authenticate to a registry"),
    "logout": Command("logout", "Log out from a registry"),
    "logs": Command("logs", "Fetch the logs of a container"),
    "ls": Command("ls", "List files of an image"),
    "pause": Command("pause", "Pause all processes within one or more containers"),
    "ps": Command("ps", "List containers"),
    "pull": Command("pull", "Download an image from a registry"),
    "push": Command("push", "Upload an image to a registry"),
    "referrers": Command("referrers", "List what refers to an image of a registry: signatures, SBOMs and the like"),
    "rename": Command("rename", "Rename a container"),
    "restart": Command("restart", "Restart one or more containers"),
    "rm": Command("rm", "Remove one or more containers"),
    "rmi": Command("rmi", "Remove one or more images"),
    "run": Command("run", "Create and run a new container from an image"),
    "save": Command("save", "Save one or more images to a tar archive (streamed to STDOUT by default)"),
    "start": Command("start", "Start one or more stopped containers"),
    "stop": Command("stop", "Stop one or more running containers"),
    "tag": Command("tag", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
    "tags": Command("tags", "List the tags of a repository of a registry"),
    "top": Command("top", "Display the running processes of a container"),
    "tree": Command("tree", "Draw the forest of images and the layers that they share"),
    "unpause": Command("unpause", "Unpause all processes within one or more containers"),
    "version": Command("version", "Show the version"),
    "wait": Command("wait", "Block until one or more containers stop, then print their exit codes"),
}

GROUPS = {
    "content": {"keep": "content keep", "list": "content ls", "ls": "content ls", "prune": "content prune"},
    "container": {name: name for name in ("attach", "commit", "cp", "create", "diff", "exec", "export", "inspect")}
    | {name: name for name in ("kill", "logs", "pause", "rename", "restart", "rm", "run", "start", "stop", "top")}
    | {"ls": "ps", "list": "ps", "ps": "ps", "unpause": "unpause", "wait": "wait"}
    | {"prune": "container prune"},
    "image": {name: name for name in ("build", "copy", "history", "import", "inspect", "load", "pull", "push", "save")}
    | {name: name for name in ("tag", "tree")}
    | {"cp": "image cp", "ls": "images", "list": "images", "prune": "image prune", "rm": "rmi", "remove": "rmi"},
    "manifest": {name: f"manifest {name}" for name in ("annotate", "create", "inspect", "push", "rm")},
    "registry": {name: f"registry {name}" for name in ("check", "gc", "history", "serve")},
    "system": {
        "check": "check",
        "df": "system df",
        "events": "events",
        "info": "info",
        "migrate": "system migrate",
        "prune": "system prune",
    },
    "volume": {name: f"volume {name}" for name in ("create", "inspect", "ls", "prune", "rm")}
    | {"list": "volume ls", "remove": "volume rm"},
}

HIDDEN = {
    "__complete": Command("complete", "Say what may come next on a command line"),
    "check": Command("check", "Verify every digest, chain, link and reference of the store"),
    "content keep": Command("content_keep", "Set or show how much is kept beside the images"),
    "content ls": Command("content_ls", "List what is kept beside the images"),
    "content prune": Command("content_prune", "Remove what is kept without need"),
    "container prune": Command("container_prune", "Remove all stopped containers"),
    "image cp": Command("image_cp", "Copy files/folders from an image to the local filesystem"),
    "image prune": Command("image_prune", "Remove unused images"),
    "manifest annotate": Command("manifest_annotate", "Add additional information to a local image manifest"),
    "manifest create": Command("manifest_create", "Create a local manifest list for annotating and pushing"),
    "manifest inspect": Command("manifest_inspect", "Display an image manifest, or manifest list"),
    "manifest push": Command("manifest_push", "Push a manifest list to a repository"),
    "manifest rm": Command("manifest_rm", "Delete one or more manifest lists from local storage"),
    "registry check": Command("registry_check", "Verify every blob and link of a registry"),
    "registry gc": Command("registry_gc", "Remove what nothing needs any more, while pushes go on"),
    "registry history": Command("registry_history", "List what a tag stood for"),
    "registry serve": Command("registry_serve", "Serve images to docker, podman and all who pull and push"),
    "system df": Command("system_df", "Show how much room images, containers and volumes take"),
    "system migrate": Command("system_migrate", "Give the store another storage driver"),
    "system prune": Command("system_prune", "Remove unused data"),
    "volume prune": Command("volume_prune", "Remove unused local volumes"),
    "volume create": Command("volume_create", "Create a volume"),
    "volume inspect": Command("volume_inspect", "Display detailed information on one or more volumes"),
    "volume ls": Command("volume_ls", "List volumes"),
    "volume rm": Command("volume_rm", "Remove one or more volumes"),
}
"""Commands that are only called by a group's name and their own."""

_ABOUT = {
    "container": "Manage containers",
    "content": "Manage manifests and layers as registries have them",
    "image": "Manage images",
    "manifest": "Manage image manifests and manifest lists",
    "registry": "Serve images, and look after what is served",
    "system": "Manage the store",
    "volume": "Manage volumes",
}


_GARBAGE = 50_000
"""Objects between two searches for garbage in cycles, of which commands make next to none; a server sets its own."""


def run() -> NoReturn:
    """Be the program `lamina`."""
    gc.set_threshold(_GARBAGE)
    _open_standard_streams()
    try:
        status = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        _silence()
        status = 141
    except OSError as error:  # the output cannot be written
        _silence()
        sys.stderr.write(f"Error: {worded(error)}\n")
        status = 1
    except KeyboardInterrupt:
        status = 130
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(status)  # nothing runs any more, and to take all modules apart takes 8 ms


def _open_standard_streams() -> None:
    """Have all three; in the place of one that is closed, the first file that is opened would be printed into."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest number that is free
    sys.stdin = sys.stdin or open(0)  # noqa: SIM115 - as long as we run
    sys.stdout = sys.stdout or open(1, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="surrogateescape")  # type: ignore[union-attr] # names of files may be any bytes


def _silence() -> None:
    """Say no more on standard output: what is buffered has nowhere to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def main(words: Sequence[str]) -> int:
    """Run one command line; return the exit status."""
    shell: Shell | None = None
    debug = False
    try:
        options, rest = _globals(words)
        debug = "--debug" in options
        if not rest or rest[0] in ("help", "-h", "--help"):
            sys.stdout.write(_help(rest[1:]))
            return 0
        name, arguments = _resolve(rest)
        command = COMMANDS.get(name) or HIDDEN[name]
        shell = Shell(os.environ, options.get("--root", ""), options.get("--storage-driver", ""))
        if command.module != "version":
            _import_msgspec()
        module = import_module(f".{command.module}", __package__)
        parser: Parser = module.parser(command.summary)
        return int(module.run(parser.read(arguments), shell))
    except Usage as error:
        (sys.stderr if error.status else sys.stdout).write(str(error))
        return error.status
    except LaminaError as error:
        if debug:
            raise
        return _fail(f"{error}", error.exit_status)
    except BrokenPipeError:
        raise
    except OSError as error:
        if debug:
            sys.excepthook(*sys.exc_info())
            return 1
        return _fail(worded(error), 1)


def _import_msgspec() -> None:
    """Import what nearly all commands need, without typing_extensions: a tenth of the time that they take.

    msgspec takes from there what Python's own typing has since 3.11, and does without where there is none.
    """
    if "typing_extensions" in sys.modules:
        return
    sys.modules["typing_extensions"] = None  # type: ignore[assignment] # an import fails at once
    try:
        import msgspec  # noqa: F401
    finally:
        del sys.modules["typing_extensions"]


def _fail(text: str, status: int) -> int:
    try:
        sys.stdout.flush()
    except OSError:
        _silence()  # the error is told already
    sys.stderr.write(f"Error: {text}\n")
    return status


def _globals(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Take the options before the command."""
    found: dict[str, str] = {}
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] not in ("-h", "--help"):
        name, equals, value = rest.pop(0).partition("=")
        if name in ("-v", "--version"):
            rest = ["version", *rest]
        elif name in ("-D", "--debug"):
            found["--debug"] = "1"
        elif name in ("--root", "--storage-driver"):
            if not equals and not rest:
                raise Usage(f"flag needs an argument: {name}\n", USAGE_EXIT)
            found[name] = value if equals else rest.pop(0)
        else:
            raise Usage(f"unknown flag: {name}\nSee 'lamina --help'.\n", USAGE_EXIT)
    return found, rest


def _resolve(words: list[str]) -> tuple[str, list[str]]:
    """Return a command's name and its arguments; `image ls` and the like are other names."""
    name, *rest = words
    if name in GROUPS:
        if not rest or rest[0] in ("-h", "--help"):
            raise Usage(_group_help(name), 0)
        inner = GROUPS[name].get(rest[0])
        if inner is None:
            raise Usage(f"lamina: unknown command: lamina {name} {rest[0]}\n\n" + _more(f"lamina {name}"), 1)
        return inner, ["--type", name, *rest[1:]] if inner == "inspect" else rest[1:]
    if name not in COMMANDS and name != "__complete":
        raise Usage(f"lamina: unknown command: lamina {name}\n\n" + _more("lamina"), 1)
    return name, rest


def _more(what: str) -> str:
    return f"Run '{what} --help' for more information\n"


def _help(words: list[str]) -> str:
    if words:
        name, _ = _resolve([*words, "--help"])
        command = COMMANDS.get(name) or HIDDEN[name]
        parser: Parser = import_module(f".{command.module}", __package__).parser(command.summary)
        return parser.format_help()
    return (
        "\nUsage:  lamina [OPTIONS] COMMAND\n\nDocker's images, layers and builds, without a daemon\n\nCommands:\n"
        + columns((f"  {name}", command.summary) for name, command in COMMANDS.items())
        + "\nManagement Commands:\n"
        + columns((f"  {name}", about) for name, about in _ABOUT.items())
        + "\nGlobal Options:\n"
        + columns(
            [
                ("  -D, --debug", "Show where an error comes from"),
                ("      --root string", "Folder of the store (env LAMINA_ROOT; /var/lib/lamina for root)"),
                ("      --storage-driver string", "Storage driver of the store (env LAMINA_STORAGE_DRIVER)"),
                ("  -v, --version", "Print version information and quit"),
            ]
        )
        + "\nRun 'lamina COMMAND --help' for more information on a command.\n"
    )


def _group_help(group: str) -> str:
    rows = [
        (f"  {name}", (COMMANDS.get(inner) or HIDDEN[inner]).summary)
        for name, inner in sorted(GROUPS[group].items())
        if name not in ("list", "remove")
    ]
    return f"\nUsage:  lamina {group} COMMAND\n\n{_ABOUT[group]}\n\nCommands:\n{columns(rows)}"


if __name__ == "__main__":
    run()
