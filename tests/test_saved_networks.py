"""Networks in files: what was saved comes back, and what is no such file is told from it."""

import itertools
import json
import os
import stat
import sys
from functools import partial

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from resnet_edu import files, networks, weights
from resnet_edu.blocks import BasicBlock, Bottleneck, PlainBlock, padding_shortcut
from resnet_edu.files import FileError
from resnet_edu.networks import CifarResNet, ResNet, cifar_resnet, resnet18, resnet50

first = {"stride_in_1x1": True}
NETWORKS = {
    "resnet18": lambda: networks.resnet18(width=8),
    "resnet34": lambda: networks.resnet34(num_classes=3, width=8),
    "resnet50": lambda: networks.resnet50(width=8),
    "resnet50 of 2015": lambda: networks.resnet50(num_classes=7, width=4, **first),
    "resnet101": lambda: networks.resnet101(width=4),
    "resnet101 of 2015": lambda: networks.resnet101(width=4, **first),
    "resnet152": lambda: networks.resnet152(width=4),
    "resnet152 of 2015": lambda: networks.resnet152(width=4, **first),
    "plain18": lambda: networks.plain18(width=8),
    "plain34": lambda: networks.plain34(width=8, num_classes=1),
    "cifar_resnet": lambda: networks.cifar_resnet(20),
    "cifar_plain": lambda: networks.cifar_plain(14, num_classes=100),
    "CIFAR with projections": lambda: CifarResNet(BasicBlock, 8),
    "padding in the ImageNet form": lambda: ResNet(
        partial(BasicBlock, shortcut=padding_shortcut), (1, 2, 1, 1), width=8
    ),
    "blocks of another number": lambda: ResNet(Bottleneck, (1, 1, 5, 2), 4, 4),
    "zero at the start": lambda: networks.resnet50(width=4, zero_init_residual=True),
    "a new head": lambda: with_head(networks.resnet18(width=8), 5),
    "half precision": lambda: networks.resnet18(width=8).half(),
    "double precision": lambda: networks.resnet18(width=8).double(),
    "as from Keras": lambda: with_norms(networks.resnet50(width=4, **first), 1.001e-5, 0.01),
    "norms that forget at once": lambda: with_norms(networks.cifar_plain(8), 0.1, 1),
    "means over all": lambda: with_norms(networks.cifar_resnet(8), 1e-3, None),
}


def with_head(model, classes):
    model.fc = nn.Linear(model.fc.in_features, classes)
    return model


def with_norms(model, epsilon, momentum):
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.eps, m.momentum = epsilon, momentum
    return model


def made(name):
    """The network, with statistics and counters of its own."""
    torch.manual_seed(0)
    model = NETWORKS[name]().train()
    with torch.no_grad():
        model(torch.randn(4, 3, 32, 32, dtype=model.fc.weight.dtype))
    return model


def test_every_function_that_makes_a_network_is_tried():
    makers = {n for n, f in vars(networks).items() if n.startswith(("resnet", "plain", "cifar"))}
    assert makers <= NETWORKS.keys()
    assert len(makers) == 9


@pytest.mark.parametrize("name", NETWORKS)
def test_what_was_saved_comes_back(name, tmp_path):
    model = made(name)
    x = torch.randn(3, 3, 32, 32, dtype=model.fc.weight.dtype)
    weights.save(model, tmp_path / "net.safetensors")
    generator = torch.get_rng_state()

    loaded = weights.load(str(tmp_path / "net.safetensors"))

    assert torch.equal(torch.get_rng_state(), generator), "a file holds nothing random"
    assert not any(m.training for m in loaded.modules())
    assert all(p.requires_grad and p.device.type == "cpu" for p in loaded.parameters())
    expected = model.state_dict()
    assert list(loaded.state_dict()) == list(expected)
    for key, tensor in loaded.state_dict().items():
        assert tensor.dtype == expected[key].dtype
        assert torch.equal(tensor, expected[key]), key
    with torch.no_grad():
        for training in (False, True):
            assert torch.equal(loaded.train(training)(x), model.train(training)(x))
    for (key, ours), theirs in zip(loaded.named_buffers(), model.buffers(), strict=True):
        assert torch.equal(ours, theirs), key  # as the momentum moved them
    assert str(loaded) == str(model)


def test_a_whole_resnet50_comes_back(tmp_path):
    model = resnet50().eval()
    weights.save(model, tmp_path / "net")

    with torch.no_grad():
        x = torch.randn(1, 3, 64, 64)
        assert torch.equal(weights.load(tmp_path / "net")(x), model(x))


def test_saving_changes_nothing_in_the_model(tmp_path):
    model = made("resnet18").to(memory_format=torch.channels_last)
    model.fc.requires_grad_(False)
    before = {name: t.clone() for name, t in model.state_dict().items()}

    weights.save(model, tmp_path / "net")

    assert model.training
    assert not model.fc.weight.requires_grad
    assert model.layer1[0].conv1.weight.is_contiguous(memory_format=torch.channels_last)
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    assert torch.equal(weights.load(tmp_path / "net").conv1.weight, model.conv1.weight)


def test_others_can_read_the_file(tmp_path):
    model = made("resnet18")
    weights.save(model, tmp_path / "net")

    tensors = load_file(tmp_path / "net")

    assert tensors.keys() == model.state_dict().keys()
    assert all(torch.equal(t, model.state_dict()[name]) for name, t in tensors.items())


@pytest.mark.skipif(sys.platform == "win32", reason="other rights on files")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_the_file_has_the_rights_that_other_files_have(tmp_path, mask):
    before = os.umask(mask)
    try:
        weights.save(cifar_resnet(8), tmp_path / "net")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "net").stat().st_mode) == 0o666 & ~mask


def test_a_later_network_replaces_the_one_before(tmp_path):
    weights.save(cifar_resnet(8), tmp_path / "net")
    weights.save(resnet18(width=4), tmp_path / "net")

    assert type(weights.load(tmp_path / "net")) is ResNet
    assert [p.name for p in tmp_path.iterdir()] == ["net"]


# What cannot be saved


class Bottleneck2(Bottleneck):
    """A block of somebody's own."""


def of_my_own(name):
    return type(name, (BasicBlock,), {"forward": lambda self, x: self.conv1(x)})


def changed(change):
    model = resnet18(width=4)
    change(model)
    return model


OTHERS = {
    "a subclass": lambda: type("ResNet", (ResNet,), {})(BasicBlock, (1, 1, 1, 1), 3, 4),
    "a block": lambda: ResNet(Bottleneck2, (1, 1, 1, 1), 3, 4),
    "a block of the same name": lambda: ResNet(of_my_own("BasicBlock"), (1, 1, 1, 1), 3, 4),
    "two kinds of blocks": lambda: ResNet(
        lambda i, w, s: (PlainBlock if s == 1 else BasicBlock)(i, w, s), (1, 1, 1, 1), 3, 4
    ),
    "a head of two layers": lambda: changed(lambda m: setattr(m, "fc", nn.Sequential(m.fc))),
    "no head": lambda: changed(lambda m: setattr(m, "fc", nn.Identity())),
    "a head without bias": lambda: changed(
        lambda m: setattr(m, "fc", nn.Linear(32, 3, bias=False))
    ),
    "a stem of its own": lambda: changed(lambda m: setattr(m, "conv1", nn.Conv2d(3, 4, 3))),
    "no max-pool": lambda: changed(lambda m: setattr(m, "maxpool", nn.Identity())),
    "one stage away": lambda: changed(lambda m: setattr(m, "layer4", nn.Identity())),
    "one norm of another epsilon": lambda: changed(lambda m: setattr(m.layer1[0].bn1, "eps", 0.1)),
    "one part in half": lambda: changed(lambda m: m.layer1.half()),
    "something more": lambda: changed(lambda m: m.add_module("extra", nn.Linear(2, 2))),
    "no stages": lambda: nn.Linear(3, 2),
    "weights": lambda: resnet18(width=4).state_dict(),
    "None": lambda: None,
}


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS.keys())
def test_what_could_not_be_built_again_is_refused_before_anything_is_written(make, tmp_path):
    (tmp_path / "net").write_text("mine")

    with pytest.raises(ValueError, match=r"networks of resnet_edu\.networks.*other parts"):
        weights.save(make(), tmp_path / "net")

    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("net", "mine")]


def test_notes_are_kept_beside_the_weights_and_do_not_replace_what_load_needs(tmp_path):
    notes = {"classes": '["größe"]', "format": "mine", "architecture": "mine"}
    weights.save(resnet18(num_classes=3, width=4), tmp_path / "net", notes)
    kept = files.read(tmp_path / "net")[1]

    assert weights.load(tmp_path / "net").fc.out_features == 3
    assert kept["classes"] == '["größe"]'
    assert kept.keys() == notes.keys()


# What cannot be loaded


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "net"
    weights.save(resnet18(num_classes=3, width=4), path)
    return path


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 100, 0.01, 0.5, 0.99, -1])
def test_a_file_that_is_cut_off(saved, tmp_path, length):
    whole = saved.read_bytes()
    cut = whole[: int(length * len(whole)) if isinstance(length, float) else length]
    (tmp_path / "net").write_bytes(cut)

    with pytest.raises(FileError, match=r"net is not a whole safetensors file"):
        weights.load(tmp_path / "net")

    assert (tmp_path / "net").read_bytes() == cut


def test_a_file_with_a_damaged_head_is_never_a_crash_or_another_network(saved, tmp_path):
    whole = saved.read_bytes()
    shapes = {name: t.shape for name, t in weights.load(saved).state_dict().items()}
    places = range(0, 8 + int.from_bytes(whole[:8], "little"), 101)
    refused = 0
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 0x11
        (tmp_path / "net").write_bytes(damaged)
        try:
            loaded = weights.load(tmp_path / "net")
        except FileError:
            refused += 1
        else:  # white space, or a digit of epsilon
            assert {name: t.shape for name, t in loaded.state_dict().items()} == shapes
    assert refused > 0.9 * len(places)


def rewrite(saved, path, change=None, architecture=None, **more):
    """A copy of the saved file with other contents."""
    tensors, words = files.read(saved)
    if change:
        change(tensors, words)
    if architecture is not None:
        words["architecture"] = architecture
    elif more:
        words["architecture"] = json.dumps({**json.loads(words["architecture"]), **more})
    save_file(tensors, path, words or None)
    return path


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda _, words: words.clear(), "format is 'not named'.*load_by_name"),
        (lambda _, words: words.update(format="pt"), "format is 'pt'"),
        (lambda _, words: words.update(format="resnet_edu network 2"), "format is .*network 2'"),
        (lambda _, words: words.update(format="resnet_edu training 1"), "format is .*training 1'"),
    ],
)
def test_a_file_from_elsewhere(saved, tmp_path, change, match):
    path = rewrite(saved, tmp_path / "net", change)

    with pytest.raises(FileError, match=match):
        weights.load(path)


def test_no_file_a_folder_and_a_pickle(tmp_path):
    torch.save(resnet18(width=4).state_dict(), tmp_path / "net.pth")

    with pytest.raises(FileError, match="does not exist"):
        weights.load(tmp_path / "nothing")
    with pytest.raises(FileError, match="is a folder"):
        weights.load(tmp_path)
    with pytest.raises(FileError, match=r"not a whole safetensors file.*pickled"):
        weights.load(tmp_path / "net.pth")


HUGE = 10**9
ARCHITECTURES = [
    *({"block": b} for b in (*weights.own.BLOCKS, "SEBlock", "", None, 3, []) if b != "BasicBlock"),
    *({"network": n} for n in ("CifarResNet", "VGG", "", None, 3, {})),
    *(
        {"blocks": b}
        for b in ([2, 2, 2, 3], [2, 2, 2], [2], [], "2222", 8, None, {}, [[2], 2, 2, 2])
    ),
    *({"blocks": list(b)} for b in itertools.permutations((HUGE, 2, 2, -HUGE), 4)),
    {"blocks": [HUGE, HUGE, HUGE, HUGE]},
    *({"width": w} for w in (5, 0, -4, HUGE, HUGE**3, 4.5, "4", None, [4], float("nan"))),
    *({"num_classes": c} for c in (4, 0, -3, HUGE, HUGE**3, 3.5, "3", None)),
    {"depth": 20},
    {"zero_init": True},
    {"__class__": "os.system"},
    *({"epsilon": e} for e in ("1e-5", [1], {}, None)),
    *({"momentum": m} for m in ("0.1", [1], {})),
]


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("changed", ARCHITECTURES, ids=str)
def test_an_architecture_that_does_not_fit_the_weights(saved, tmp_path, changed):
    path = rewrite(saved, tmp_path / "net", **changed)

    with pytest.raises(FileError, match="does not fit its weights"):
        weights.load(path)


@pytest.mark.parametrize(
    "architecture",
    ["", "{", "null", "3", "[]", "{}", '"ResNet"', "[" * 100_000, "9" * 10_000, "\x00", "NaN"],
    ids=lambda text: text[:8],
)
def test_an_architecture_that_is_none(saved, tmp_path, architecture):
    path = rewrite(saved, tmp_path / "net", architecture=architecture)

    with pytest.raises(FileError, match="does not fit its weights") as error:
        weights.load(path)

    assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    "lost", ["network", "block", "blocks", "num_classes", "epsilon", "momentum"]
)
def test_an_architecture_with_something_missing(saved, tmp_path, lost):
    words = json.loads(files.read(saved)[1]["architecture"])
    del words[lost]
    path = rewrite(saved, tmp_path / "net", architecture=json.dumps(words))

    with pytest.raises(FileError, match="does not fit its weights"):
        weights.load(path)


def int8(tensors):
    return {n: t.to(torch.int8) if t.is_floating_point() else t for n, t in tensors.items()}


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors, _: tensors.pop("fc.weight"),
        lambda tensors, _: tensors.pop("bn1.num_batches_tracked"),
        lambda tensors, _: tensors.clear(),
        lambda tensors, _: tensors.update(extra=torch.ones(1)),
        lambda tensors, _: tensors.update({"fc.bias": torch.ones(4)}),
        lambda tensors, _: tensors.update({"conv1.weight": torch.empty(HUGE, 0, 7, 7)}),
        lambda tensors, _: tensors.update({"fc.bias": torch.ones(3).half()}),
        lambda tensors, _: tensors.update(int8(tensors)),
        lambda _, words: words.pop("architecture"),
    ],
)
def test_weights_that_do_not_fit_the_architecture(saved, tmp_path, change):
    path = rewrite(saved, tmp_path / "net", change)

    with pytest.raises(FileError, match="does not fit its weights"):
        weights.load(path)


def test_the_copy_that_these_files_are_made_from_is_right(saved, tmp_path):
    loaded = weights.load(rewrite(saved, tmp_path / "net"))

    assert torch.equal(loaded.fc.weight, weights.load(saved).fc.weight)
