"""What the bridge makes of a backend's answer, sound or not."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from lamp import MODEL, answer_with, image_in, lamp_image
from tritonclient.grpc import service_pb2 as pb

from edge_robot.fleet import protocol
from edge_robot.fleet.adaptation import Encoding
from edge_robot.fleet.boundary import Boundary, Cleared, Picture
from edge_robot.fleet.privacy_policy import Kind, PrivacyPolicy, Tier
from edge_robot.fleet.tasks.detect import encode_frame, read_detections
from edge_robot.fleet.work import InvalidAnswerError
from edge_robot.perception.detections import Detections

FOUND = Detections(
    np.array([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]], np.float32),
    np.array([0.9, 0.4], np.float32),
    np.array([1, 0], np.int64),
    ("box", "person"),
)
SIZE = (20, 10)


def answer(found: Detections = FOUND) -> Any:
    return answer_with(found, "1")


def cleared(image: np.ndarray) -> Cleared[Any]:
    result = Boundary(PrivacyPolicy()).clear(Kind.DETECT, Picture(image, None), Tier.FOG)
    assert isinstance(result, Cleared)
    return result


def test_request_and_answer_survive_the_way() -> None:
    image = lamp_image()
    encoded = encode_frame(cleared(image), MODEL, 0.0, Encoding(95, 1.0))
    decoded = image_in(encoded.request)
    assert decoded.shape == image.shape
    assert np.abs(decoded.astype(int) - image).mean() < 2.0

    opinion = encoded.decode(answer())
    assert opinion.regions is None
    assert np.array_equal(opinion.found.boxes, FOUND.boxes)
    assert np.array_equal(opinion.found.scores, FOUND.scores)
    assert opinion.found.labels == ["person", "box"]
    assert read_detections(answer(), SIZE, 0.5).labels == ["person"]


def test_boxes_of_a_smaller_image_come_back_in_pixels_of_the_whole_one() -> None:
    image = lamp_image()  # 200 x 120
    encoded = encode_frame(cleared(image), MODEL, 0.0, Encoding(80, 0.33))
    assert image_in(encoded.request).shape == (40, 66, 3)
    whole = replace(FOUND, boxes=np.array([[0, 0, 66, 40], [33, 10, 66, 20]], np.float32))
    np.testing.assert_allclose(
        encoded.decode(answer(whole)).found.boxes, [[0, 0, 200, 120], [100, 30, 200, 60]], atol=1e-4
    )
    with pytest.raises(InvalidAnswerError, match="reaches out of an image of 66 x 40"):
        encoded.decode(answer(replace(FOUND, boxes=whole.boxes * 2)))


def drop(name: str) -> Callable[[Any], None]:
    def change(message: Any) -> None:
        index = [output.name for output in message.outputs].index(name)
        del message.outputs[index]
        del message.raw_output_contents[index]

    return change


def replace_values(tensor: protocol.Tensor, values: np.ndarray) -> Callable[[Any], None]:
    def change(message: Any) -> None:
        index = [output.name for output in message.outputs].index(tensor.name)
        message.raw_output_contents[index] = values.tobytes()

    return change


BOXES = FOUND.boxes
WRONG: dict[str, tuple[Callable[[Any], None], str]] = {
    "no boxes": (drop("boxes"), "'boxes' is missing"),
    "no names": (drop("class_names"), "'class_names' is missing"),
    "nothing at all": (lambda m: m.Clear(), "missing"),
    "contents missing": (lambda m: m.raw_output_contents.pop(), "raw contents"),
    "type": (lambda m: setattr(m.outputs[0], "datatype", "FP64"), "FP64"),
    "width": (lambda m: m.outputs[0].shape.__setitem__(1, 5), r"\[2, 5\]"),
    "rank": (lambda m: m.outputs[0].shape.append(1), r"\[2, 4, 1\]"),
    "negative": (lambda m: m.outputs[0].shape.__setitem__(0, -1), r"\[-1, 4\]"),
    "longer than its bytes": (lambda m: m.outputs[0].shape.__setitem__(0, 3), "32 bytes"),
    "two of a name": (lambda m: setattr(m.outputs[1], "name", "boxes"), "twice"),
    "outside": (replace_values(protocol.BOXES, BOXES * np.float32(10)), "reaches out"),
    "NaN box": (replace_values(protocol.BOXES, BOXES * np.float32(np.nan)), "finite"),
    "box inside out": (replace_values(protocol.BOXES, -BOXES), "area"),
    "NaN score": (replace_values(protocol.SCORES, np.full(2, np.nan, "<f4")), "score"),
    "score": (replace_values(protocol.SCORES, np.array([0.5, 1.5], "<f4")), "score"),
    "class": (replace_values(protocol.CLASS_IDS, np.array([0, 2], "<i8")), "class"),
    "names": (replace_values(protocol.CLASS_NAMES, np.array([99], "<u4")), "past the end"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_is_rejected_with_its_reason(name: str) -> None:
    change, reason = WRONG[name]
    message = answer()
    change(message)
    with pytest.raises(InvalidAnswerError, match=reason):
        read_detections(message, SIZE, 0.0)


def test_counts_must_agree() -> None:
    message = answer()
    message.outputs[1].shape[0] = 1
    message.raw_output_contents[1] = FOUND.scores[:1].tobytes()
    with pytest.raises(InvalidAnswerError, match="2 boxes, 1 scores"):
        read_detections(message, SIZE, 0.0)


def test_fuzzed_answers_are_sound_or_rejected() -> None:
    rng = random.Random(3)
    good = answer().SerializeToString()
    rejected = 0
    for _ in range(2000):
        data = bytearray(good)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            message = pb.ModelInferResponse.FromString(bytes(data))
        except Exception:  # protobuf's DecodeError: gRPC reports it before the task sees it
            continue
        try:
            detections = read_detections(message, SIZE, 0.0)
        except InvalidAnswerError:
            rejected += 1
            continue
        assert np.isfinite(detections.boxes).all()
        assert np.all(detections.boxes[:, 2:] > detections.boxes[:, :2])
        assert np.all((detections.scores >= 0.0) & (detections.scores <= 1.0))
        assert len(detections.labels) == len(detections) == len(detections.boxes)
    assert rejected > 100


def test_bytes_tensors_are_packed_as_the_protocol_says() -> None:
    assert protocol.pack_bytes([b"ab", b""]) == b"\x02\0\0\0ab\0\0\0\0"
    assert protocol.unpack_bytes(b"\x02\0\0\0ab\0\0\0\0") == [b"ab", b""]
    for broken in (b"\x02\0\0", b"\x02\0\0\0a"):
        with pytest.raises(ValueError):
            protocol.unpack_bytes(broken)
