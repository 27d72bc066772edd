"""Transfer: heads, freezing, groups, halves, the probe and the audit, against autograd and torchvision."""

import copy

import pytest
import torch
import torchvision
from torch import nn
from torch.utils.data import TensorDataset

from resnet_edu import training, transfer
from resnet_edu.networks import cifar_resnet, resnet18
from resnet_edu.training import Recipe, fit, quiet


@pytest.fixture
def model():
    torch.manual_seed(0)
    return resnet18(5, width=8)


@pytest.fixture
def images():
    return torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def train(images):
    return TensorDataset(images, torch.arange(8) % 5)


def trainable_parts(model):
    return {transfer.stage_of(n) for n, p in model.named_parameters() if p.requires_grad}


def test_a_new_head_has_the_classes_and_leaves_the_rest(model, images):
    before = {n: t.clone() for n, t in model.state_dict().items() if not n.startswith("fc")}
    transfer.replace_head(model, 7)
    assert all(torch.equal(model.state_dict()[n], t) for n, t in before.items())
    assert model(images).shape == (8, 7)
    assert model.fc.weight.requires_grad


@pytest.mark.parametrize("make", [lambda: nn.Linear(3, 2), lambda: nn.Sequential()])
def test_a_model_without_a_head_is_refused(make):
    with pytest.raises(ValueError, match="named fc"):
        transfer.replace_head(make(), 3)
    with pytest.raises(ValueError, match="no ResNet"):
        transfer.freeze(make(), "layer1")


def test_a_head_needs_a_class(model):
    with pytest.raises(ValueError, match="1 or more"):
        transfer.replace_head(model, 0)


@pytest.mark.parametrize(
    ("up_to", "left"),
    [
        (None, {"stem", "layer1", "layer2", "layer3", "layer4", "fc"}),
        ("stem", {"layer1", "layer2", "layer3", "layer4", "fc"}),
        ("layer3", {"layer4", "fc"}),
        ("layer4", {"fc"}),
    ],
)
def test_freezing_leaves_what_comes_after(model, up_to, left):
    for network in (model, torchvision.models.resnet18(num_classes=5)):
        transfer.freeze(network, "layer2")  # what was frozen before does not matter
        transfer.freeze(network, up_to)
        assert trainable_parts(network) == left


def test_cifar_networks_have_three_stages():
    assert transfer.stages(cifar_resnet(8)) == ("stem", "layer1", "layer2", "layer3")


def test_an_unknown_stage_changes_nothing(model):
    transfer.freeze(model, "layer1")
    with pytest.raises(ValueError, match="'layer5'; the stages are stem, layer1"):
        transfer.freeze(model, "layer5")
    assert "layer1" not in trainable_parts(model)


@pytest.mark.parametrize("up_to", [None, "stem", "layer1", "layer2", "layer3", "layer4"])
def test_the_two_halves_are_the_whole(model, images, up_to):
    model.eval()
    first, second = transfer.split(model, up_to)
    assert torch.equal(second(first(images)), model(images))
    shared = {id(p) for half in (first, second) for p in half.parameters()}
    assert shared == {id(p) for p in model.parameters()}


def test_training_the_second_half_is_training_with_the_first_frozen(
    model, images, train, monkeypatch
):
    monkeypatch.setattr(
        training.machine, "bfloat16_pays", lambda _device: False
    )  # rounds the first half
    whole = copy.deepcopy(model)
    transfer.freeze(whole, "layer3")
    recipe = Recipe(steps=3, batch_size=4, learning_rate=0.01)
    fit(whole, train, recipe, on_step=quiet)

    transfer.freeze(model, "layer3")
    first, second = transfer.split(model, "layer3")
    features = transfer.compute(first, images)
    fit(second, TensorDataset(features, train.tensors[1]), recipe, on_step=quiet)
    for (name, ours), theirs in zip(
        model.state_dict().items(), whole.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5, msg=name)


def test_computing_leaves_modes_and_statistics(model, images):
    model.train()
    model.layer1.eval()
    before = copy.deepcopy(model.state_dict())
    out = transfer.compute(model, images.repeat(10, 1, 1, 1))
    model_again = copy.deepcopy(model).eval()
    torch.testing.assert_close(out[:8], model_again(images).detach())
    assert not out.requires_grad
    assert model.training
    assert not model.layer1.training
    assert all(torch.equal(before[n], t) for n, t in model.state_dict().items())


def test_fit_keeps_frozen_batch_norms_and_moves_the_others(model, train):
    transfer.freeze(model, "layer3")
    before = copy.deepcopy(model)
    fit(model, train, Recipe(steps=2, batch_size=4, learning_rate=0.01), on_step=quiet)
    for row in transfer.freeze_audit(before, model).stages:
        frozen = row.stage not in ("layer4", "fc")
        assert row.parameters_changed == (0 if frozen else row.parameters)
        assert row.buffers_changed == (0 if frozen else row.buffers)
    assert all(module.training for module in model.modules())  # as it came


def test_the_audit_sees_what_an_ordinary_loop_moves(model, images, train):
    transfer.freeze(model, "layer4")
    before = copy.deepcopy(model)
    model.train()
    optimizer = torch.optim.SGD(transfer.parameter_groups(model, 0.1, {}))
    nn.functional.cross_entropy(model(images), train.tensors[1]).backward()
    optimizer.step()
    audit = transfer.freeze_audit(before, model)
    rows = {row.stage: row for row in audit.stages}
    assert list(rows) == ["stem", "layer1", "layer2", "layer3", "layer4", "fc"]
    assert rows["layer2"].parameters_changed == 0
    assert rows["layer2"].buffers_changed == rows["layer2"].buffers == 15  # 5 batch norms, 3 each
    assert rows["fc"].parameters_changed == 2
    assert "15 of 15" in str(audit)


def test_the_audit_counts_single_tensors(model):
    after = copy.deepcopy(model)
    with torch.no_grad():
        after.layer2[0].conv1.weight[0, 0, 0, 0] += 1
        after.bn1.running_mean[2] = float("nan")
    rows = {r.stage: r for r in transfer.freeze_audit(model, after).stages}
    assert (rows["layer2"].parameters_changed, rows["layer2"].buffers_changed) == (1, 0)
    assert (rows["stem"].parameters_changed, rows["stem"].buffers_changed) == (0, 1)
    assert sum(r.parameters_changed for r in transfer.freeze_audit(after, after).stages) == 0


def test_the_audit_refuses_two_networks(model):
    other = copy.deepcopy(model)
    transfer.replace_head(other, 9)
    with pytest.raises(ValueError, match="same network at two moments"):
        transfer.freeze_audit(model, other)


def test_groups_hold_each_trainable_parameter_once_at_its_rate(model):
    transfer.freeze(model, "layer1")
    groups = transfer.parameter_groups(model, 0.5, {"layer2": 0.1, "layer3": 0.1, "layer4": 0.2})
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(rate)
    wanted = {"layer2": 0.05, "layer3": 0.05, "layer4": 0.1, "fc": 0.5}
    for name, parameter in model.named_parameters():
        assert rate.get(id(parameter)) == wanted.get(transfer.stage_of(name))


def test_groups_refuse_unknown_parts_and_frozen_models(model):
    with pytest.raises(ValueError, match="'layer9'; the model's parts are fc, layer1"):
        transfer.parameter_groups(model, 0.1, {"layer9": 0.1})
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="nothing can be learned"):
        transfer.parameter_groups(model, 0.1, {})


def test_a_rate_scales_the_step_of_its_part(model, train):
    """One step of SGD without momentum: what changed is proportional to the rate."""
    moves = {}
    for factor in (1.0, 0.25):
        network = copy.deepcopy(model)
        recipe = Recipe(
            steps=1, momentum=0, weight_decay=0, learning_rate=0.1, rates={"layer4": factor}
        )
        fit(network, train, recipe, on_step=quiet)
        moves[factor] = [
            getattr(network, part).weight - getattr(model, part).weight for part in ("fc", "conv1")
        ] + [network.layer4[1].conv2.weight - model.layer4[1].conv2.weight]
    for whole, slow in zip(moves[1.0][:2], moves[0.25][:2], strict=True):
        torch.testing.assert_close(whole, slow)
    torch.testing.assert_close(moves[1.0][2] * 0.25, moves[0.25][2], rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("factor", [0, -1.0, float("inf"), float("nan")])
def test_a_rate_must_be_positive(factor):
    with pytest.raises(ValueError, match="rates must be"):
        Recipe(rates={"fc": factor})


def test_training_with_rates_goes_on_from_a_checkpoint(model, train, tmp_path):
    recipe = Recipe(steps=4, batch_size=4, rates={"stem": 0.5, "fc": 2.0}, learning_rate=0.01)
    other = copy.deepcopy(model)
    fit(model, train, recipe, on_step=quiet)

    path = tmp_path / "training.safetensors"
    with training.prepared(other) as device:
        run = training.Run(other, train, recipe, device)
        run.take_step()
        run.take_step()
        run.save(path)
    fit(other, train, recipe, checkpoint=path, on_step=quiet)
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    )


def test_the_probe_finds_what_the_features_show():
    """Two classes that differ in brightness: any network with a working stem tells them apart."""
    torch.manual_seed(0)
    model = resnet18(5, width=8).train()
    labels = torch.arange(40) % 2
    images = labels[:, None, None, None] * 2.0 + 0.1 * torch.randn(40, 3, 32, 32)
    before = copy.deepcopy(model.state_dict())
    train, test = TensorDataset(images[:20], labels[:20]), TensorDataset(images[20:], labels[20:])
    assert transfer.linear_probe(model, train, test) == 1.0
    assert transfer.linear_probe(model, train, TensorDataset(images[20:], 1 - labels[20:])) == 0.0
    assert model.training
    assert all(torch.equal(before[n], t) for n, t in model.state_dict().items())
