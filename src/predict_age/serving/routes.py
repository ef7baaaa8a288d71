"""Routes: what each request needs, and who may send it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from predict_age.serving.messages import Answered, Request
from predict_age.serving.served_model import ServedModel


@dataclass(frozen=True)
class RoutedCall:
    """A request and what it is answered from: one served model from beginning to end. ``rest`` is what follows the route's path."""

    request: Request
    model: ServedModel | None
    rest: str

    @property
    def served(self) -> ServedModel:
        """The model; a route that needs one is not reached without."""
        assert self.model is not None
        return self.model


@dataclass(frozen=True)
class Route:
    """``method`` and ``path`` of a route, its ``scope`` (empty: open to all), the content types of its body, and its handler.

    A path that ends in ``/`` takes one more part, but for ``/`` itself. Routes that need no ``model`` answer without one.
    """

    method: str
    path: str
    scope: str
    handler: Callable[[RoutedCall], Answered]
    bodies: tuple[str, ...] = ()
    model: bool = True

    @property
    def takes_part(self) -> bool:
        """Whether the path is followed by a part that the handler reads."""
        return self.path.endswith("/") and self.path != "/"
