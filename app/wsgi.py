"""The WSGI application for servers of one's own choice: `gunicorn app.wsgi`. `gateway api` needs no such thing."""

from app.api import create_app
from app.settings import load_settings

application = create_app(load_settings())
