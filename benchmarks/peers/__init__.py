"""Other simulators, each asked for the same layer in the way its documentation shows."""

from experiments.bench.pennylane import PENNYLANE

from .deepquantum import DEEPQUANTUM
from .stock import STOCK, STOCK_CIRCUITS
from .tensorcircuit import TENSORCIRCUIT
from .torchquantum import TORCHQUANTUM

PEERS = (*PENNYLANE, TENSORCIRCUIT, DEEPQUANTUM, TORCHQUANTUM, STOCK, *STOCK_CIRCUITS)
