"""The options of `jarvis import --format ccxt`: what ccxt's structures do not say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import typer

from jarvis.cli.lines import opened
from jarvis.importing.ccxt import markets_of
from jarvis_client.ccxt import Told
from jarvis_client.ccxt.structures import Structure

_PANEL = "ccxt's structures"
Exchange = Annotated[str | None, typer.Option("--exchange", metavar="ID", help="Whose they are, by ccxt's id: binance, kraken, okx ….", rich_help_panel=_PANEL)]
Markets = Annotated[str | None, typer.Option("--markets", metavar="FILE", help="exchange.markets as JSON: contracts need their sizes.", rich_help_panel=_PANEL)]
FeeIncluded = Annotated[
    bool | None,
    typer.Option(
        "--fee-included/--fee-apart", help="Whether a deposit's or withdrawal's fee is part of its amount.", show_default=False, rich_help_panel=_PANEL
    ),
]
Funding = Annotated[
    Literal["received", "paid"] | None, typer.Option("--positive-funding", help="What a positive amount of funding means.", rich_help_panel=_PANEL)
]


def told_of(account: str | None, exchange: str | None, fee_included: bool | None, funding: Literal["received", "paid"] | None) -> Told:
    """What the options say. Raises `BadParameter`."""
    if account is None:
        raise typer.BadParameter("ccxt's structures name no account; say --account NAME", param_hint="--account")
    if exchange is None:
        raise typer.BadParameter("ccxt's structures do not say whose they are, and ids are unique by exchange; say --exchange binance", param_hint="--exchange")
    return Told(account, exchange, fee_included, funding)


def markets_in(source: str | None) -> Mapping[str, Structure]:
    """The markets of a file by their symbols; none without a file. Raises `BadParameter` where there is no such file, `Invalid` for another one."""
    if source is None:
        return {}
    with opened(source) as (file, _):
        return markets_of(file)
