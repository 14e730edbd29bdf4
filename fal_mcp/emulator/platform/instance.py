"""One compute instance, on its way from being asked for to being ready. Fact F9."""

from dataclasses import dataclass

from fal_mcp.json_values import JsonObject


@dataclass(slots=True)
class Instance:
    """It answers `provisioning` when made, then `pending`, and with the `ready_after`th read it is ready."""

    instance_id: str
    instance_type: str
    sector: str | None
    ssh_key: str
    ready_after: int
    reads: int = 0

    @property
    def status(self) -> str:
        if self.reads >= self.ready_after:
            return "ready"
        return "pending" if self.reads else "provisioning"

    def shown(self) -> JsonObject:
        """As fal shows it: the address only once there is one, the sector where one was asked for."""
        return {
            "id": self.instance_id,
            "instance_type": self.instance_type,
            "region": "us-west",
            "status": self.status,
            "creator_user_nickname": "emulator",
            **({"sector": self.sector} if self.sector else {}),
            **({"ip": "192.0.2.10"} if self.status == "ready" else {}),
        }
