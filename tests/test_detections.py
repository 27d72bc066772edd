"""Average precision and recall against pycocotools; VOC's and mIoU against plain loops."""

import contextlib
import io
import math

import pytest
import torch
from pycocotools import coco, cocoeval

from resnet_edu.measure import average_precision, iou, mean_iou, recall_by_size

CLASSES = 3


def random_case(seed):
    """Images with few or no objects, and detections near them, doubled, of another class, or far."""
    g = torch.Generator().manual_seed(seed)

    def whole(high):
        return int(torch.randint(high, (), generator=g))

    def boxes(n, side=200.0):
        corner = torch.rand(n, 2, generator=g) * side
        size = torch.rand(n, 2, generator=g) ** 2 * 120
        return torch.cat([corner, corner + size], 1)

    detected, true = [], []
    for _ in range(1 + whole(4)):
        n = whole(6)
        objects = {"boxes": boxes(n), "labels": torch.randint(CLASSES, (n,), generator=g)}
        found, labels = [boxes(whole(4))], []
        labels.append(torch.randint(CLASSES, (len(found[0]),), generator=g))
        for _ in range(whole(3)):
            moved = objects["boxes"] + torch.randn(n, 4, generator=g) * (1 + whole(12))
            x = torch.stack([moved[:, 0::2].amin(1), moved[:, 1::2].amin(1)], 1)
            y = torch.stack([moved[:, 0::2].amax(1), moved[:, 1::2].amax(1)], 1)
            found.append(torch.cat([x, y], 1))
            labels.append(objects["labels"])
        found, labels = torch.cat(found), torch.cat(labels)
        scores = torch.rand(len(found), generator=g)
        if whole(3) == 0:
            scores = (scores * 5).round() / 5  # many equal ones
        detected.append({"boxes": found, "labels": labels, "scores": scores})
        true.append(objects)
    return detected, true


def xywh(box):
    x1, y1, x2, y2 = box.double().tolist()
    return [x1, y1, x2 - x1, y2 - y1]


def referee(detected, true, at, limits=(32.0**2, 96.0**2)):
    """pycocotools' average precision by class, and its recall by size."""
    truth = coco.COCO()
    annotations = [
        {
            "id": 0,
            "image_id": i,
            "category_id": int(label) + 1,
            "bbox": xywh(box),
            "area": xywh(box)[2] * xywh(box)[3],
            "iscrowd": 0,
        }
        for i, image in enumerate(true)
        for box, label in zip(image["boxes"], image["labels"], strict=True)
    ]
    for number, annotation in enumerate(annotations, 1):
        annotation["id"] = number
    truth.dataset = {
        "images": [{"id": i} for i in range(len(true))],
        "categories": [{"id": k + 1} for k in range(CLASSES)],
        "annotations": annotations,
    }
    results = [
        {"image_id": i, "category_id": int(label) + 1, "bbox": xywh(box), "score": float(score)}
        for i, image in enumerate(detected)
        for box, label, score in zip(
            *(image[k] for k in ("boxes", "labels", "scores")), strict=True
        )
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        found = coco.COCO()
        found.dataset = {**truth.dataset, "annotations": []}
        for number, result in enumerate(results, 1):
            area = result["bbox"][2] * result["bbox"][3]
            found.dataset["annotations"].append(
                {**result, "id": number, "area": area, "iscrowd": 0}
            )
        found.createIndex()
        evaluation = cocoeval.COCOeval(truth, found, "bbox")
        evaluation.params.iouThrs = [at]
        evaluation.params.areaRng = [
            [0, 1e10], [0, limits[0]], [limits[0], limits[1]], [limits[1], 1e10]
        ]  # fmt: skip
        evaluation.params.areaRngLbl = ["all", "small", "medium", "large"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]
    by_class = {
        k: precision[0, :, k, 0, 2].mean()
        for k in range(CLASSES)
        if any((image["labels"] == k).any() for image in true)
    }
    sizes = {}
    for place, name in enumerate(("small", "medium", "large"), 1):
        of_class = [r for r in recall[0, :, place, 2] if r > -1]
        sizes[name] = sum(of_class) / len(of_class) if of_class else math.nan
    return by_class, sizes


@pytest.mark.slow
@pytest.mark.parametrize("at", [0.5, 0.75])
def test_average_precision_and_recall_are_those_of_pycocotools(at):
    compared = 0
    for seed in range(200):
        detected, true = random_case(seed)
        by_class, sizes = referee(detected, true, at)

        assert average_precision(detected, true, at).by_class == pytest.approx(by_class, abs=1e-9)
        assert recall_by_size(detected, true, at) == pytest.approx(sizes, abs=1e-9, nan_ok=True)
        compared += len(by_class)
    assert compared > 300


def voc_by_a_loop(detected, true, label, at):
    """VOC's rules, one detection after the other."""
    all_found = [
        (float(s), i, box.tolist())
        for i, image in enumerate(detected)
        for box, s, k in zip(*(image[key] for key in ("boxes", "scores", "labels")), strict=True)
        if k == label
    ]
    all_found.sort(key=lambda one: -one[0])
    objects = {
        i: [
            box.tolist()
            for box, k in zip(image["boxes"], image["labels"], strict=True)
            if k == label
        ]
        for i, image in enumerate(true)
    }
    used, right, recalls, precisions = set(), 0, [], []
    for number, (_, i, box) in enumerate(all_found, 1):
        best, overlap = None, 0.0
        for j, other in enumerate(objects[i]):
            width = min(box[2], other[2]) - max(box[0], other[0])
            height = min(box[3], other[3]) - max(box[1], other[1])
            both = max(width, 0) * max(height, 0)
            area = (box[2] - box[0]) * (box[3] - box[1])
            area += (other[2] - other[0]) * (other[3] - other[1]) - both
            if both and both / area >= overlap:
                best, overlap = j, both / area
        if best is not None and overlap >= at and (i, best) not in used:
            used.add((i, best))
            right += 1
        recalls.append(right / sum(map(len, objects.values())))
        precisions.append(right / number)
    area, before = 0.0, 0.0
    for n, recall in enumerate(recalls):
        area += (recall - before) * max(precisions[n:])
        before = recall
    return area


@pytest.mark.slow
def test_vocs_average_precision_is_that_of_a_plain_loop():
    for seed in range(300):
        detected, true = random_case(seed)
        found = average_precision(detected, true, points="voc").by_class
        for label, value in found.items():
            assert value == pytest.approx(voc_by_a_loop(detected, true, label, 0.5), abs=1e-6)


def test_mean_iou_is_that_of_a_plain_loop():
    g = torch.Generator().manual_seed(0)
    for _ in range(300):
        classes = int(torch.randint(1, 6, (), generator=g))
        shape = tuple(torch.randint(1, 5, (3,), generator=g).tolist())
        predictions = torch.randint(classes, shape, generator=g)
        targets = torch.randint(classes, shape, generator=g)
        targets[torch.rand(shape, generator=g) < 0.2] = 255
        if (targets == 255).all():
            continue
        pairs = [
            (p, t)
            for p, t in zip(predictions.flatten().tolist(), targets.flatten().tolist(), strict=True)
            if t != 255
        ]
        values = []
        for k in range(classes):
            both = sum(p == k and t == k for p, t in pairs)
            either = sum(k in pair for pair in pairs)
            values += [both / either] if either else []

        got = mean_iou(predictions.to(torch.uint8), targets.to(torch.uint8), classes)
        assert got == pytest.approx(sum(values) / len(values), abs=1e-12)


def test_iou_of_boxes_that_touch_lie_inside_or_have_no_area():
    a = torch.tensor([[0, 0, 4, 4], [1, 1, 1, 3]], dtype=torch.float32)
    b = torch.tensor([[4, 0, 8, 4], [0, 0, 2, 4], [0, 0, 4, 4]], dtype=torch.float32)

    assert iou(a, b).tolist() == [[0, 0.5, 1], [0, 0, 0]]
    assert iou(a[:0], b).shape == (0, 3)
    assert iou(a, b[:0]).shape == (2, 0)


NONE = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0).long(), "scores": torch.zeros(0)}
ONE = {
    "boxes": torch.tensor([[0.0, 0, 2, 2]]),
    "labels": torch.tensor([3]),
    "scores": torch.tensor([0.5]),
}


def test_empty_images():
    assert average_precision([NONE], [ONE]).by_class == {3: 0.0}
    assert math.isnan(average_precision([ONE], [NONE]).mean)
    assert average_precision([], []).by_class == {}
    assert average_precision([ONE, NONE], [ONE, NONE]).mean == pytest.approx(1)


@pytest.mark.parametrize(
    ("detected", "true", "said"),
    [
        ([ONE], [], "for 1 images, objects for 0"),
        (
            [{"boxes": ONE["boxes"]}],
            [ONE],
            "need the tensors boxes, labels, scores; there are boxes",
        ),
        ([{**ONE, "labels": torch.tensor([3.0])}], [ONE], "labels are whole numbers"),
        (
            [{**ONE, "boxes": torch.tensor([[5.0, 5, 2, 2]])}],
            [ONE],
            "Are these x, y, width, height",
        ),
        ([ONE], [{**ONE, "boxes": torch.zeros(1, 5)}], r"objects of image 0: boxes are \(K, 4\)"),
        ([{**ONE, "scores": torch.zeros(2)}], [ONE], r"not as many everywhere.*scores \(2,\)"),
    ],
)
def test_what_are_no_boxes_is_a_clear_error(detected, true, said):
    for function in (average_precision, recall_by_size):
        with pytest.raises(ValueError, match=said):
            function(detected, true)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((torch.zeros(1, 2, 2), torch.zeros(1, 2, 2).long(), 2), "whole numbers"),
        ((torch.zeros(1, 2, 2).long(), torch.zeros(1, 2, 3).long(), 2), "shapes were"),
        ((torch.full((1, 2, 2), 2), torch.zeros(1, 2, 2).long(), 2), "go from 0 to 1"),
        ((torch.zeros(1, 2, 2).long(), torch.full((1, 2, 2), 255), 2), "No pixel counts"),
    ],
)
def test_what_are_no_classes_is_a_clear_error(arguments, said):
    with pytest.raises(ValueError, match=said):
        mean_iou(*arguments)
