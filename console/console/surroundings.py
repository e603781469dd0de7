"""What none of the services says of itself: the disk, and the processes or containers that the services are."""

from console import processes
from console.events import Event
from console.settings import Settings
from console.state import Health
from runtime import disk


class Surroundings:
    """As they were at the last look: the health of services that cannot be asked, restarts, and the disk's space."""

    def __init__(self, settings: Settings) -> None:
        self.health: dict[str, Health] = {}
        self.restarts: list[Event] = []
        self.disk: disk.Space | None = None
        self._settings = settings

    async def look(self) -> None:
        """Look again."""
        self.disk = disk.space(self._settings.data_folder)
        launched = processes.read(self._settings.launcher_state)
        self.restarts = processes.restarts(launched)
        containers = self._settings.containers.split(",")
        self.health = processes.health(launched) or await processes.containers(containers)
