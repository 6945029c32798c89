"""How clients train together; importing it makes the strategy `client_parallel` known to Lightning."""

from federation.strategy import register_strategies

register_strategies()
