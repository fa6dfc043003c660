"""A hosted model at work: nothing of it runs here but its announcements."""

from fastchat.client.endpoints import HOSTED
from fastchat.client.registration import Registration
from fastchat.launcher.config import HostedModel, RegisteredModel
from fastchat.launcher.plan import PlannedModel
from fastchat.protocol.control import Announcement, ServedModel


class ServedElsewhere:
    """It is taken at its word: callers notice when it does not answer, and go elsewhere."""

    is_hopeless = False

    def __init__(self, planned: PlannedModel, registration: Registration) -> None:
        self.planned = planned
        self.is_leaving = False
        self._registration = registration

    @property
    def is_announced(self) -> bool:
        return self._registration.is_known

    async def run(self) -> None:
        await self._registration.run()

    def stop(self) -> None:
        self.is_leaving = True
        self._registration.leave()

    def hurry(self) -> None:
        self.stop()


def announcement_of(model: HostedModel | RegisteredModel) -> Announcement:
    if isinstance(model, RegisteredModel):
        return model.entry.announcement(model.name)
    served = tuple(
        ServedModel(
            name=name,
            upstream_name=model.model if name != model.model else None,
            context_length=model.context_length,
            engine=HOSTED,
        )
        for name in model.served_names
    )
    key = model.api_key.get_secret_value() if model.api_key else None
    return Announcement(url=model.base_url, models=served, capacity=model.slots, api_key=key)
