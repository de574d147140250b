"""The REST surface: `create_app` makes the Flask application. Read `application.py`, then `operations.py`.

A new noun is a module with a `blueprint` (see `chargers.py`) and one line in `application.BLUEPRINTS`.
"""

from app.api.application import create_app

__all__ = ["create_app"]
