"""The docker client beside us: given the same values by a server of ours, it prints what we print.

The client runs a format first on types of its own, and then, if a field is not one of theirs, on the JSON as it came.
Numbers are left out of what is compared: in that JSON they are a kind of string to it.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests import peers

from lamina.render.table import Table
from lamina.render.template import TemplateError, parse

VALUE: dict[str, object] = {
    "Text": "hello",
    "List": ["x", "y"],
    "Map": {"b": "<c>", "a": ["d", True, None]},
    "Nothing": None,
    "Empty": "",
}
CONTAINERS: list[dict[str, object]] = [
    {"Id": "1" * 64, "Names": ["/one"], "Image": "app:1", "Labels": {"com.example.built-by": "me"}, "State": "running"},
    {"Id": "2" * 64, "Names": ["/number_two"], "Image": "a", "Labels": {}, "State": "exited"},
]
ALWAYS: dict[str, object] = {
    "Command": "",
    "Created": 1,
    "Ports": [],
    "Status": "",
    "Mounts": [],
    "NetworkSettings": {"Networks": {}},
}


ANSWERS: dict[str, object] = {
    "/containers/json": [ALWAYS | container for container in CONTAINERS],
    "/containers/x/json": VALUE,
}


class _Api(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        known = [answer for end, answer in ANSWERS.items() if path.endswith(end)]
        body = b"OK" if path.endswith("/_ping") else json.dumps(known[0]).encode()
        self.send_response(200)
        for name, value in (("Api-Version", "1.41"), ("Ostype", "linux"), ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - so is it called

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def docker() -> Iterator[peers.Tool]:
    peers.need(peers.Tool("docker").missing())
    with ThreadingHTTPServer(("127.0.0.1", 0), _Api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield peers.Tool("docker", "-H", f"tcp://127.0.0.1:{server.server_port}")
        server.shutdown()


@pytest.mark.parametrize(
    "form",
    [
        "{{.Text}} {{.List}} {{.Map}} {{.Nothing}} {{.Empty}}|",
        "{{range $i, $e := .List}}{{if $i}}, {{end}}{{$e | upper | printf `%-3s|`}}{{end}}",
        '{{with .Map}}{{json .}} {{index .a 0}} {{.b | printf "%q"}}{{end}}',
        "{{if and .Text (not .Empty)}}{{len .List}}{{else}}no{{end}}  {{- /* gone */ -}}  .",
        "{{title .Text}} {{truncate .Text 2}}{{pad .Text 1 2}}{{slice .Text 1 3}}",
        '{{split .Text "l"}} {{eq .Text "hello"}}',
        "{{.Nope}}",
        "{{.Text.x}}",
        "{{.Nothing.x}}",
        "{{index .List 9}}",
        "{{lower .List}}",
        "{{range .Text}}{{end}}",
        "{{",
        "{{if}}",
        "{{foo}}",
        "{{.Text}",
        "{{$x}}",
        "{{end}}",
    ],
)
def test_inspect(docker: peers.Tool, form: str) -> None:
    result = docker("inspect", "--type", "container", "--format", form, "x", check=False)
    try:
        ours = (0, parse(form).render(VALUE) + "\n")
    except TemplateError as error:
        ours = (error.exit_status, error.reason + "\n")
    assert ours == (result.returncode, result.stderr[result.stderr.find("template: :") :] or result.stdout)


@pytest.mark.parametrize(
    "form",
    [
        r"table {{.ID}}\t{{.Names}}\t{{.Image}}",
        r"table {{.Names}}\t{{.ID}}\t",
        r"table {{upper .Names}}\n{{.ID}}\t{{.Image}}\t{{.State}}",
        r"table \t{{.ID}}{{if eq .Image `a`}}\tx{{end}}\ty",
        r'table {{.Label "com.example.built-by"}}\t{{json .Names}}',
        r"  {{.ID}}:\t{{json .Names}}\n",
        "{{.Image}}{{pad .Names 1 1}}",
    ],
)
def test_list(docker: peers.Tool, form: str) -> None:
    table = Table({"ID": "CONTAINER ID", "Names": "NAMES", "Image": "IMAGE", "State": "STATE"}, "")
    rows: list[dict[str, object]] = []
    for container in CONTAINERS:
        labels = container["Labels"]
        assert isinstance(labels, dict)
        row = {"ID": str(container["Id"])[:12], "Names": str(container["Names"])[3:-2]}
        label = {"Label": lambda key, labels=labels: labels.get(key, "")}
        rows.append(row | {"Image": container["Image"], "State": container["State"]} | label)
    assert docker("ps", "--format", form).stdout == table.render(rows, form)
