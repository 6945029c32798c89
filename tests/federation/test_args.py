from __future__ import annotations

import pytest

from federation.args import AggregationArgs, ClippingArgs, FederationArgs, SecurityArgs


@pytest.mark.parametrize(
    ("args", "name", "value"),
    [
        (FederationArgs, "rounds", 0),
        (FederationArgs, "local_steps", 0),
        (FederationArgs, "sample_rate", 0.0),
        (FederationArgs, "sample_rate", 1.5),
        (FederationArgs, "shared_gradient_clip", 0.0),
        (AggregationArgs, "gamma", -0.1),
        (AggregationArgs, "gamma", float("nan")),
        (AggregationArgs, "alpha", 1.1),
        (AggregationArgs, "max_examples", 0),
        (AggregationArgs, "beta", 0.0),
        (AggregationArgs, "proximal_mu", -1.0),
        (AggregationArgs, "server_momentum", 1.0),
        (AggregationArgs, "weight_ema", 1.0),
        (SecurityArgs, "colluding_share", 1.0),
        (SecurityArgs, "dropout_share", -0.1),
        (SecurityArgs, "dropout_share", float("nan")),
        (SecurityArgs, "epoch_rounds", 0),
        (SecurityArgs, "epoch_rounds", 65),
        (ClippingArgs, "quantile", 1.1),
        (ClippingArgs, "learning_rate", 0.0),
        (ClippingArgs, "bit_scale", float("nan")),
        (ClippingArgs, "smallest", 0.0),
        (ClippingArgs, "largest", 1e-9),
        (ClippingArgs, "largest", float("inf")),
    ],
)
def test_values_out_of_range_are_named(args, name, value):
    with pytest.raises(ValueError, match=rf"`--\w+\.{name}` must be .* Got {value}\."):
        args(**{name: value})


def test_defaults_are_in_range():
    assert FederationArgs().rounds >= 1
    assert AggregationArgs().beta > 0
