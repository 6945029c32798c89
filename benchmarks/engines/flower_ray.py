"""Flower's simulation over Ray: `python -m benchmarks.engines.flower_ray WORK OUT`.

Net and data stay in Ray's processes from message to message, which spares Flower the time of making them.
"""

from __future__ import annotations

import json
import time
from itertools import pairwise

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

from benchmarks.engines.work import Done, Work, make_net, norm, read_arguments, take_steps


def train(message: Message, context: Context) -> Message:
    """Train the client whose node is asked."""
    work = Work(**json.loads(message.content["config"]["work"]))
    net = make_net(work.width)
    net.load_state_dict(message.content["arrays"].to_torch_state_dict())
    take_steps(net, work.batches(work.names[context.node_config["partition-id"]]))
    answer = {"arrays": ArrayRecord(net.state_dict()), "metrics": MetricRecord({"num-examples": 1})}
    return Message(RecordDict(answer), reply_to=message)


def serve(work: Work, grid: Grid) -> Done:
    """Run the rounds; Flower calls `take_time` before the first one and after each."""
    ended: list[float] = []

    def take_time(number: int, arrays: ArrayRecord) -> None:
        ended.append(time.perf_counter())

    strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=work.clients, min_available_nodes=work.clients)
    result = strategy.start(
        grid,
        ArrayRecord(make_net(work.width).state_dict()),
        num_rounds=work.rounds,
        train_config=ConfigRecord({"work": work.to_json()}),
        evaluate_fn=take_time,
    )
    seconds = [later - sooner for sooner, later in pairwise(ended)]
    return Done(seconds, norm(list(result.arrays.to_torch_state_dict().values())))


def run() -> None:
    """Run the rounds and write what they took."""
    work, out = read_arguments()
    server, client = ServerApp(), ClientApp()
    client.train()(train)
    server.main()(lambda grid, context: serve(work, grid).save(out))
    run_simulation(
        server,
        client,
        num_supernodes=work.clients,
        backend_config={
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
            "init_args": {"num_cpus": work.processes, "log_to_driver": False},
        },
    )


if __name__ == "__main__":
    run()
