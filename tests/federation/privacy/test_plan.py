"""The planner as a command: what it prints, and what it refuses in one line."""

from __future__ import annotations

import pytest

from commandline import run_command
from federation.privacy.plan import SHIPPED, plan
from lightning_modules.talking_head import TalkingHead

CHEAP = ["--clients", "100", "--rate", "1", "--sampling", "all", "--rounds", "10", "--epsilon", "8"]
"""Without sampling epsilon is solved for in a fraction of a second."""


def test_a_plan_names_everything_that_is_asked_of_a_client(capsys):
    assert run_command(plan, argv=CHEAP) == 0
    printed = capsys.readouterr().out
    for name in (
        "noise multiplier z ",
        "epsilon, coins secret ",
        "epsilon, coins known ",
        "delta_total ",
        "c_max, honest n_min  10 and 80 of 100",
        "active; 99 neighbours, 56 shares open a secret",
        "P(no contributor) ",
        "noise-to-signal ",
        "break-even size ",
        "ranks that fit ",
        "150,242 bytes a client and round",
        "estimated from a probe on this machine",
    ):
        assert name in printed, name


def test_too_few_clients_are_told_so_and_what_would_help(capsys):
    assert run_command(plan, argv=["--clients", "8", *CHEAP[2:]]) == 0
    printed = capsys.readouterr().out
    assert "Too few clients for this adapter" in printed
    assert "a smaller adapter: " in printed
    assert "more clients: about " in printed
    assert "a larger epsilon: " in printed


def test_enough_clients_are_not_told_so(capsys):
    assert run_command(plan, argv=[*CHEAP, "--dimension", "500"]) == 0
    assert "Too few" not in capsys.readouterr().out


def test_visible_sampling_has_one_epsilon_only(capsys):
    assert run_command(plan, argv=[*CHEAP, "--sampling", "visible"]) == 0
    printed = capsys.readouterr().out
    assert "epsilon, coins known" in printed
    assert "coins secret" not in printed


@pytest.mark.slow
def test_the_documented_command(capsys):
    assert run_command(plan, argv=["--clients", "1000", "--rate", "0.05", "--rounds", "500", "--epsilon", "8"]) == 0
    printed = capsys.readouterr().out
    assert "8 of about 125, a session each" in printed
    assert "noise multiplier z             0.97" in printed
    assert "epsilon, coins secret          8.00" in printed


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--clients", "0"], "--clients"),
        (["--clients", "many"], "clients"),
        (["--rate", "2", "--sampling", "hidden"], "--rate"),
        (["--rounds", "0"], "--rounds"),
        (["--epsilon", "-1"], "--epsilon"),
        (["--epsilon", "nan"], "epsilon"),
        (["--delta", "0.5"], "--delta"),
        (["--sampling", "open"], "sampling"),
        (["--dimension", "0"], "An adapter has"),
        (["--rank", "0"], "An adapter has"),
        (["--targets", "[]"], "An adapter has"),
        (["--dropout_share", "1.5"], "dropout_share"),
        (["--colluding_share", "0.95"], "colluding"),
        (["--nonsense", "1"], "nonsense"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(flags, complaint, capsys):
    assert run_command(plan, argv=[*CHEAP, *flags]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert complaint in error


def test_a_missing_flag_is_named(capsys):
    assert run_command(plan, argv=CHEAP[2:]) == 2
    assert "clients" in capsys.readouterr().err


@pytest.mark.slow
def test_the_default_size_is_that_of_the_adapter_that_ships():
    head = TalkingHead()
    on_mover = {id(parameter) for parameter in head.backbone.mover.parameters()}
    sizes = {parameter: parameter.numel() for parameter in head.shared_parameters()}
    assert sum(sizes.values()) + 1 == SHIPPED.dimension
    assert sum(size for parameter, size in sizes.items() if id(parameter) in on_mover) == SHIPPED.mover
