"""Settings of the federation; the string under each field is its `--help`."""

from dataclasses import dataclass
from typing import Literal


def _demand(met: bool, option: str, what: str, got: float) -> None:
    if not met:
        raise ValueError(f"`{option}` must be {what}. Got {got}.")


@dataclass
class FederationArgs:
    """How clients train and who takes part."""

    rounds: int = 6
    """Number of rounds."""
    local_steps: int = 8
    """Optimizer steps of each client in each round."""
    sampling: Literal["hidden", "visible", "all"] = "hidden"
    """hidden: everyone masks and adds noise, a secret coin decides whose data is in; visible: coins decide who sends;
    all: everyone contributes."""
    sample_rate: float = 0.5
    """Probability q that a client's data takes part in a round (ignored by `all`)."""
    aggregation: Literal["fedavg", "fedprox", "isfa"] = "isfa"
    """How updates are weighed: by data, by data with a proximal local step, or by data, identity and stability."""
    trainable: Literal["adapter", "backbone"] = "adapter"
    """What the federation trains: the shared LoRA adapter, or the whole denoiser."""
    shared_gradient_clip: float = 1.0
    """Largest L2 norm of the shared part's gradient in one step."""
    personal_gradient_clip: float = 1.0
    """Largest L2 norm of the identity adapter's gradient in one step."""

    def __post_init__(self) -> None:
        _demand(self.rounds >= 1, "--federation.rounds", "at least 1", self.rounds)
        _demand(self.local_steps >= 1, "--federation.local_steps", "at least 1", self.local_steps)
        _demand(0 < self.sample_rate <= 1, "--federation.sample_rate", "in (0, 1]", self.sample_rate)
        _demand(
            self.shared_gradient_clip > 0, "--federation.shared_gradient_clip", "above 0", self.shared_gradient_clip
        )
        _demand(
            self.personal_gradient_clip > 0,
            "--federation.personal_gradient_clip",
            "above 0",
            self.personal_gradient_clip,
        )


@dataclass
class AggregationArgs:
    """Weights of the updates and the server's step."""

    gamma: float = 0.5
    """ISFA: how strongly a low score lowers a client's weight; 0 is FedAvg."""
    alpha: float = 0.7
    """ISFA: share of identity consistency in the score, the rest is temporal stability."""
    max_examples: int = 500
    """n_max: training frames beyond which a client weighs no more."""
    beta: float = 0.2
    """Scale of the weight coordinate in the joint vector."""
    proximal_mu: float = 0.01
    """FedProx: pull towards the round's global adapter."""
    server_learning_rate: float = 1.0
    """Step of the server along the weighted mean update."""
    server_momentum: float = 0.0
    """Momentum of the server step, in [0, 1)."""
    weight_ema: float = 0.0
    """Smoothing of the summed weight over rounds, in [0, 1); 0 is the plain weighted mean."""

    def __post_init__(self) -> None:
        _demand(0 <= self.gamma < float("inf"), "--aggregation.gamma", "at least 0", self.gamma)
        _demand(0 <= self.alpha <= 1, "--aggregation.alpha", "in [0, 1]", self.alpha)
        _demand(self.max_examples >= 1, "--aggregation.max_examples", "at least 1", self.max_examples)
        _demand(self.beta > 0, "--aggregation.beta", "above 0", self.beta)
        _demand(self.proximal_mu >= 0, "--aggregation.proximal_mu", "at least 0", self.proximal_mu)
        _demand(
            self.server_learning_rate > 0, "--aggregation.server_learning_rate", "above 0", self.server_learning_rate
        )
        _demand(0 <= self.server_momentum < 1, "--aggregation.server_momentum", "in [0, 1)", self.server_momentum)
        _demand(0 <= self.weight_ema < 1, "--aggregation.weight_ema", "in [0, 1)", self.weight_ema)


@dataclass
class PrivacyArgs:
    """What leaves a client, and the budget."""

    enabled: bool = True
    """Clip, noise and mask what leaves a client. False is loud and claims nothing."""
    clip_norm: float = 1.0
    """S: L2 bound on one client's weighted update and weight, jointly."""
    noise_multiplier: float = 1.0
    """z: standard deviation of the noise in the sum, in units of the clip norm."""
    target_epsilon: float | None = None
    """Solve for the noise multiplier that spends this epsilon over all rounds; replaces `noise_multiplier`."""
    delta: float = 1e-5
    """Failure probability of the guarantee; below one over the number of clients."""
    max_epsilon: float | None = None
    """Stop the run before a round would exceed this epsilon."""
    key_source: Literal["os", "seeded"] = "os"
    """Where keys, masks, coins and noise come from; `seeded` reproduces runs and protects nobody."""
    allow_tiny_cohort: bool = False
    """Permit fewer than 8 clients; such a run claims no epsilon against the server."""
