"""Answers with FastAPI: ``uvicorn fastapi_app:app``."""

from __future__ import annotations

from ages import ages
from fastapi import FastAPI
from pydantic import BaseModel


class Item(BaseModel):
    """A profile, with an id or without."""

    profile: dict
    pid: int | None = None


app = FastAPI()


@app.post("/predict")
async def predict(items: list[Item]) -> dict:
    found = ages([item.profile for item in items])
    return {"answers": [{"pid": item.pid, "predicted_age": age} for item, age in zip(items, found, strict=True)]}
