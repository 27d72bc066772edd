"""Other heads on one backbone: dilation, pyramid, detector, segmenter."""

import copy

import pytest
import torch
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

from resnet_edu import data, dense, networks
from resnet_edu.measure import average_precision, iou


def random_(model, seed=0):
    """No weight and no statistic at its start value, and in evaluation mode."""
    numbers = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if "running_var" in name or (name.endswith("weight") and value.dim() == 1):
                value.uniform_(0.5, 1.5, generator=numbers)
            elif value.is_floating_point() and value.dim() == 1:
                value.normal_(0, 0.3, generator=numbers)
    return model.eval()


NETWORKS = {
    "ResNet-18": lambda: networks.resnet18(width=8),
    "ResNet-50": lambda: networks.resnet50(width=8),
    "ResNet-50 of 2015": lambda: networks.resnet50(width=8, stride_in_1x1=True),
    "plain-18": lambda: networks.plain18(width=8),
}


def last_map(model, images):
    x = model.maxpool(model.relu(model.bn1(model.conv1(images))))
    for name in ("layer1", "layer2", "layer3", "layer4"):
        x = getattr(model, name)(x)
    return x


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("first", "step"), [("layer4", 2), ("layer3", 4), ("layer2", 8)])
def test_every_second_place_of_a_dilated_stage_is_what_came_out_before(name, first, step):
    model = random_(NETWORKS[name]().double())
    images = torch.randn(2, 3, 96, 160, dtype=torch.float64)
    before = last_map(model, images)
    weights = {key: value.data_ptr() for key, value in model.named_parameters()}

    dense.dilate_network_(model, first)

    after = last_map(model, images)
    assert after.shape[-2:] == (step * before.shape[-2], step * before.shape[-1])
    torch.testing.assert_close(after[:, :, ::step, ::step], before)
    assert weights == {key: value.data_ptr() for key, value in model.named_parameters()}


def test_a_cifar_network_is_dilated_too():
    model = random_(networks.cifar_resnet(20).double())
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)

    def features():
        x = model.relu(model.bn1(model.conv1(images)))
        return model.layer3(model.layer2(model.layer1(x)))

    before = features()
    dense.dilate_network_(model, "layer2")
    torch.testing.assert_close(features()[:, :, ::4, ::4], before)


def test_a_stage_that_is_none_is_a_clear_error():
    with pytest.raises(ValueError, match=r"no stage 'layer5'; the stages are layer1, .*layer4"):
        dense.dilate_network_(networks.resnet18(width=8), "layer5")


def test_a_frozen_backbone_stays_in_evaluation_mode_and_gets_no_gradient():
    network = networks.resnet18(width=8)
    detector = dense.Detector(network, 3).train()
    before = copy.deepcopy(network.state_dict())
    scores, distances = detector(torch.rand(2, 3, 64, 64))
    (scores.sum() + distances.sum()).backward()

    assert not any(module.training for module in detector.backbone.modules())
    assert all(p.grad is None for p in network.parameters())
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert scores.shape == (2, 3, 8, 8)
    assert distances.shape == (2, 4, 8, 8)


def test_the_focal_loss_is_torchvisions_without_its_alpha():
    scores, targets = torch.randn(2, 3, 4, 4), torch.rand(2, 3, 4, 4).round()
    for gamma in (0.0, 2.0):
        theirs = sigmoid_focal_loss(scores, targets, alpha=-1, gamma=gamma, reduction="sum")
        torch.testing.assert_close(dense.focal_loss(scores, targets, gamma), theirs)


def test_the_iou_loss_is_the_logarithm_of_the_boxes_iou():
    numbers = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 50, 4, generator=numbers) * 9 + 1
    place = torch.tensor([40.0, 60.0])
    boxes = [torch.cat([place - d[:, :2], place + d[:, 2:]], 1) for d in (a, b)]
    overlap = iou(*boxes).diagonal()

    torch.testing.assert_close(dense.iou_loss(a, b), -overlap.log().sum())
    # Both boxes hold the place, so torchvision's generalised form differs by what lies around them.
    assert generalized_box_iou_loss(*boxes, reduction="none").ge(1 - overlap - 1e-5).all()


def test_a_place_finds_the_nearest_object():
    places = torch.tensor([[[4.0, 4.0], [12.0, 4.0], [60.0, 60.0]]])
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [8.0, 0.0, 16.0, 8.0]])
    label, box = dense.assign(boxes, torch.tensor([7, 3]), places)

    assert label.tolist() == [[7, 3, -1]]
    assert box[0, 1].tolist() == boxes[1].tolist()
    nothing, _ = dense.assign(boxes[:0], torch.tensor([]).long(), places)
    assert nothing.tolist() == [[-1, -1, -1]]


def test_a_detector_learns_to_find_digits_of_a_few_scenes():
    scenes = data.scenes("train", 16)
    torch.manual_seed(0)
    detector = dense.Detector(networks.resnet18(width=8), 10, frozen=False, channels=32)
    truth = scenes.targets(first_label=0)
    losses = list(
        dense.train(detector, scenes.images, truth, dense.detection_loss, 60, batch_size=8)
    )
    found = dense.detect(detector, scenes.images)

    assert losses[-1] < 0.5 * losses[0]
    assert average_precision(found, truth).mean > 0.2  # by heart, of course
    more = dense.detect(detector, scenes.images, overlap=1.0)
    assert sum(len(f["boxes"]) for f in more) > sum(len(f["boxes"]) for f in found)


@pytest.mark.parametrize("output_stride", [32, 16, 8])
@pytest.mark.parametrize("skips", [0, 2])
def test_a_segmenter_gives_logits_for_each_pixel_and_leaves_its_network_alone(output_stride, skips):
    network = networks.resnet50(width=8)
    segmenter = dense.Segmenter(network, 11, output_stride, skips)
    images = torch.rand(2, 3, 64, 96)

    assert segmenter(images).shape == (2, 11, 64, 96)
    coarse = segmenter.backbone(images)[-1]
    assert coarse.shape[-2:] == (64 // output_stride, 96 // output_stride)
    assert network.layer4[0].conv2.stride == (2, 2)


@pytest.mark.parametrize(
    ("options", "said"), [((12, 0), "one of 32, 16, 8, 4"), ((8, 4), "0 to 3")]
)
def test_a_segmenter_that_cannot_be_is_a_clear_error(options, said):
    with pytest.raises(ValueError, match=said):
        dense.Segmenter(networks.resnet18(width=8), 11, *options)


def test_the_ground_counts_less():
    logits, classes = torch.randn(1, 3, 4, 4), torch.zeros(1, 4, 4).long()
    classes[0, 0, 0] = 2
    each = torch.nn.functional.cross_entropy(logits, classes, reduction="none")
    weight = torch.where(classes == 0, 0.3, 1.0)
    expected = (weight * each).sum() / weight.sum()

    torch.testing.assert_close(dense.segmentation_loss(logits, classes), expected)
