"""`lamina info`."""

import argparse

from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina info [OPTIONS]", summary, ["lamina system info"])
    parser.option("-f", "--format", value="string", help="Format output using a custom template: 'json' or 'TEMPLATE'")
    parser.arguments(0, 0)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    info = shell.engine.info()
    if options.format:
        from ..render.template import parse

        shell.line(parse("{{json .}}" if options.format == "json" else options.format).render(info))
        return 0
    from ..render import units

    status = "".join(f" {key}: {value}\n" for key, value in info["DriverStatus"])
    shell.out(
        f"Containers: {info['Containers']}\n"
        f"Images: {info['Images']}\n"
        f"Server Version: {info['ServerVersion']}\n"
        f"Storage Driver: {info['Driver']}\n"
        f"{status}"
        f"Kernel Version: {info['KernelVersion']}\n"
        f"Operating System: {info['OperatingSystem']}\n"
        f"OSType: {info['OSType']}\n"
        f"Architecture: {info['Architecture']}\n"
        f"CPUs: {info['NCPU']}\n"
        f"Total Memory: {units.binary_size(info['MemTotal'])}\n"
        f"Name: {info['Name']}\n"
        f"Docker Root Dir: {info['DockerRootDir']}\n"
    )
    return 0
