"""Answers with MLServer: a runtime of its own, since the one for XGBoost takes numbers and no profiles."""

from __future__ import annotations

from ages import ages
from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class Ages(MLModel):
    """Profiles as objects: the protocol's texts would be read as JSON twice."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        found = ages(list(payload.inputs[0].data))
        output = ResponseOutput(name="predicted_age", shape=[len(found)], datatype="FP64", data=found)
        return InferenceResponse(model_name=self.name, outputs=[output])
