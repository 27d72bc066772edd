"""Torchvision's weights, from a server on this computer: the good way, and all that can go wrong."""

import errno
import hashlib
import os
import pickle
import shutil
import signal
import socket
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
import torchvision
from torchvision.models import get_model_weights

from resnet_edu import networks, weights
from resnet_edu.weights import DownloadError, imagenet, imagenet_file

V1, V2 = "IMAGENET1K_V1", "IMAGENET1K_V2"
NAMES = [f"resnet{depth}" for depth in networks.RESNETS]
BODY = bytes(range(256)) * 2000
"""More than torch.hub reads at once, and no file of weights: enough for what fails before it is read."""


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    """No proxy stands between us and the server on this computer."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of torch.hub's. After the test nothing may lie there that is not whole."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    folder = tmp_path / "hub" / "checkpoints"
    timeout = socket.getdefaulttimeout()
    yield folder
    assert socket.getdefaulttimeout() == timeout


class Server(ThreadingHTTPServer):
    """Answers each request by `answer(handler)`, and counts them."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer, self.asked, self.released = send(BODY), 0, threading.Event()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked += 1
        self.server.answer(self)

    def log_message(self, *_):
        pass


def send(body, length=None):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def stall(before):
    """Send `before`, then nothing more until the test is over."""

    def answer(handler):
        if before is not None:
            send(before, length=len(BODY))(handler)
        handler.server.released.wait(60)
        handler.close_connection = True

    return answer


def hang_up(handler):
    handler.close_connection = True


def hang_up_halfway(handler):
    send(BODY[:1000], length=len(BODY))(handler)
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)


def not_found(handler):
    handler.send_error(404)


def nonsense(handler):
    handler.wfile.write(b"this is not HTTP\r\n\r\n")


def interrupt(handler):
    """Half of the file, then what Ctrl-C does."""
    send(BODY[:200_000], length=len(BODY))(handler)
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    handler.server.released.wait(60)


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


def publish(monkeypatch, url, name="resnet18", version=V1):
    monkeypatch.setattr(get_model_weights(name)[version].value, "url", url)


def named(body, stem="resnet18"):
    """The name that torchvision would give the file: its hash is in it."""
    return f"{stem}-{hashlib.sha256(body).hexdigest()[:8]}.pth"


@pytest.fixture
def published(server, monkeypatch):
    """The address on the server that torchvision's ResNet-18 is redirected to."""
    host, port = server.server_address
    url = f"http://{host}:{port}/models/{named(BODY)}"
    publish(monkeypatch, url)
    return url


def weights_file(folder, name):
    """A file of torchvision's network `name` with random weights, named as a published one."""
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)()
    path = folder / "weights.pth"
    torch.save(model.state_dict(), path)
    return path.rename(folder / named(path.read_bytes(), name))


# The good way


def test_the_weights_come_once_and_are_torchvisions(server, cache, monkeypatch, tmp_path):
    file = weights_file(tmp_path, "resnet18")
    server.answer = send(file.read_bytes())
    host, port = server.server_address
    publish(monkeypatch, f"http://{host}:{port}/models/{file.name}")
    x = torch.randn(2, 3, 64, 64)

    ours = imagenet("resnet18", V1)
    again = imagenet("resnet18", V1)
    theirs = torchvision.models.resnet18(weights=V1).eval()

    assert server.asked == 1, "torchvision finds the file where ours has put it"
    assert [p.name for p in cache.iterdir()] == [file.name]
    assert imagenet_file("resnet18", V1) == cache / file.name
    assert not any(m.training for m in ours.modules())
    assert type(ours) is networks.ResNet
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
        assert torch.equal(ours(x), again(x))


@pytest.mark.usefixtures("published")
def test_the_downloaded_file_has_the_rights_that_other_files_have(cache):
    cache.mkdir(parents=True)
    (cache / "other").touch()

    with pytest.raises(pickle.UnpicklingError):
        imagenet("resnet18", V1)

    assert (cache / named(BODY)).stat().st_mode == (cache / "other").stat().st_mode


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "resnet50",
        *(pytest.param(f"resnet{d}", marks=pytest.mark.slow) for d in (34, 101, 152)),
    ],
)
def test_a_file_put_there_by_hand_is_enough(name, monkeypatch, cache, tmp_path):
    file = weights_file(tmp_path, name)
    publish(monkeypatch, f"http://127.0.0.1:9/{file.name}", name)
    cache.mkdir(parents=True)
    shutil.move(file, imagenet_file(name, V1))

    ours = imagenet(name, V1)

    theirs = torch.load(cache / file.name, weights_only=True)
    assert all(torch.equal(t, theirs[n]) for n, t in ours.state_dict().items())


@pytest.mark.usefixtures("published")
def test_a_damaged_file_is_replaced_by_a_whole_one(cache):
    cache.mkdir(parents=True)
    (cache / named(BODY)).write_bytes(BODY[:-1])

    with pytest.raises(pickle.UnpicklingError):
        imagenet("resnet18", V1)

    assert (cache / named(BODY)).read_bytes() == BODY


# Names and versions


@pytest.mark.parametrize("name", NAMES)
def test_where_the_file_will_be_is_known_before_it_is_there(name, cache):
    for version, entry in get_model_weights(name).__members__.items():
        assert imagenet_file(name, version) == cache / entry.url.split("/")[-1]
    assert not cache.exists()


def test_versions_are_those_in_the_docstring():
    assert {n for n in NAMES if V1 in get_model_weights(n).__members__} == set(NAMES)
    assert {n for n in NAMES if V2 in get_model_weights(n).__members__} == {
        "resnet50", "resnet101", "resnet152",
    }  # fmt: skip


@pytest.mark.parametrize("function", [imagenet, imagenet_file])
def test_what_does_not_exist_is_refused_with_what_does(function):
    with pytest.raises(ValueError, match=r"no network 'resnet5'.*resnet18, .*resnet152"):
        function("resnet5")
    with pytest.raises(ValueError, match="no network 'vgg16'"):
        function("vgg16")
    with pytest.raises(ValueError, match="no network None"):
        function(None)
    with pytest.raises(
        ValueError, match="resnet18 has no weights 'IMAGENET1K_V2'; it has IMAGENET1K_V1"
    ):
        function("resnet18")
    with pytest.raises(
        ValueError, match="resnet50 has no weights 'V2'; it has IMAGENET1K_V1, IMAGE"
    ):
        function("resnet50", "V2")


# What can go wrong


def contents(folder):
    return {p: p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


def fail(url, path, match):
    """One clear error, three ways out, and nothing left."""
    before = contents(path.parent.parent)

    with pytest.raises(DownloadError, match=match) as error:
        imagenet("resnet18", V1)

    assert error.value.__suppress_context__
    assert error.value.__cause__ is None
    for way_out in (
        "1. Try again",
        f"2. Put the file from {url}",
        f"at {path}",
        "networks.resnet18()",
    ):
        assert way_out in str(error.value)
    assert str(error.value).count("\n") == 5 + os.path.isfile(path)
    assert contents(path.parent.parent) == before
    return str(error.value)


ANSWERS = {
    "missing": (not_found, "404: Not Found"),
    "empty": (send(b""), "cut off or altered"),
    "cut off": (send(BODY[:300_000], length=len(BODY)), "cut off or altered"),
    "another file": (send(BODY[::-1]), "cut off or altered"),
    "hangs up": (hang_up, "closed connection|reset"),
    "hangs up halfway": (hang_up_halfway, "cut off or altered|reset"),
    "never answers": (stall(None), "timed out"),
    "stalls": (stall(BODY[:200_000]), "timed out"),
    "no HTTP": (nonsense, "not HTTP"),
}


@pytest.mark.parametrize(("answer", "match"), ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize("damaged", [False, True], ids=["", "damaged file there"])
def test_a_download_that_fails(server, published, cache, monkeypatch, answer, match, damaged):
    monkeypatch.setattr(weights.torchvision, "PATIENCE", 0.3)
    server.answer = answer
    path = cache / named(BODY)
    if damaged:
        cache.mkdir(parents=True)
        path.write_bytes(BODY[:1000])

    message = fail(published, path, match)

    assert ("damaged" in message) == damaged
    assert list(cache.iterdir()) == ([path] if damaged else [])


def test_a_server_that_is_not_there(cache, monkeypatch):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # taken, and nobody listens
        url = f"http://127.0.0.1:{held.getsockname()[1]}/{named(BODY)}"
        publish(monkeypatch, url)

        fail(url, cache / named(BODY), "refused")

    assert list(cache.iterdir()) == []


def test_no_network(published, cache, monkeypatch):
    def look_up(*_args, **_options):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)

    fail(published, cache / named(BODY), "Temporary failure in name resolution")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk without space")
def test_a_full_disk(server, published, cache, monkeypatch):
    def on_a_full_disk(path, mode):
        file = open(path, mode)  # noqa: SIM115
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, file.fileno())
        os.close(full)
        return file

    monkeypatch.setattr(torch.hub, "open", on_a_full_disk, raising=False)

    fail(published, cache / named(BODY), "No space left on device")

    assert server.asked == 1
    assert list(cache.iterdir()) == []


def test_a_disk_that_fills_up_in_the_middle_of_a_piece(server, published, cache):
    """What was not written is then still in the file's buffer, and closing the file fails, too."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * torch.hub.READ_DATA_CHUNK - 3000, before[1]))
    try:
        fail(published, cache / named(BODY), os.strerror(errno.EFBIG))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert server.asked == 1
    assert list(cache.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs a system with users")
@pytest.mark.parametrize("rights", [0o555, 0o000], ids=["read-only", "closed"])
@pytest.mark.parametrize("exists", [True, False], ids=["checkpoints", "hub"])
def test_a_cache_that_is_not_ours_to_write(server, published, monkeypatch, exists, rights):
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is closed to other users
        cache = Path(folder, "checkpoints")
        if exists:
            cache.mkdir()
            cache.chmod(rights)
        Path(folder).chmod(0o555 if exists else rights)
        monkeypatch.setattr(torch.hub, "_hub_dir", folder)
        me = os.geteuid()
        if me == 0:
            os.seteuid(65534)  # root may write everywhere
        try:
            fail(published, cache / named(BODY), "Permission denied")
        finally:
            os.seteuid(me)
            Path(folder).chmod(0o755)

    assert server.asked == 0


def test_a_folder_where_the_file_should_be(server, published, cache):
    (cache / named(BODY)).mkdir(parents=True)

    fail(published, cache / named(BODY), os.strerror(errno.EISDIR))

    assert server.asked == 0


def test_a_file_where_the_folder_should_be(server, published, cache):
    cache.parent.mkdir()
    cache.write_text("mine")

    fail(published, cache / named(BODY), f"{os.strerror(errno.EEXIST)}|Not a directory")

    assert cache.read_text() == "mine"
    assert server.asked == 0


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals to a thread")
@pytest.mark.usefixtures("published")
def test_ctrl_c_leaves_nothing_behind(server, cache):
    server.answer = interrupt

    with pytest.raises(KeyboardInterrupt):
        imagenet("resnet18", V1)

    assert server.asked == 1
    assert list(cache.iterdir()) == []


def test_nothing_is_run_that_is_in_the_file(server, monkeypatch, tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    torch.save({"conv1.weight": Trap()}, tmp_path / "trap.pth")
    body = (tmp_path / "trap.pth").read_bytes()
    server.answer = send(body)
    host, port = server.server_address
    publish(monkeypatch, f"http://{host}:{port}/{named(body)}")

    with pytest.raises(pickle.UnpicklingError):
        imagenet("resnet18", V1)

    assert not (tmp_path / "sprung").exists()
