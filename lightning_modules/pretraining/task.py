"""What a task of stage 0 is: a network that ships, and what trains it."""

from __future__ import annotations

from lightning import LightningModule
from torch import nn
from torch.optim import AdamW, Optimizer


class Task(LightningModule):
    """A network with its optimizer; each task adds the loss of a batch as `training_step`.

    Args:
        model: What ships: the last weights of it are averaged. All else that a task trains is thrown away.
        learning_rate: Peak of AdamW's.
    """

    weight_decay = 1e-2

    def __init__(self, model: nn.Module, learning_rate: float) -> None:
        super().__init__()
        self.model = model
        self.learning_rate = learning_rate

    def configure_optimizers(self) -> Optimizer:
        """Return the optimizer of the network, but for what is frozen of it, and of whatever it is trained with."""
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return AdamW(trained, lr=self.learning_rate, weight_decay=self.weight_decay)
