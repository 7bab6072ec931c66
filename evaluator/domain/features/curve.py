"""Equity of a wallet over a window and the risk measures on it.

Equity E_d = max(peak capital, 100) + PnL_d − PnL_start at as_of − k·24 h, k = W … 0, where PnL
is all-time realised plus marked.
"""

import numpy as np
from numpy.typing import NDArray

MIN_CAPITAL_USDC = 100.0
STDEV_DAYS = 5
SHARPE_DAYS = 20
DAYS_A_YEAR = 365

Floats = NDArray[np.float64]


def equity(pnl: Floats, peak_usdc: Floats) -> Floats:
    """Equity per wallet (row) and midnight of the window (column), USDC.

    >>> equity(np.array([[10.0, 30.0, 0.0]]), np.array([250.0])).tolist()
    [[250.0, 270.0, 240.0]]
    """
    base = np.maximum(peak_usdc, MIN_CAPITAL_USDC)
    curve: Floats = base[:, None] + pnl - pnl[:, :1]
    return curve


def max_drawdown(curve: Floats) -> Floats:
    """Largest fall from a running peak, as a share of that peak, in [0, 1], per row.

    Source: Magdon-Ismail and Atiya (2004), Maximum drawdown, Risk 17.

    >>> max_drawdown(np.array([[100.0, 120.0, 90.0, 130.0]])).tolist()
    [0.25]
    """
    peak = np.maximum.accumulate(curve, axis=1)
    drawdown: Floats = ((peak - curve) / peak).max(axis=1)
    return drawdown.clip(0.0, 1.0)


def daily_returns(curve: Floats) -> Floats:
    """E_d ÷ E_{d−1} − 1 per row; meaningless where equity is not positive."""
    with np.errstate(divide="ignore", invalid="ignore"):
        returns: Floats = curve[:, 1:] / curve[:, :-1] - 1.0
    return returns


def return_stdev(curve: Floats) -> Floats:
    """Standard deviation (ddof 1) of daily returns per row.

    >>> return_stdev(np.array([[100.0, 110.0, 99.0]])).round(6).tolist()
    [0.141421]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation: Floats = daily_returns(curve).std(axis=1, ddof=1)
    return deviation


def daily_sharpe(curve: Floats) -> Floats:
    """Mean ÷ standard deviation of daily returns × √365 per row, NaN without variation.

    Source: Sharpe (1994), The Sharpe ratio, Journal of Portfolio Management 21, at a risk-free
    rate of 0.

    >>> daily_sharpe(np.array([[100.0, 110.0, 132.0]])).round(4).tolist()
    [40.5278]
    """
    returns = daily_returns(curve)
    with np.errstate(divide="ignore", invalid="ignore"):
        sharpe = returns.mean(axis=1) / returns.std(axis=1, ddof=1) * np.sqrt(DAYS_A_YEAR)
    varies = returns.max(axis=1) > returns.min(axis=1)
    return np.where(varies, sharpe, np.nan)
