"""Which driver serves which provider: the only module that names concrete drivers.

A driver is made at its first use, so that a worker without Docker or AWS never imports their clients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy.orm import Session, sessionmaker

from app.settings import Settings
from workers.runtimes.base import Driver, RuntimeRejected
from workers.runtimes.measured import measure

Maker = Callable[[Settings, "sessionmaker[Session]"], Driver]

#: `GATEWAY_RUNTIME` → the provider stored with each runtime.
PROVIDERS: Final = {"local": "local", "docker": "docker", "ecs": "aws"}


def _make_local(settings: Settings, sessions: sessionmaker[Session]) -> Driver:
    from workers.runtimes.local import LocalDriver

    return LocalDriver(sessions, away_s=settings.engine.link_away_s)


def _make_docker(settings: Settings, _: sessionmaker[Session]) -> Driver:
    try:
        from workers.runtimes.docker import DockerDriver, make_client
    except ImportError as error:
        raise RuntimeRejected(
            "The Docker driver needs its client: install the extra `docker` (`make up` does).",
            code="docker_client_missing",
            retryable=True,
        ) from error
    from workers.runtimes.docker_settings import DockerSettings

    own = DockerSettings.read(settings.docker, install_id=settings.install_id)
    return DockerDriver(own, make_client(own))


def _make_ecs(settings: Settings, sessions: sessionmaker[Session]) -> Driver:
    from workers.runtimes.ecs import EcsDriver
    from workers.runtimes.ecs_clients import make_client
    from workers.runtimes.ecs_memory import EcsMemory
    from workers.runtimes.ecs_settings import EcsSettings

    # The keeper's watch and each child have clients and buckets of their own.
    processes = settings.worker_concurrency + 1
    own = EcsSettings.read(settings.ecs, install_id=settings.install_id, processes=processes)
    memory = EcsMemory(sessions)
    return EcsDriver(
        own,
        make_client(own, "ecs"),
        templates=memory,
        lock=memory.lock,
        asked=memory.asked,
        logs=make_client(own, "logs"),
    )


MAKERS: Final[dict[str, Maker]] = {
    "local": _make_local,
    "docker": _make_docker,
    "aws": _make_ecs,
}


class Drivers:
    """The drivers of one process, made as they are needed."""

    def __init__(self, settings: Settings, sessions: sessionmaker[Session]) -> None:
        self._settings = settings
        self._sessions = sessions
        self._made: dict[str, Driver] = {}

    @property
    def default_provider(self) -> str:
        """Where new runtimes live."""
        return PROVIDERS[self._settings.runtime]

    def get(self, provider: str) -> Driver:
        """The driver of a provider.

        Raises `RuntimeRejected` when this release has none: a charger of an unknown provider is never lost.
        """
        if provider not in self._made:
            maker = MAKERS.get(provider)
            if maker is None:
                raise RuntimeRejected(f"This installation has no driver for {provider}.")
            self._made[provider] = measure(maker(self._settings, self._sessions))
        return self._made[provider]

    def list_configured(self) -> Sequence[str]:
        """Providers that this installation uses today: the default one, and those in use so far."""
        return sorted({self.default_provider, *self._made})
