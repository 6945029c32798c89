"""Settings of the federation; the string under each field is its `--help`."""

from dataclasses import dataclass
from typing import Literal

from federation.privacy.cohort_counts import CohortCounts, provision
from federation.secure_aggregation.thresholds import Adversary

Sampling = Literal["hidden", "visible", "all"]
"""Who knows whose data is in a round, see `FederationArgs.sampling`."""

MOST_EPOCH_ROUNDS = 64
"""An epoch's first two messages are up to this many times as long, and devices hold as many secrets."""


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
    sampling: Sampling = "hidden"
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
        for name in ("shared_gradient_clip", "personal_gradient_clip"):
            _demand(getattr(self, name) > 0, f"--federation.{name}", "above 0", getattr(self, name))

    @property
    def weighs_by_signals(self) -> bool:
        """Whether identity consistency and stability are measured, and weigh: only by ISFA."""
        return self.aggregation == "isfa"

    @property
    def is_proximal(self) -> bool:
        """Whether local steps are held to the round's global adapter: only by FedProx."""
        return self.aggregation == "fedprox"

    @property
    def effective_sample_rate(self) -> float:
        """Return the probability that a client's data is in a round: q, or 1 where everybody contributes."""
        return 1.0 if self.sampling == "all" else self.sample_rate


@dataclass
class AggregationArgs:
    """Weights of the updates and the server's step."""

    gamma: float = 0.5
    """ISFA alone: how strongly a low score lowers a client's weight; 0 is FedAvg."""
    alpha: float = 0.7
    """ISFA alone: share of identity consistency in the score, the rest is temporal stability."""
    max_examples: int = 500
    """n_max: training frames beyond which a client weighs no more."""
    beta: float = 0.2
    """Scale of the weight coordinate in the joint vector."""
    proximal_mu: float = 0.01
    """FedProx alone: pull towards the round's global adapter."""
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
    """Clip, noise and mask what leaves a client. False is loud and claims nothing: `--clipping`, `--security` and
    ledgers are ignored then."""
    clip_norm: float = 1.0
    """S: L2 bound on one client's weighted update and weight, jointly."""
    noise_multiplier: float = 1.0
    """z: standard deviation of the noise in the sum, in units of the clip norm; not read beside `target_epsilon`."""
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

    def __post_init__(self) -> None:
        for name in ("target_epsilon", "max_epsilon"):
            epsilon = getattr(self, name)
            _demand(epsilon is None or epsilon > 0, f"--privacy.{name}", "above 0", epsilon)


@dataclass
class SecurityArgs:
    """Against whom the masks hold, and how many clients may betray or fail."""

    adversary: Adversary = "active"
    """active: the server may lie, and every two clients share a mask; honest_but_curious: it follows the protocol, and
    large cohorts may do with fewer masks."""
    colluding_share: float = 0.1
    """Share of the clients, at least one of them, that may tell the server all they know."""
    dropout_share: float = 0.1
    """Share of the clients that may fall silent in a round. The noise is made for both shares; a round that fewer
    clients survive is refused."""
    epoch_rounds: int = 1
    """With `--transport flower`: rounds whose keys devices agree on at once, so that all but the first take three
    messages, not five. A device that restarts or misses the first sits out the rest."""

    def __post_init__(self) -> None:
        _demand(0 <= self.colluding_share < 1, "--security.colluding_share", "in [0, 1)", self.colluding_share)
        _demand(0 <= self.dropout_share < 1, "--security.dropout_share", "in [0, 1)", self.dropout_share)
        rounds = self.epoch_rounds
        _demand(1 <= rounds <= MOST_EPOCH_ROUNDS, "--security.epoch_rounds", f"1 to {MOST_EPOCH_ROUNDS}", rounds)

    def provision(self, clients: int) -> CohortCounts:
        """Return whose noise is counted on among so many clients."""
        return provision(clients, self.colluding_share, self.dropout_share)


@dataclass
class OwnerArgs:
    """What the devices' owners decide. A device has its own; a simulation plays all devices with the same."""

    ledgers: str | None = None
    """Folder of what each client has given away, by its own count; one folder for many runs adds them up. `devices` in
    the run's folder if not given."""
    limits: str | None = None
    """JSON file of what an owner allows, e.g. {"epsilon": 8}; a device refuses the rest. If not given, whatever a
    simulation asks for is allowed, and only counted."""


@dataclass
class ClippingArgs:
    """How the clip norm S follows the clients' vectors; `--privacy.clip_norm` is the first round's."""

    adaptive: bool = False
    """Move S towards a quantile of the vectors' lengths, by one secret bit in each vector; False keeps S."""
    quantile: float = 0.5
    """kappa: share of the vectors that shall be no longer than S."""
    learning_rate: float = 0.2
    """eta: S changes by exp(-eta (share no longer than S - kappa)) a round, as far as noise lets that share be seen."""
    bit_scale: float = 0.2
    """zeta, in units of S: a larger bit is seen better through the noise, and raises all noise a little."""
    smallest: float = 1e-3
    """S_min."""
    largest: float = 10.0
    """S_max."""

    def __post_init__(self) -> None:
        _demand(0 <= self.quantile <= 1, "--clipping.quantile", "in [0, 1]", self.quantile)
        _demand(0 < self.learning_rate <= 1, "--clipping.learning_rate", "in (0, 1]", self.learning_rate)
        _demand(0 < self.bit_scale <= 1, "--clipping.bit_scale", "in (0, 1]", self.bit_scale)
        _demand(0 < self.smallest < float("inf"), "--clipping.smallest", "a positive number", self.smallest)
        _demand(self.smallest <= self.largest < float("inf"), "--clipping.largest", "at least `smallest`", self.largest)


@dataclass(frozen=True)
class DeploymentArgs:
    """Where people's own devices are found, and how long they are waited for."""

    session: str | None = None
    """The session that the roster's offline key has signed."""
    connection: str = "federation"
    """Name of the SuperLink in `flower_home`/config.toml."""
    flower_home: str = "deployment/flower"
    """Flower's own settings."""
    socket: str = "deployment/server/relay"
    """Unix socket for the relay that Flower runs; its folder is this user's alone."""
    answer_seconds: float = 120.0
    """How long a device may take for an answer without training."""
    training_seconds: float = 600.0
    """How long devices train; all of them send at the end of it, whatever became of their training."""
