"""Networks with something random in evaluation mode."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from experiments.evaluation.evaluate import predict


class Noisy(nn.Module):
    """Adds other numbers at each call."""

    def forward(self, images: Tensor) -> Tensor:
        return images + torch.rand_like(images)


def test_a_network_answers_the_same_each_time() -> None:
    batches = [(torch.zeros(4, 3), torch.arange(4) % 3)] * 2
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    one, other = (predict(Noisy(), iter(batches), 0.0).logits for _ in range(2))
    assert torch.equal(one, other)
    # From batch to batch they are others, and nothing else that is drawn changes.
    assert not torch.equal(one[:4], one[4:])
    assert torch.equal(torch.rand(2), expected)
