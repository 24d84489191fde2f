"""What the hidden layers of the speech-command family share around their neurons.

    x -> W x for all steps -> (both directions) -> normalisation -> neurons -> dropout

A bidirectional layer runs its one set of neurons over the sequence and over the reversed sequence,
which stands beside it as ``B`` further samples; the reversed output is turned back and stands as
``N`` further features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.layers.dropout import Dropout
from core.layers.normalization import Normalization, make_norm, normalize
from core.layers.sequence import SequenceModule
from core.projection import project


class Shell(SequenceModule):
    """Projections, normalisation, directions and dropout; a subclass runs the neurons.

    Args:
        inputs: ``I``.
        size: ``N`` neurons.
        normalization: Of the input current, see :func:`core.layers.normalization.make_norm`.
        bias: Add a bias to the input current.
        bidirectional: Run in both directions.
        dropout: Chance with which an output is zeroed in training; the others are scaled by
            ``1 / (1 - dropout)``.
        batch_first: See :class:`core.layers.sequence.SequenceModule`.

    Attributes:
        outputs: Features of the output, ``N`` per direction.
    """

    def __init__(
        self,
        inputs: int,
        size: int,
        *,
        normalization: Normalization,
        bias: bool,
        bidirectional: bool,
        dropout: float,
        batch_first: bool,
    ) -> None:
        super().__init__(inputs, batch_first=batch_first)
        self.size = size
        self.outputs = 2 * size if bidirectional else size
        self.bidirectional = bidirectional
        self._normalization: Normalization = normalization
        self._bias = bias
        self.drop: nn.Module = Dropout(dropout)

    @property
    def directions(self) -> int:
        """Rows of the state per sample."""
        return 2 if self.bidirectional else 1

    def projection(self) -> nn.Linear:
        """A feed-forward matrix ``[N, I]``, ``U(+-1/sqrt(I))``."""
        return nn.Linear(self.inputs, self.size, bias=self._bias)

    def recurrence(self) -> nn.Linear:
        """A recurrent matrix ``[N, N]``, not yet orthogonal: that is drawn last."""
        return nn.Linear(self.size, self.size, bias=False)

    def norm_of_current(self) -> nn.Module:
        """The normalisation of one projection."""
        return make_norm(self._normalization, self.size)

    def current(self, x_TBI: Tensor, weights: nn.Linear, norm: nn.Module) -> Tensor:
        """Normalised input current of all steps, the reversed sequence as further samples."""
        product = project(x_TBI, weights.weight, weights.bias)
        if self.bidirectional:
            # The product of the reversed sequence is the reversed product.
            product = torch.cat([product, product.flip(0)], dim=1)
        return normalize(norm, product)

    def joined(self, output_TBN: Tensor) -> Tensor:
        """Directions as features, the reversed one turned back."""
        if not self.bidirectional:
            return output_TBN
        onward, reversed_ = output_TBN.chunk(2, dim=1)
        return torch.cat([onward, reversed_.flip(0)], dim=2)
