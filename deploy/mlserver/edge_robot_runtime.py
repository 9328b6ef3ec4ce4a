"""An MLServer runtime for this package's detectors: the very model and scheduler of the backend.

MLServer hands on the parameters of a request and of an answer, so `timeout`, `robot` and
`priority` hold here too, and the answer names its model file. See docs/deployment.md.
"""

from __future__ import annotations

import math
import time

from mlserver import MLModel
from mlserver.errors import InferenceError
from mlserver.types import (
    Datatype,
    InferenceRequest,
    InferenceResponse,
    MetadataTensor,
    Parameters,
    RequestInput,
    ResponseOutput,
)
from numpy.typing import NDArray

from edge_robot.fleet import protocol
from edge_robot.fleet.backend.detector_model import DetectorModel
from edge_robot.fleet.backend.models import InvalidRequestError, TensorSpec
from edge_robot.fleet.backend.scheduler import Scheduler
from edge_robot.fleet.tensors import TensorError, datatype_of, from_list
from edge_robot.perception.detector import Detector


class EdgeRobotModel(MLModel):
    """A detector; `parameters.uri` is an .onnx file, or the name of one in models/."""

    async def load(self) -> bool:
        """See `MLModel`."""
        detector = Detector(self.settings.parameters.uri)
        detector.warm_up()
        version = self.settings.parameters.version or "1"
        model = DetectorModel(self.settings.name, version, [detector])
        self.inputs = [_metadata(spec) for spec in model.inputs]
        self.outputs = [_metadata(spec) for spec in model.outputs]
        self._scheduler = Scheduler([model], workers=1)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """See `MLModel`."""
        arrived = time.monotonic()
        parameters = payload.parameters.model_dump() if payload.parameters else {}
        timeout = parameters.get(protocol.TIMEOUT) or math.inf
        try:
            result = await self._scheduler.submit(
                self.settings.name,
                "",
                {given.name: _array(given) for given in payload.inputs},
                expires=arrived + timeout * 1e-6,
                robot=parameters.get(protocol.ROBOT) or "",
                priority=parameters.get(protocol.PRIORITY) or 0,
            )
        except (InvalidRequestError, TensorError) as error:
            raise InferenceError(str(error)) from error
        told = {
            protocol.MODEL_SHA256: result.model.sha256,
            protocol.QUEUE_TIME: round(result.queue_s * 1e6),
            protocol.SERVICE_TIME: round((time.monotonic() - arrived) * 1e6),
        }
        wanted = [output.name for output in payload.outputs or ()] or list(result.outputs)
        return InferenceResponse(
            id=payload.id,
            model_name=self.settings.name,
            model_version=result.model.version,
            parameters=Parameters(**told),
            outputs=[_output(name, result.outputs[name]) for name in wanted],
        )


def _metadata(spec: TensorSpec) -> MetadataTensor:
    return MetadataTensor(name=spec.name, datatype=spec.datatype, shape=list(spec.shape))


def _array(given: RequestInput) -> NDArray:
    # Not MLServer's NumPy codec: it takes items of BYTES for as long as the shape says.
    items = [item.encode() if isinstance(item, str) else item for item in given.data]
    return from_list(f"input {given.name!r}", Datatype(given.datatype).value, given.shape, items)


def _output(name: str, array: NDArray) -> ResponseOutput:
    return ResponseOutput(
        name=name,
        datatype=datatype_of(array),
        shape=list(array.shape),
        data=array.ravel().tolist(),
    )
