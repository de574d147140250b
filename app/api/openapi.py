"""The OpenAPI document (3.1): flask-smorest's spec with our title, security and errors.

`render` gives the document of an application; `/openapi.json` and `gateway openapi` show it.
"""

from __future__ import annotations

from threading import Lock
from typing import Any, Final

import flask_smorest
from flask import Flask
from werkzeug.exceptions import HTTPException

from app.api.errors import answer_http_error
from app.api.operations import Blueprint
from app.api.schemas.errors import Problem

VERSION: Final = "1.0.0"
_TITLE: Final = "Charger Gateway"
_DESCRIPTION: Final = """\
Provisions simulated EV chargers on demand: order one, poll its status until READY, watch its OCPP frames.

Every call but the public pages carries `Authorization: Bearer <token>` (`gateway token --organization acme`).
An answer's `X-Request-Id` names the request in the gateway's log. A POST with an `Idempotency-Key` can be
repeated safely.
"""


class Api(flask_smorest.Api):  # type: ignore[misc]  # it ships no types
    """flask-smorest's registry, with our errors and our pages instead of its own."""

    ERROR_SCHEMA = Problem
    #: Each operation says itself which errors it has.
    DEFAULT_ERROR_RESPONSE_NAME = None

    def __init__(self, app: Flask) -> None:
        self._undocumented: list[Blueprint] = []
        self._guard = Lock()
        app.config.update(
            API_TITLE=_TITLE,
            API_VERSION=VERSION,
            OPENAPI_VERSION="3.1.0",
        )
        super().__init__(
            app,
            spec_kwargs={
                "info": {"description": _DESCRIPTION},
                "servers": [{"url": app.extensions["desk"].settings.base_url}],
                "security": [{"bearer": []}],
            },
        )
        self.spec.components.security_scheme(
            "bearer",
            {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "Made by `gateway token`.",
            },
        )

    def register_blueprint(self, blueprint: Blueprint) -> None:
        """Add routes now and leave their docs for later: writing them takes longer than everything else."""
        self._undocumented.append(blueprint)
        self._app.register_blueprint(blueprint)

    def write_docs(self) -> dict[str, Any]:
        """The document, with all that was registered."""
        with self._guard:
            for blueprint in self._undocumented:
                blueprint.register_views_in_doc(
                    self, self._app, self.spec, name=blueprint.name, parameters=None
                )
                self.spec.tag({"name": blueprint.name, "description": blueprint.description})
            self._undocumented.clear()
            document: dict[str, Any] = self.spec.to_dict()
            return document

    def handle_http_exception(self, error: HTTPException) -> Any:
        """Our shape of an error; the library's drops the text."""
        return answer_http_error(error)


def render(app: Flask) -> dict[str, Any]:
    """The whole document."""
    api: Api = app.extensions["flask-smorest"]["apis"][""]["ext_obj"]
    return api.write_docs()
