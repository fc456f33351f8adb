"""The Dataverse Web API of a small organisation with Dynamics 365 Sales: what it refuses there, it refuses here."""

from hunter_orchestration.sandbox.dataverse.app import DataverseApp
from hunter_orchestration.sandbox.dataverse.control import control_router

__all__ = ["DataverseApp", "control_router"]
