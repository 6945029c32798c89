"""How clients train together."""
