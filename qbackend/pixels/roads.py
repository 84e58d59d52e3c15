"""Two roads from a layer's circuits to products of matrices, which give the same values.

- *states*: the kernels' unitaries, real and imaginary parts below one another, times the pixels'
  unit vectors. A pixel becomes 2 K D numbers, each a sum over C channels.
- *forms*: Re(U† Z_q U) of all outputs times the products u_i u_j of each vector. A pixel becomes
  C^2 numbers, each a term of M sums.

Letters: C channels, N pixels, K kernels, Q wires, D = 2^Q amplitudes, M outputs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

MOVING_COST = 75
"""Of a number, in multiply-adds of one product. Each takes part in three products, forwards and
backwards, and is read or written some eight times, which takes as long as 28 multiply-adds each
time on an H200 (4.8 TB/s, 33 TFMA/s in float32). By that forms cost 2.9 times what states do for 64
channels and 66 outputs; measured there: 3 times."""


def prefers_forms(n_channels: int, n_kernels: int, n_amplitudes: int, n_outputs: int) -> bool:
    """Whether forms cost less than states."""
    of_states = 2 * n_kernels * n_amplitudes * (MOVING_COST + n_channels)
    return n_channels**2 * (MOVING_COST + n_outputs) < of_states


class Road(ABC):
    """Outputs (M, N) of unit vectors (C, N), by one product of a trained matrix and an operand."""

    @property
    @abstractmethod
    def n_numbers(self) -> int:
        """What a pixel becomes."""

    @abstractmethod
    def matrix(self, columns: Tensor, signs: Tensor) -> Tensor:
        """The trained one, of unitaries' columns (K, D, C) and eigenvalues (Q, D)."""

    @abstractmethod
    def operand(self, vectors: Tensor) -> Tensor:
        """What it multiplies."""

    @abstractmethod
    def outputs(self, product: Tensor, signs: Tensor) -> Tensor:
        """What becomes of the product, for eigenvalues (Q, D)."""

    @abstractmethod
    def pull_outputs(self, product: Tensor, signs: Tensor, factors: Tensor) -> Tensor:
        """The gradient of sum(outputs * factors) by the product."""

    @abstractmethod
    def pull_operand(self, vectors: Tensor, of_operand: Tensor) -> Tensor:
        """The gradient by the vectors, in memory that may be changed, from that by the operand."""


@dataclass(frozen=True)
class States(Road):
    """States of all kernels; the matrix is (2 K D, C)."""

    n_kernels: int
    n_amplitudes: int
    n_outputs: int

    @property
    def n_numbers(self) -> int:
        return 2 * self.n_kernels * self.n_amplitudes

    def matrix(self, columns: Tensor, signs: Tensor) -> Tensor:
        return _parts_below_one_another(columns).flatten(0, 1)

    def operand(self, vectors: Tensor) -> Tensor:
        return vectors

    def outputs(self, product: Tensor, signs: Tensor) -> Tensor:
        real, imaginary = self._parts(product).unbind(1)
        chances = real.square().addcmul_(imaginary, imaginary)
        return (signs @ chances).flatten(0, 1)[: self.n_outputs]

    def pull_outputs(self, product: Tensor, signs: Tensor, factors: Tensor) -> Tensor:
        n_cut = self.n_kernels * len(signs) - self.n_outputs
        every = functional.pad(factors, (0, 0, 0, n_cut)) if n_cut else factors
        of_chances = (2 * signs.T) @ every.unflatten(0, (self.n_kernels, -1))
        return (self._parts(product) * of_chances[:, None]).flatten(0, 2)

    def pull_operand(self, vectors: Tensor, of_operand: Tensor) -> Tensor:
        return of_operand

    def _parts(self, product: Tensor) -> Tensor:
        """Real and imaginary parts, (K, 2, D, N)."""
        return product.unflatten(0, (self.n_kernels, 2, -1))


@dataclass(frozen=True)
class Forms(Road):
    """Forms of all outputs; the matrix is (M, C^2), every row symmetric."""

    n_channels: int
    n_outputs: int

    @property
    def n_numbers(self) -> int:
        return self.n_channels**2 + self.n_outputs

    def matrix(self, columns: Tensor, signs: Tensor) -> Tensor:
        parts = _parts_below_one_another(columns)[:, None]
        weighted = signs.repeat(1, 2)[:, :, None] * parts
        return (weighted.mT @ parts).flatten(0, 1)[: self.n_outputs].flatten(1)

    def operand(self, vectors: Tensor) -> Tensor:
        return (vectors[:, None] * vectors).flatten(0, 1)

    def outputs(self, product: Tensor, signs: Tensor) -> Tensor:
        return product

    def pull_outputs(self, product: Tensor, signs: Tensor, factors: Tensor) -> Tensor:
        return factors

    def pull_operand(self, vectors: Tensor, of_operand: Tensor) -> Tensor:
        return 2 * (of_operand.unflatten(0, (self.n_channels, -1)) * vectors).sum(dim=1)


def _parts_below_one_another(columns: Tensor) -> Tensor:
    """Real and imaginary parts of unitaries' columns (K, D, C): (K, 2 D, C)."""
    return torch.view_as_real(columns).movedim(-1, 1).flatten(1, 2)
