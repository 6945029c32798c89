"""Training on a device, by the same code as in a simulation: the global adapter in, an update out."""

from __future__ import annotations

from dataclasses import dataclass

from federation.client_training import ClientTrainer
from federation.deployment.orders import Begin
from federation.deployment.personal_states import PersonalStates
from federation.deployment.trainer import encode_update
from federation.update import RoundState
from federation.vectors import vector_length


@dataclass
class LocalTraining:
    """Trains one client, in the process that holds the model, its caches and the client's personal adapter."""

    client: str
    trainer: ClientTrainer
    states: PersonalStates

    @property
    def size(self) -> int:
        """Return the length d of the shared adapter."""
        return vector_length(self.trainer.module.shared_parameters())

    def run(self, order: bytes) -> bytes:
        """Train for an attempt and return the update for the device's front; the personal adapter is kept here.

        It ends before the attempt's deadline, with the steps that there was time for.
        """
        begin = Begin.decode(order, self.size)
        state = RoundState(
            index=begin.round,
            clients=(self.client,),
            global_adapter=begin.broadcast.adapter,
            clip_norm=begin.broadcast.clip_norm,
            exchange=dict,
            attempt=begin.attempt,
        )
        trained = self.trainer.train(state, self.client, self.states.before(begin.round), begin.training)
        self.states.keep(begin.round, trained.personal)
        return encode_update(begin, trained.update)
