"""How clients train together; `federation.rounds` also makes the strategy `client_parallel` known to Lightning."""
