"""All the code that Flower ships: two relays between its messages and a Unix socket."""
