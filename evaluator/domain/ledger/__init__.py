"""The ledger: FIFO lots per wallet and token over the whole history; see `lots`."""
